"""What a set of probabilities is worth on a holdout, as a version records it."""

import math
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, Field

CALIBRATION_BINS = 10
MOST_ERRORS = 4  # standard errors; by chance it is more in 1 of 16,000 versions
# as scikit-learn's log_loss keeps the logarithm finite
EPSILON: Final = np.finfo(np.float64).eps


class CalibrationBin(BaseModel, frozen=True):
    """A tenth of the records, by predicted probability."""

    predicted: Annotated[float, Field(description="Mean predicted probability")]
    observed: Annotated[float, Field(description="Share with the event")]
    rows: Annotated[int, Field(description="Records in the bin")]


class Metrics(BaseModel, frozen=True, extra="forbid"):
    """What one set of probabilities is worth on a holdout."""

    roc_auc: Annotated[
        float, Field(description="0.5 is chance, 1 is perfect; higher is better")
    ]
    average_precision: Annotated[
        float, Field(description="0 to 1; higher is better, chance is the event rate")
    ]
    brier: Annotated[
        float,
        Field(
            description="Mean squared error of the probability, 0 to 1; lower is better"
        ),
    ]
    log_loss: Annotated[
        float, Field(description="Nats per record, 0 upwards; lower is better")
    ]
    confusion: Annotated[
        tuple[int, int, int, int],
        Field(
            description="Records: true negatives, false positives, false negatives, "
            "true positives"
        ),
    ]
    calibration: tuple[CalibrationBin, ...]
    rows: int
    event_rate: float
    others: Annotated[
        dict[str, float], Field(description="Metrics of the project's own, by name")
    ] = {}

    @property
    def predicted_rate(self) -> float:
        """Mean of the predicted probabilities."""
        return sum(each.predicted * each.rows for each in self.calibration) / self.rows

    @property
    def is_off(self) -> bool:
        """Tell whether probabilities are too high or too low on the whole.

        See `are_apart`.
        """
        return are_apart(self.predicted_rate, self.event_rate, self.rows)


def are_apart(predicted: float, happened: float, rows: int) -> bool:
    """Tell whether a mean probability and an event rate are too far apart for chance.

    That is, by more than `MOST_ERRORS` standard errors of a rate of `rows` records.
    """
    error = math.sqrt(predicted * (1 - predicted) / rows)
    return abs(happened - predicted) > MOST_ERRORS * error


SCORES: Final = ("roc_auc", "average_precision", "brier", "log_loss")
"""The metrics that are one number each, as they are listed to people."""


def log_losses(probabilities: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """Return each record's loss in nats, float64 (n,), 0 upwards; lower is better.

    >>> log_losses(np.array([0.5, 1.0]), np.array([1, 1])).round(3).tolist()
    [0.693, 0.0]
    """
    likely = np.where(outcomes == 1, probabilities, 1 - probabilities)
    # A minus alone would make -0.0 of 0.
    losses: np.ndarray = 0.0 - np.log(np.clip(likely, EPSILON, 1))
    return losses


def calibration(
    probabilities: np.ndarray, outcomes: np.ndarray
) -> tuple[CalibrationBin, ...]:
    """Compare predicted and observed event rates in tenths of the records.

    Equal probabilities share a bin.

    >>> calibration(np.array([0.1, 0.3, 0.3]), np.array([0, 1, 0]))[1]
    CalibrationBin(predicted=0.3, observed=0.5, rows=2)
    """
    edges = np.unique(
        np.quantile(probabilities, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1])
    )
    position = np.searchsorted(edges, probabilities)
    bins = []
    for part in np.unique(position):
        inside = position == part
        found = CalibrationBin(
            predicted=float(np.mean(probabilities[inside])),
            observed=float(np.mean(outcomes[inside])),
            rows=int(np.sum(inside)),
        )
        bins.append(found)
    return tuple(bins)
