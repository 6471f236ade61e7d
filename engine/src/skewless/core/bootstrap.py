"""How much a figure would vary had other records been there: the bootstrap."""

from typing import Final

import numpy as np

LEVEL: Final = 0.95  # of an interval
SEED: Final = 1  # so that the same values give the same interval


def draw_sums(values: np.ndarray, resamples: int) -> np.ndarray:
    """Draw units again with replacement, as many as there are, and sum their values.

    Parameters
    ----------
    values
        k figures of each of n units, float64 (k, n).
    resamples
        How often n units are drawn.

    Returns
    -------
    ndarray
        The sums of each draw, float64 (k, resamples).
    """
    units = values.shape[1]
    random = np.random.default_rng(SEED)
    sums = np.empty((len(values), resamples))
    for draw in range(resamples):
        drawn = random.integers(0, units, units)
        times = np.bincount(drawn, minlength=units)
        sums[:, draw] = values @ times
    return sums


def percentile_interval(draws: np.ndarray) -> tuple[float, float]:
    """Return the bounds that hold the middle `LEVEL` of the draws (Efron 1993)."""
    outside = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [outside, 1 - outside])
    return float(low), float(high)
