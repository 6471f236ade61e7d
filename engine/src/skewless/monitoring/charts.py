"""Figures of a report → SVG to stand inside its page."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from skewless.core.answer import TIERS
from skewless.models.page import COLOURS, chart, write_share
from skewless.models.reference import Distribution
from skewless.monitoring.performance import Week
from skewless.monitoring.words import bin_names

MOST_BINS = 14  # of a column; those that differ most
MOST_BARS = 45  # of answers; more days than that share bars
MOST_LETTERS = 18  # of a bin's name
TICKS = 5
MARGIN: Final = 0.25  # of a bar's width, beside the first and the last
CLOSEST: Final = 1 / 16  # of a picture's width, between two labels above it


class Mark(NamedTuple):
    """A moment at which something was decided, and its number."""

    moment: datetime
    number: int


class Scale(NamedTuple):
    """An axis of time: a bar's middle is a whole number, that of the first is 0."""

    first: date
    """On which the first bar begins, in UTC."""
    width: timedelta
    """Time that a bar takes."""
    bars: int

    @property
    def left(self) -> float:
        """Where the first bar begins."""
        return -0.5

    @property
    def right(self) -> float:
        """Where the last bar ends."""
        return self.bars - 0.5

    def place(self, moment: datetime) -> float:
        """Return where a moment is."""
        start = datetime.combine(self.first, datetime.min.time(), UTC)
        return self.left + (moment - start) / self.width


