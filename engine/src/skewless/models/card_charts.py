"""Figures of a version → SVG to stand inside its card."""

from collections.abc import Sequence
from typing import Final, Literal

from matplotlib.axes import Axes

from skewless.core.metrics import CalibrationBin
from skewless.core.sections import DecisionConfig
from skewless.models.card_words import name_of
from skewless.models.page import (
    COLOURS,
    FEW_TICKS,
    TICKS,
    chart,
    short_name,
    write_share,
)
from skewless.models.quality import Scores, Segment, share_of

MOST_LETTERS: Final = 26  # of a name beside a picture
ROW: Final = 0.34  # inches of a name's line
FRAME: Final = 0.7  # inches above and below the lines


def scores_chart(scores: Scores, decision: DecisionConfig) -> str:
    """Draw where the probabilities of both outcomes lie, and what follows from them."""
    edges, without, happened = scores.histogram()

    def draw(axes: Axes) -> None:
        axes.stairs(without, edges, fill=True, color=COLOURS["before"], alpha=0.55)
        axes.stairs(happened, edges, fill=True, color=COLOURS["now"], alpha=0.55)
        axes.stairs(happened, edges, color=COLOURS["now"])
        for tier in (decision.medium_risk, decision.high_risk):
            axes.axvline(tier, color=COLOURS["muted"], linestyle=":")
        axes.axvline(decision.threshold, color=COLOURS["bad"], linestyle="--")
        axes.set_xlim(min(0, scores.low), max(scores.high, decision.threshold * 1.05))
        axes.set_ylim(bottom=0)
        _shares(axes, "x")
        axes.grid(visible=False, axis="x")
        axes.locator_params(axis="y", nbins=TICKS)

    return chart("scores", draw)


def roc_chart(
    scores: Scores, model: Sequence[int], baseline: Sequence[int] | None
) -> str:
    """Draw the ROC curve, and where the decisions of model and baseline lie.

    Parameters
    ----------
    scores
        Of the model.
    model, baseline
        True negatives, false positives, false negatives, true positives.
    """
    false, true = scores.roc()

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linestyle=":")
        axes.plot(false, true, color=COLOURS["now"])
        axes.plot(*_rates(model), "o", color=COLOURS["now"], markersize=7)
        if baseline is not None:
            axes.plot(*_rates(baseline), "D", color=COLOURS["before"], markersize=6)
        axes.set(xlim=(0, 1), ylim=(0, 1.01))
        _shares(axes, "x")
        _shares(axes, "y")

    return chart("roc", draw)


def _rates(confusion: Sequence[int]) -> tuple[float, float]:
    rightly_left, false_alarms, missed, found = confusion
    return false_alarms / (rightly_left + false_alarms), found / (found + missed)


def calibration_chart(bins: Sequence[CalibrationBin]) -> str:
    """Draw what happened against what was predicted, in tenths of the records."""
    found = [share_of(round(each.observed * each.rows), each.rows) for each in bins]
    predicted = [each.predicted for each in bins]
    end = 1.05 * max([*predicted, *(each.high for each in found)])

    def draw(axes: Axes) -> None:
        axes.plot([0, end], [0, end], color=COLOURS["muted"], linestyle=":")
        axes.vlines(
            predicted,
            [each.low for each in found],
            [each.high for each in found],
            color=COLOURS["now"],
            alpha=0.5,
            linewidth=2,
        )
        axes.plot(predicted, [each.mean for each in found], "o", color=COLOURS["now"])
        axes.set(xlim=(0, end), ylim=(0, end))
        _shares(axes, "x")
        _shares(axes, "y")

    return chart("calibration", draw)


def importances_chart(importances: Sequence[tuple[str, float]]) -> str:
    """Draw what each column is worth, the most important one on top."""

    def draw(axes: Axes) -> None:
        places = range(len(importances))
        axes.barh(
            places, [worth for _, worth in importances], 0.6, color=COLOURS["now"]
        )
        _name_lines(axes, [name for name, _ in importances])
        axes.axvline(0, color=COLOURS["muted"], linewidth=0.8)
        axes.locator_params(axis="x", nbins=FEW_TICKS)

    return chart("importances", draw, height=FRAME + ROW * len(importances))


def benefit_chart(scores: Scores, threshold: float) -> str:
    """Draw the decision curve: what deciding by the model is worth, by threshold."""
    found = scores.net_benefit()
    thresholds = found["threshold"]
    most = max(float(found["model"].max()), 0.0) or 1.0

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=COLOURS["muted"], linewidth=1)
        axes.plot(thresholds, found["all"], color=COLOURS["before"], linestyle="--")
        axes.plot(thresholds, found["model"], color=COLOURS["now"])
        axes.axvline(threshold, color=COLOURS["bad"], linestyle="--")
        axes.set(xlim=(0, 1), ylim=(-0.2 * most, 1.1 * most))
        _shares(axes, "x")
        axes.locator_params(axis="y", nbins=TICKS)

    return chart("benefit", draw)


def rates_chart(segments: Sequence[Segment]) -> str:
    """Draw what happened, with its interval, and what was predicted, by segment."""

    def draw(axes: Axes) -> None:
        for place, each in enumerate(segments):
            if each.event_rate is None or each.predicted_rate is None:
                continue
            rate = each.event_rate
            axes.hlines(place, rate.low, rate.high, color=COLOURS["now"], linewidth=2)
            axes.plot(rate.mean, place, "o", color=COLOURS["now"])
            axes.plot(
                each.predicted_rate,
                place,
                "D",
                markerfacecolor="none",
                markeredgecolor=COLOURS["muted"],
                markersize=8,
            )
        _name_lines(axes, list(map(name_of, segments)))
        _shares(axes, "x")

    return chart("rates", draw, height=FRAME + ROW * len(segments))


def ranking_chart(segments: Sequence[Segment], all_records: float) -> str:
    """Draw how well records are ranked within each segment, beside all records."""

    def draw(axes: Axes) -> None:
        axes.axvline(all_records, color=COLOURS["before"], linestyle="--")
        for place, each in enumerate(segments):
            if each.roc_auc is None:
                continue
            area = each.roc_auc
            axes.hlines(place, area.low, area.high, color=COLOURS["now"], linewidth=2)
            axes.plot(area.mean, place, "o", color=COLOURS["now"])
        _name_lines(axes, list(map(name_of, segments)))
        axes.locator_params(axis="x", nbins=TICKS)

    return chart("ranking", draw, height=FRAME + ROW * len(segments))


def _name_lines(axes: Axes, names: Sequence[str]) -> None:
    """Write names beside the lines of a picture, the first on top."""
    axes.set_yticks(
        range(len(names)), [short_name(name, MOST_LETTERS) for name in names]
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _shares(axes: Axes, axis: Literal["x", "y"]) -> None:
    """Write an axis in percent."""
    ruler = axes.xaxis if axis == "x" else axes.yaxis
    axes.locator_params(axis=axis, nbins=TICKS)
    ruler.set_major_formatter(write_share)
