"""Probabilities + outcomes → each score with its 95 % interval."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from skewless.core.bootstrap import SEED, Interval, percentile_interval
from skewless.core.metrics import log_losses

RESAMPLES: Final = 200
RANKINGS: Final[Mapping[str, Callable[..., float]]] = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
}


def measured(probabilities: np.ndarray, outcomes: np.ndarray) -> dict[str, Interval]:
    """Measure `SCORES`, each with its 95 % percentile interval (Efron 1993).

    Rows are drawn again, `RESAMPLES` times and the same for all scores.

    Parameters
    ----------
    probabilities, outcomes
        Of n rows, float64 (n,) from 0 to 1 and integers (n,) of 0 and 1, with both
        outcomes among them.
    """
    rows = len(outcomes)
    random = np.random.default_rng(SEED)
    times = [
        np.bincount(random.integers(0, rows, rows), minlength=rows)
        for _ in range(RESAMPLES)
    ]
    # A mean of losses is quicker drawn again than measured again.
    losses = {
        "brier": (probabilities - outcomes) ** 2,
        "log_loss": log_losses(probabilities, outcomes),
    }
    found = {}
    for name, values in losses.items():
        draws = np.array([values @ each for each in times]) / rows
        found[name] = Interval(float(values.mean()), *percentile_interval(draws))
    for name, measure in RANKINGS.items():
        draws = np.array(
            [measure(outcomes, probabilities, sample_weight=each) for each in times]
        )
        value = float(measure(outcomes, probabilities))
        found[name] = Interval(value, *percentile_interval(draws))
    return found
