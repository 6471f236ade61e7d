"""A comparison of estimators → one page that opens anywhere.

It begins with words for the product's owner; tables and pictures are below.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from matplotlib.axes import Axes

from skewless.core.bootstrap import Interval
from skewless.core.metrics import SCORES
from skewless.models.page import (
    COLOURS,
    FEW_TICKS,
    chart,
    render_page,
    short_name,
    write_share,
)
from skewless.training.comparison import BASELINE, Comparison, Row
from skewless.training.proposal import Proposal, beats_baseline
from skewless.training.tuning import counted_trials

MEANINGS: Final = {
    "roc_auc": "0.5 is chance, 1 is perfect; higher is better",
    "average_precision": "chance is the event rate, 1 is perfect; higher is better",
    "brier": "mean squared error of the probability; lower is better",
    "log_loss": "nats per record; lower is better, and decides",
}
"""Score → what its numbers mean."""
MOST_LETTERS: Final = 44  # of a name in a picture
ROW_INCHES: Final = 0.46  # of a name with what is drawn below it


class Conclusion(NamedTuple):
    """What a comparison comes to."""

    tone: str
    word: str
    sentence: str
    to_do: tuple[str, ...]


class Mark(NamedTuple):
    """What is drawn below a name."""

    name: str
    value: float
    low: float
    high: float
    colour: str


def render_comparison(
    found: Comparison, proposal: Proposal | None, *, trials: int
) -> str:
    """Render the page, as HTML; the same values give the same text.

    Parameters
    ----------
    found
        The comparison.
    proposal
        What config.yaml would have to say for the best.
    trials
        How many sets of knobs were tried of each estimator; 0: none.
    """
    estimators = [row for row in found.rows if row.trained is not None]
    return render_page(
        "training/comparison.html.jinja",
        found=found,
        conclusion=judge(found, has_proposal=proposal is not None),
        scores=[
            (name, MEANINGS[name], scores_chart(found.rows, name)) for name in SCORES
        ],
        estimators=estimators,
        rival_rows=rivals(found),
        rivals=differences_chart(found),
        curves=curves_chart(found.rows),
        calibrated=calibration_chart(found.rows),
        costs=costs_charts(estimators),
        references=[row.name for row in found.rows if row.trained is None],
        trials=counted_trials(trials) if trials else None,
        changes=[] if proposal is None else list(proposal.lines()),
    )


def judge(found: Comparison, *, has_proposal: bool) -> Conclusion:
    """Say in words what the paired differences show."""
    best = found.rows[0]
    baseline = found.named[BASELINE].behind
    if not beats_baseline(found):
        ahead = "chance explains its distance to the baseline"
        if baseline.high < 0:
            ahead = "is worse than the baseline"
        return Conclusion(
            "bad",
            "no better than the baseline",
            f"{best.name} comes first among the estimators, and {ahead}.",
            ("Look at the table and the features first: no estimator is of use yet.",),
        )
    others = [row for row in found.rows[1:] if row.trained is not None]
    equal = [row.name for row in others if row.behind.low <= 0]
    if not others:
        word = "better than the baseline"
        sentence = f"{best.name} beats it by more than chance explains."
    elif not equal:
        word = "one is best"
        sentence = (
            f"{best.name} is better than every other estimator, "
            "by more than chance explains."
        )
    else:
        word = "several are as good"
        rest = "" if len(equal) == len(others) else " The rest is worse."
        sentence = (
            f"{best.name} comes first; chance explains the distance to "
            f"{_listed(equal)}.{rest}"
        )
    return Conclusion(
        "good", word, sentence, tuple(_to_do(found, has_proposal=has_proposal))
    )


def _to_do(found: Comparison, *, has_proposal: bool) -> list[str]:
    best = found.rows[0].name
    to_do = []
    if found.chosen is None:
        to_do.append(
            "The estimator of config.yaml was not compared: compare it, too, before "
            "you change anything."
        )
    elif found.chosen == best:
        to_do.append(f"Nothing: config.yaml has {best}.")
    elif found.named[found.chosen].behind.low <= 0:
        to_do.append(
            f"Nothing has to change: config.yaml has {found.chosen}, and chance "
            "explains its distance to the best."
        )
    else:
        to_do.append(
            f"config.yaml has {found.chosen}, which is worse: change its section "
            "model, and train."
        )
    if has_proposal:
        to_do.append("The change for the best is at the end of this page.")
    return to_do


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def scores_chart(rows: Sequence[Row], score: str) -> str:
    """Draw one score of all rows, cross-validated, with its intervals."""
    marks = [
        Mark(row.name, *row.cross_validated[score], colour=_colour(row, rows))
        for row in rows
    ]
    return _marks_chart(score.replace("_", "-"), marks, zero=False)


def rivals(found: Comparison) -> list[Row]:
    """Choose whose distance to the best is drawn.

    The baseline would be so far off that nothing else showed.
    """
    others = list(found.rows[1:])
    near = [row for row in others if row.name != BASELINE]
    return near or others


def differences_chart(found: Comparison) -> str:
    """Draw how much more log loss others have than the best, row by row."""
    marks = [
        Mark(row.name, *row.behind, colour=_side(row.behind)) for row in rivals(found)
    ]
    return _marks_chart("differences", marks, zero=True)


def _side(behind: Interval) -> str:
    """Choose a colour by whether the interval tells a difference at all."""
    if behind.low <= 0 <= behind.high:
        return "before"
    return "bad" if behind.low > 0 else "now"


def _colour(row: Row, rows: Sequence[Row]) -> str:
    if row is rows[0]:
        return "now"
    return "before" if row.trained is not None else "muted"


def _marks_chart(name: str, marks: Sequence[Mark], *, zero: bool) -> str:
    """Draw a dot with its interval below each name."""

    def draw(axes: Axes) -> None:
        for place, mark in enumerate(marks):
            colour = COLOURS[mark.colour]
            axes.hlines(place, mark.low, mark.high, color=colour, linewidth=2.5)
            # Hollow where it is no estimator.
            face = "none" if mark.colour == "muted" else colour
            axes.plot(
                [mark.value],
                [place],
                "o",
                color=colour,
                markerfacecolor=face,
                markersize=7,
            )
        if zero:
            axes.axvline(0, color=COLOURS["muted"], linewidth=1)
        _finish(axes, [mark.name for mark in marks])
        axes.locator_params(axis="x", nbins=FEW_TICKS)

    return chart(name, draw, height=0.5 + ROW_INCHES * len(marks))


def _finish(axes: Axes, names: Sequence[str]) -> None:
    """Write each name above its place, so that the whole width is for what is drawn."""
    for place, name in enumerate(names):
        axes.text(
            0,
            place - 0.14,
            short_name(name, MOST_LETTERS),
            transform=axes.get_yaxis_transform(),
            color=COLOURS["muted"],
            verticalalignment="bottom",
        )
    axes.set_yticks([])
    axes.set_ylim(len(names) - 0.6, -0.8)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def curves_chart(rows: Sequence[Row]) -> str:
    """Draw the ROC curves of all rows, cross-validated, the best in front."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], ":", color=COLOURS["muted"], linewidth=1)
        for row in reversed(rows):
            axes.plot(
                row.curves.false_positives,
                row.curves.true_positives,
                "-" if row.trained is not None else "--",
                color=COLOURS["now" if row is rows[0] else "before"],
                linewidth=2 if row is rows[0] else 1.2,
            )
        _square(axes)

    return chart("roc", draw, height=3.6)