def bins_chart(name: str, trained: Distribution, actual: np.ndarray) -> str:
    """Draw the shares of a column's bins in training and now, side by side.

    Bins that are empty in both are left out.
    """
    counts = np.array([trained.counts, actual], dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    worst = np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")
    kept = np.sort([place for place in worst if counts[:, place].any()][:MOST_BINS])
    names = [bin_names(trained)[place] for place in kept]

    def draw(axes: Axes) -> None:
        for values, offset, colour in zip(
            shares, (-0.2, 0.2), ("before", "now"), strict=True
        ):
            axes.barh(
                np.arange(len(kept)) + offset, values[kept], 0.38, color=COLOURS[colour]
            )
        short = [
            name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
            for name in names
        ]
        axes.set_yticks(range(len(kept)), short)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(write_share)
        axes.locator_params(axis="x", nbins=TICKS)

    return chart(name, draw, height=0.7 + 0.34 * len(kept))


def weeks_chart(
    weeks: Sequence[Week],
    measure: Literal["log_loss", "event_rate"],
    marks: Sequence[Mark],
) -> str:
    """Draw a measure by week, as it came out and as it was to be expected.

    The solid line is what outcomes came to once all are due, the dashed one what was to
    be expected.

    Parameters
    ----------
    weeks
        At least one, the latest last.
    measure
        Which one.
    marks
        Moments to mark, the first first; those outside the weeks are left out.
    """
    places = _places(weeks)
    # NaN, so that no line crosses an absent week.
    expected, realised = np.full((2, places[-1] + 1, 3), np.nan)
    for place, week in zip(places, weeks, strict=True):
        # Before, an event is known sooner than its absence.
        due = week.state != "waiting" and week.realised is not None
        for values, found in (
            (expected, week.expected if due else week.estimated),
            (realised, week.realised if due else None),
        ):
            if found:
                band = getattr(found, measure)
                values[place] = band.value, band.low, band.high

    def draw(axes: Axes) -> None:
        for bands, colour, line in (
            (expected, "before", "o--"),
            (realised, "now", "o-"),
        ):
            middle, low, high = bands.T
            axes.fill_between(
                range(len(bands)),
                low,
                high,
                color=COLOURS[colour],
                alpha=0.2,
                linewidth=0,
            )
            axes.vlines(range(len(bands)), low, high, color=COLOURS[colour], alpha=0.3)
            axes.plot(middle, line, color=COLOURS[colour], markersize=3)
        wrong = [
            place
            for place, week in zip(places, weeks, strict=True)
            if week.state == "concept_drift"
        ]
        axes.plot(wrong, realised[wrong, 0], "D", color=COLOURS["bad"], markersize=8)
        _finish(
            axes,
            places,
            [week.week[5:] for week in weeks],
            write="{x:,.10g}" if measure == "log_loss" else write_share,
        )
        _mark(axes, marks, _by_week(weeks))

    return chart(measure.replace("_", "-"), draw)


def coverage_chart(weeks: Sequence[Week], marks: Sequence[Mark]) -> str:
    """Draw of which share of each week's answers the outcome is known.

    Moments are marked as in `weeks_chart`.
    """
    places = _places(weeks)

    def draw(axes: Axes) -> None:
        axes.bar(places, [week.coverage for week in weeks], 0.7, color=COLOURS["now"])
        axes.set_ylim(0, 1)
        _finish(axes, places, [week.week[5:] for week in weeks], write=write_share)
        _mark(axes, marks, _by_week(weeks))

    return chart("coverage", draw)


def answers_chart(answers: Mapping[date, Counter[str]], marks: Sequence[Mark]) -> str:
    """Draw how many answers were given, by day and tier.

    Every day of the span is a key of `answers`. Moments are marked as in `weeks_chart`.
    """
    days = sorted(answers)
    step = -(-len(days) // MOST_BARS)
    bars = [days[start : start + step] for start in range(0, len(days), step)]

    def draw(axes: Axes) -> None:
        below = np.zeros(len(bars))
        for tier in TIERS:
            heights = [sum(answers[day][tier] for day in bar) for bar in bars]
            axes.bar(
                range(len(bars)),
                heights,
                0.8,
                bottom=below,
                color=COLOURS[tier.lower()],
            )
            below += heights
        axes.set_ylim(0, max(1.05 * below.max(), 1))
        _finish(
            axes,
            range(len(bars)),
            [f"{bar[0]:%b} {bar[0].day}" for bar in bars],
            write="{x:,.10g}",
        )
        axes.locator_params(axis="y", integer=True)  # there is no half answer
        _mark(axes, marks, Scale(days[0], timedelta(days=step), len(bars)))

    return chart("answers", draw)


def _by_week(weeks: Sequence[Week]) -> Scale:
    first = date.fromisoformat(weeks[0].week)
    return Scale(first, timedelta(weeks=1), _places(weeks)[-1] + 1)


def _mark(axes: Axes, marks: Sequence[Mark], scale: Scale) -> None:
    """Draw a line at each moment within the bars, with its number above."""
    labels = list[tuple[float, list[int]]]()
    for each in marks:
        place = scale.place(each.moment)
        if not scale.left <= place <= scale.right:
            continue
        axes.axvline(place, color=COLOURS["muted"], linewidth=1.5, linestyle=":")
        if labels and place - labels[-1][0] < CLOSEST * scale.bars:
            labels[-1][1].append(each.number)
        else:
            labels.append((place, [each.number]))
    for place, numbers in labels:
        axes.annotate(
            "-".join(map(str, dict.fromkeys((numbers[0], numbers[-1])))),
            (place, 1),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            color=COLOURS["muted"],
        )
    axes.set_xlim(scale.left - MARGIN, scale.right + MARGIN)


def _places(weeks: Sequence[Week]) -> list[int]:
    """Count weeks from the first on; those without answers count too."""
    days = [date.fromisoformat(week.week).toordinal() for week in weeks]
    return [(day - days[0]) // 7 for day in days]


def _finish(
    axes: Axes,
    places: Sequence[int],
    names: Sequence[str],
    *,
    write: Callable[..., str] | str,
) -> None:
    step = -(-len(places) // TICKS)
    axes.set_xticks(places[::step], names[::step])
    axes.grid(visible=False, axis="x")
    axes.locator_params(axis="y", nbins=TICKS)
    axes.yaxis.set_major_formatter(write)
