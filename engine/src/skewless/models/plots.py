"""Numbers → pictures, for the notebooks and the model card.

Each picture is drawn on axes that the caller gives.
"""

import io
from collections.abc import Callable, Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from skewless.core.contract import Column
from skewless.core.escaping import printable
from skewless.core.metrics import CalibrationBin

BINS = 30
LABELS_FIT = 30  # characters under a small picture, before they run into each other
# Enough for the eye; a million records would be megabytes of SVG.
ROC_POINTS = np.linspace(0, 1, 201)


def draw_distribution(axes: Axes, values: pd.Series, column: Column) -> None:
    """Show how often each value occurs; the title tells the share that is missing."""
    if _has_many_values(values, column):
        bins: int | list[float] = BINS
        if column.kind == "integer":
            bins = _edges(values)
        axes.hist(values.dropna(), bins=bins)
    else:
        counts = _groups(values, column).value_counts(sort=False)
        axes.bar(_labels(counts.index), counts)
        _tilt_long_labels(axes, column)
    missing = values.isna().mean()
    name = _literal(column.name)
    title = f"{name}, {missing:.0%} missing" if missing else name
    axes.set(title=title, ylabel="records")


def draw_target_by_column(
    axes: Axes, table: pd.DataFrame, column: Column, *, target: str
) -> None:
    """Show the share with target 1 by value, or by tenth of a number.

    Each share is shown with two standard errors. The dotted line is the share among all
    records; missing values are left out.
    """
    values = table[column.name]
    outcomes = table[target]
    groups = _groups(values, column)
    share = outcomes.groupby(groups, observed=True).agg(["mean", "sem"])
    if _has_many_values(values, column):
        places: pd.Series | list[str] = values.groupby(groups, observed=True).mean()
        line = "o-"
        margin = 0.05
    else:
        places = _labels(share.index)
        line = "o"
        margin = 0.2
    axes.errorbar(places, share["mean"], yerr=2 * share["sem"], fmt=line, capsize=3)
    axes.axhline(outcomes.mean(), color="grey", linestyle=":")
    axes.margins(x=margin)
    _tilt_long_labels(axes, column)
    axes.set(title=_literal(column.name), ylabel=f"share with {_literal(target)} = 1")


def _has_many_values(values: pd.Series, column: Column) -> bool:
    return column.kind in {"number", "integer", "date"} and values.nunique() > BINS


def _edges(values: pd.Series) -> list[float]:
    """Give every bin equally many whole numbers; otherwise some would stand out."""
    low, high = values.min(), values.max()
    step = np.ceil((high - low + 1) / BINS)
    return list(np.arange(low, high + step + 1, step) - 0.5)


def _groups(values: pd.Series, column: Column) -> pd.Series:
    """Tenths of a number with many values; otherwise the values themselves.

    Categories are as declared.
    """
    if _has_many_values(values, column):
        return pd.qcut(values, 10, duplicates="drop")
    known = list(column.categories) or sorted(values.dropna().unique())
    return values.astype(pd.CategoricalDtype(known))


def _labels(values: pd.Index) -> list[str]:
    """Write 1.0 as 1: a whole number that may be missing is kept as a float."""
    return [
        f"{value:g}" if isinstance(value, float) else _literal(str(value))
        for value in values
    ]


def _literal(text: str) -> str:
    """Write a name so that matplotlib shows it as it is: $ would begin a formula."""
    return printable(text).replace("$", r"\$")


def _tilt_long_labels(axes: Axes, column: Column) -> None:
    if sum(len(category) for category in column.categories) > LABELS_FIT:
        axes.tick_params(axis="x", labelrotation=30)


def draw_roc(
    axes: Axes, outcomes: np.ndarray, probabilities: Mapping[str, np.ndarray]
) -> None:
    """Draw a ROC curve for each named set of probabilities."""
    for name, values in probabilities.items():
        false_positive, true_positive, _ = roc_curve(outcomes, values)
        axes.plot(
            ROC_POINTS, np.interp(ROC_POINTS, false_positive, true_positive), label=name
        )
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    axes.legend()


def draw_calibration(
    axes: Axes, bins: Mapping[str, tuple[CalibrationBin, ...]]
) -> None:
    """Draw event rates against predicted probabilities.

    On the diagonal a probability means what it says.
    """
    for name, parts in bins.items():
        axes.plot(
            [part.predicted for part in parts],
            [part.observed for part in parts],
            marker="o",
            label=name,
        )
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    axes.set(
        xlabel="predicted probability",
        ylabel="share with the event",
        title="Calibration",
    )
    axes.legend()


def draw_campaign_value(axes: Axes, thresholds: np.ndarray, values: np.ndarray) -> None:
    """Draw the value of a campaign by threshold and mark the best one."""
    best = int(np.argmax(values))
    axes.plot(thresholds, values)
    axes.plot(thresholds[best], values[best], marker="o", color="tab:blue")
    axes.axvline(thresholds[best], color="grey", linestyle=":", label="best")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set(
        xlabel="contact from this probability on",
        ylabel="value against contacting nobody",
        title=f"best at {thresholds[best]:.2f}",
    )


def as_svg(draw: Callable[[Axes], None], size: tuple[float, float] = (5, 4)) -> bytes:
    """Render one picture as SVG, so many inches wide and high.

    The same numbers give the same bytes.
    """
    with mpl.rc_context({"svg.hashsalt": "skewless", "svg.fonttype": "none"}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
