"""Probabilities + outcomes → each score with its 95 % interval."""

from typing import Final

import numpy as np

from skewless.core.bootstrap import SEED, Interval, percentile_interval
from skewless.core.metrics import log_losses

RESAMPLES: Final = 200


class Ranking:
    """Records in the order of their probabilities, sorted once for all draws."""

    def __init__(self, probabilities: np.ndarray, outcomes: np.ndarray) -> None:
        self._order = np.argsort(-probabilities, kind="stable")
        ranked = probabilities[self._order]
        self._happened = outcomes[self._order] == 1
        # Of records with equal probabilities, the last: none is before another.
        self._ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)

    def measure(self, times: np.ndarray) -> tuple[float, float]:
        """Compute ROC AUC and average precision, as scikit-learn defines them.

        Parameters
        ----------
        times
            How often each record is there, (n,).

        Returns
        -------
        tuple of float and float
            NaN where the records have one outcome.
        """
        drawn = times[self._order]
        true = np.cumsum(drawn * self._happened)[self._ends]
        positive = np.cumsum(drawn)[self._ends]
        false = positive - true
        events, others = true[-1], false[-1]
        if events == 0 or others == 0:
            return np.nan, np.nan
        more = np.diff(true, prepend=0)
        below = true - more / 2
        area = np.diff(false, prepend=0) @ below / (events * others)
        precision = true / np.maximum(positive, 1)
        return float(area), float(more @ precision / events)


def measured(probabilities: np.ndarray, outcomes: np.ndarray) -> dict[str, Interval]:
    """Measure `SCORES`, each with its 95 % percentile interval (Efron 1993).

    Rows are drawn again, `RESAMPLES` times and the same for all scores. A draw that
    lacks an outcome has no ranking, and counts for the other scores only.

    Parameters
    ----------
    probabilities, outcomes
        Of n rows, float64 (n,) from 0 to 1 and integers (n,) of 0 and 1, with both
        outcomes among them.
    """
    rows = len(outcomes)
    random = np.random.default_rng(SEED)
    ranking = Ranking(probabilities, outcomes)
    losses = np.stack(
        [(probabilities - outcomes) ** 2, log_losses(probabilities, outcomes)]
    )
    draws = np.empty((4, RESAMPLES))
    for draw in range(RESAMPLES):
        times = np.bincount(random.integers(0, rows, rows), minlength=rows)
        draws[:2, draw] = losses @ times / rows
        draws[2:, draw] = ranking.measure(times)
    once = np.ones(rows, dtype=np.int64)
    values = (*losses.mean(axis=1), *ranking.measure(once))
    names = ("brier", "log_loss", "roc_auc", "average_precision")
    return {
        name: _around(float(value), found)
        for name, value, found in zip(names, values, draws, strict=True)
    }


def _around(value: float, draws: np.ndarray) -> Interval:
    """Return the interval; it holds the value even where the draws are biased."""
    low, high = percentile_interval(draws[np.isfinite(draws)])
    return Interval(value, min(low, value), max(high, value))
