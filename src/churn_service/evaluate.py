"""Probabilities and outcomes → metrics: how good a model is.

The engine measures the model with `evaluate`, and what it is compared with, too.
"""

import numpy as np
from skewless import Metrics, TableError, calibration
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)


def evaluate(
    probabilities: np.ndarray, outcomes: np.ndarray, *, threshold: float
) -> Metrics:
    """Measure predicted probabilities against what happened.

    Metrics of your own go into `others`, by name.

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
            f"all {len(outcomes)} customers of the holdout have the same outcome; "
            "both are needed to evaluate. "
            "Give a larger table or raise data.holdout_fraction"
        )
        raise TableError(msg)
    counts = confusion_matrix(
        outcomes, probabilities >= threshold, labels=[0, 1]
    ).ravel()
    return Metrics(
        roc_auc=float(roc_auc_score(outcomes, probabilities)),
        average_precision=float(average_precision_score(outcomes, probabilities)),
        brier=float(brier_score_loss(outcomes, probabilities)),
        log_loss=float(log_loss(outcomes, probabilities, labels=[0, 1])),
        confusion=tuple(int(count) for count in counts),
        calibration=calibration(probabilities, outcomes),
        rows=len(outcomes),
        event_rate=float(np.mean(outcomes)),
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

    Notebook 02 chooses the threshold with it; nothing else does.

    Parameters
    ----------
    probabilities, outcomes
        See `evaluate`.
    thresholds
        In [0, 1], shape (t,).
    contact_cost
        Of one retention offer, in money.
    saved_value
        Expected value of offering it to a customer with the outcome 1, in the same
        money.

    Returns
    -------
    ndarray of float64, shape (t,)
        Money; the highest is the threshold to choose.
    """
    contacted = probabilities >= thresholds[:, np.newaxis]
    return np.asarray((contacted * (outcomes * saved_value - contact_cost)).sum(axis=1))
