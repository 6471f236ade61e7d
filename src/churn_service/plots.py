"""Numbers → pictures, for the notebooks and the model card; each draws on axes that it is given."""

import io
from collections.abc import Callable, Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from churn_service.contract import Column
from churn_service.evaluate import CalibrationBin

BINS = 30
ROC_POINTS = np.linspace(0, 1, 201)  # enough for the eye; a million customers would be megabytes of SVG


def draw_distribution(axes: Axes, values: pd.Series, column: Column) -> None:
    """Show how often each value occurs; the title tells the share that is missing."""
    if column.kind == "number" or (column.kind == "integer" and values.nunique() > BINS):
        axes.hist(values.dropna(), bins=BINS)
    else:
        counts = values.value_counts(sort=False).sort_index()
        axes.bar([str(value) for value in counts.index], counts)
    missing = values.isna().mean()
    axes.set(title=f"{column.name}, {missing:.0%} missing" if missing else column.name, ylabel="customers")


def draw_target_by_column(axes: Axes, values: pd.Series, target: pd.Series) -> None:
    """Show the share that churned in each category, or in each tenth of a number."""
    groups = pd.qcut(values, 10, duplicates="drop") if values.nunique() > BINS else values
    share = target.groupby(groups, observed=True).mean()
    axes.plot([str(group) for group in share.index], share, marker="o")
    axes.axhline(target.mean(), color="grey", linestyle=":")
    axes.tick_params(axis="x", rotation=45)
    axes.set(title=str(values.name), ylabel="share that churned", ylim=(0, None))


def draw_roc(axes: Axes, outcomes: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> None:
    """Draw a ROC curve for each named set of probabilities."""
    for name, values in probabilities.items():
        false_positive, true_positive, _ = roc_curve(outcomes, values)
        axes.plot(ROC_POINTS, np.interp(ROC_POINTS, false_positive, true_positive), label=name)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance")
    axes.set(xlabel="share of stayers contacted", ylabel="share of churners found", title="ROC")
    axes.legend()


def draw_calibration(axes: Axes, bins: Mapping[str, tuple[CalibrationBin, ...]]) -> None:
    """Draw observed against predicted churn; on the diagonal a probability means what it says."""
    for name, parts in bins.items():
        axes.plot(
            [part.predicted for part in parts], [part.observed for part in parts], marker="o", label=name
        )
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    axes.set(xlabel="predicted probability", ylabel="share that churned", title="Calibration")
    axes.legend()


def draw_campaign_value(axes: Axes, thresholds: np.ndarray, values: np.ndarray) -> None:
    """Draw the value of a retention campaign by threshold and mark the best one."""
    best = int(np.argmax(values))
    axes.plot(thresholds, values)
    axes.axvline(thresholds[best], color="grey", linestyle=":")
    axes.set(
        xlabel="contact from this probability on",
        ylabel="value against contacting nobody",
        title=f"best at {thresholds[best]:.2f}",
    )


def as_svg(draw: Callable[[Axes], None]) -> bytes:
    """Render one picture as SVG; the same numbers give the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "churn-service", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 4), layout="constrained")
        draw(figure.subplots())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
