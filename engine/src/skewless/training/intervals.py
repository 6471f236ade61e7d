"""Probabilities + outcomes → each score with its 95 % interval."""

from typing import Final

import numpy as np

from skewless.core.bootstrap import SEED, Interval, percentile_interval
from skewless.core.metrics import log_losses

RESAMPLES: Final = 200


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
    # Sorted once, and not in each draw.
    order = np.argsort(-probabilities, kind="stable")
    ranked, happened = probabilities[order], outcomes[order]
    # Of rows with equal probabilities, the last: none is before another.
    ends = np.append(np.flatnonzero(np.diff(ranked)), rows - 1)
    losses = np.stack([(ranked - happened) ** 2, log_losses(ranked, happened)])
    draws = np.empty((4, RESAMPLES))
    for draw in range(RESAMPLES):
        times = np.bincount(random.integers(0, rows, rows), minlength=rows)
        draws[:2, draw] = losses @ times / rows
        draws[2:, draw] = _rankings(happened, times, ends)
    once = np.ones(rows, dtype=np.int64)
    values = (*losses.mean(axis=1), *_rankings(happened, once, ends))
    names = ("brier", "log_loss", "roc_auc", "average_precision")
    return {
        name: _around(float(value), found)
        for name, value, found in zip(names, values, draws, strict=True)
    }


def _rankings(
    happened: np.ndarray, times: np.ndarray, ends: np.ndarray
) -> tuple[float, float]:
    """Compute ROC AUC and average precision, as scikit-learn defines them.

    NaN where the rows have one outcome.

    Parameters
    ----------
    happened, times
        Outcomes and how often each row is there, the highest probability first, (n,).
    ends
        Places of the last rows of equal probabilities.
    """
    true = np.cumsum(times * happened)[ends]
    positive = np.cumsum(times)[ends]
    false = positive - true
    events = true[-1]
    others = false[-1]
    if events == 0 or others == 0:
        return np.nan, np.nan
    more = np.diff(true, prepend=0)
    # No `@`: BLAS wakes threads for it, which hinder each other on a busy machine.
    area = (np.diff(false, prepend=0) * (true - more / 2)).sum() / (events * others)
    precision = true / np.maximum(positive, 1)
    return float(area), float((more * precision).sum() / events)


def _around(value: float, draws: np.ndarray) -> Interval:
    """Return the interval; it holds the value even where the draws are biased."""
    low, high = percentile_interval(draws[np.isfinite(draws)])
    return Interval(value, min(low, value), max(high, value))
