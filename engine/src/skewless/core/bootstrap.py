"""How much a figure would vary had other records been there: the bootstrap."""

from typing import Final, NamedTuple

import numpy as np

LEVEL: Final = 0.95  # of an interval
SEED: Final = 1  # so that the same values give the same interval
RESAMPLES: Final = 1_000


class Interval(NamedTuple):
    """A mean, and where it would lie had other records been held out."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.5f} ({self.low:+.5f} to {self.high:+.5f})"


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


def paired_bootstrap(differences: np.ndarray) -> Interval:
    """Estimate the mean of paired differences and its 95 % percentile interval.

    See Efron and Tibshirani 1993. Both models are measured on the same records, so
    records are drawn again, not losses.
    """
    mean = float(differences.mean())
    # Deviations, so that no rounding moves the bounds of equal differences.
    (sums,) = draw_sums((differences - mean)[np.newaxis], RESAMPLES)
    low, high = percentile_interval(sums / len(differences))
    return Interval(mean, mean + low, mean + high)
