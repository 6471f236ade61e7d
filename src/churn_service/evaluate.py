"""Probabilities and outcomes → metrics: how good a model is, beside the baseline and the best possible."""

from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, Field
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)

from churn_service.errors import TableError

CALIBRATION_BINS = 10


class CalibrationBin(BaseModel, frozen=True):
    """A tenth of the customers, by predicted probability."""

    predicted: Annotated[float, Field(description="Mean predicted probability")]
    observed: Annotated[float, Field(description="Share that churned")]
    rows: Annotated[int, Field(description="Customers in the bin")]


class Metrics(BaseModel, frozen=True):
    """What one set of probabilities is worth on a holdout."""

    roc_auc: Annotated[float, Field(description="0.5 is chance, 1 is perfect; higher is better")]
    average_precision: Annotated[
        float, Field(description="0 to 1; higher is better, chance is the churn rate")
    ]
    brier: Annotated[
        float, Field(description="Mean squared error of the probability, 0 to 1; lower is better")
    ]
    log_loss: Annotated[float, Field(description="Nats per customer, 0 upwards; lower is better")]
    confusion: Annotated[
        tuple[int, int, int, int],
        Field(description="Customers: true negatives, false positives, false negatives, true positives"),
    ]
    calibration: tuple[CalibrationBin, ...]
    rows: int
    churn_rate: float


SCORES: Final = ("roc_auc", "average_precision", "brier", "log_loss")
"""The metrics that are one number each, as they are listed to people."""


def evaluate(probabilities: np.ndarray, outcomes: np.ndarray, *, threshold: float) -> Metrics:
    """Measure predicted probabilities against what happened.

    Parameters
    ----------
    probabilities
        In [0, 1], shape (n,).
    outcomes
        0 or 1, shape (n,); both must occur.
    threshold
        Churn is predicted from this probability on.

    Raises
    ------
    TableError
        All outcomes are the same, so neither ROC AUC nor average precision exists.
    """
    if len(np.unique(outcomes)) < 2:  # noqa: PLR2004 - both classes
        msg = (
            f"the holdout has {len(outcomes)} customers and {int(np.sum(outcomes))} churned; both outcomes "
            "are needed to evaluate. Give a larger table or raise data.holdout_fraction"
        )
        raise TableError(msg)
    counts = confusion_matrix(outcomes, probabilities >= threshold, labels=[0, 1]).ravel()
    return Metrics(
        roc_auc=float(roc_auc_score(outcomes, probabilities)),
        average_precision=float(average_precision_score(outcomes, probabilities)),
        brier=float(brier_score_loss(outcomes, probabilities)),
        log_loss=float(log_loss(outcomes, probabilities, labels=[0, 1])),
        confusion=tuple(int(count) for count in counts),
        calibration=calibration(probabilities, outcomes),
        rows=len(outcomes),
        churn_rate=float(np.mean(outcomes)),
    )


def calibration(probabilities: np.ndarray, outcomes: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Compare predicted and observed churn in tenths of the customers; equal probabilities share a bin.

    >>> calibration(np.array([0.1, 0.3, 0.3]), np.array([0, 1, 0]))[1]
    CalibrationBin(predicted=0.3, observed=0.5, rows=2)
    """
    edges = np.unique(np.quantile(probabilities, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]))
    position = np.searchsorted(edges, probabilities)
    return tuple(
        CalibrationBin(
            predicted=float(np.mean(probabilities[position == part])),
            observed=float(np.mean(outcomes[position == part])),
            rows=int(np.sum(position == part)),
        )
        for part in np.unique(position)
    )


def campaign_value(
    probabilities: np.ndarray,
    outcomes: np.ndarray,
    thresholds: np.ndarray,
    *,
    contact_cost: float,
    saved_value: float,
) -> np.ndarray:
    """Value of contacting everybody from a threshold on, relative to contacting nobody.

    Parameters
    ----------
    probabilities, outcomes
        See `evaluate`.
    thresholds
        In [0, 1], shape (t,).
    contact_cost
        Of one retention offer, in money.
    saved_value
        Expected value of offering it to somebody who would have churned, in the same money.

    Returns
    -------
    ndarray of float64, shape (t,)
        Money; the highest is the threshold to choose.
    """
    contacted = probabilities >= thresholds[:, np.newaxis]
    return np.asarray((contacted * (outcomes * saved_value - contact_cost)).sum(axis=1))