def calibration_chart(rows: Sequence[Row]) -> str:
    """Draw event rates against predicted probabilities, the best in front."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], ":", color=COLOURS["muted"], linewidth=1)
        for row in reversed([each for each in rows if each.trained is not None]):
            axes.plot(
                [each.predicted for each in row.curves.calibration],
                [each.observed for each in row.curves.calibration],
                "o-",
                color=COLOURS["now" if row is rows[0] else "before"],
                linewidth=2 if row is rows[0] else 1.2,
                markersize=5 if row is rows[0] else 3,
            )
        _square(axes)

    return chart("calibration", draw, height=3.6)


def _square(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(write_share)


def costs_charts(estimators: Sequence[Row]) -> list[tuple[str, str]]:
    """Draw what each estimator costs, as title and picture."""
    known = [(row, row.trained.costs) for row in estimators if row.trained is not None]
    measures = [
        (
            "Time to train",
            "seconds",
            [(row, each.train_seconds) for row, each in known],
        ),
        ("Time to answer", "µs", [(row, each.microseconds) for row, each in known]),
        ("Size of the model", "kB", [(row, each.bytes / 1024) for row, each in known]),
    ]
    return [
        (title, _bars_chart(title.lower().replace(" ", "-"), unit, bars))
        for title, unit, bars in measures
    ]


def _bars_chart(name: str, unit: str, bars: Sequence[tuple[Row, float]]) -> str:
    def draw(axes: Axes) -> None:
        for place, (_, value) in enumerate(bars):
            axes.barh(place, value, 0.3, color=COLOURS["now"])
        _finish(axes, [f"{row.name}: {value:,.3g} {unit}" for row, value in bars])
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return chart(name, draw, height=0.2 + ROW_INCHES * len(bars))
