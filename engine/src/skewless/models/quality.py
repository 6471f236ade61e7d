"""What a version's answers were worth on the records held out, beyond one number each.

Metadata holds it, so that the card, a tracker or a colleague reads the same figures.
"""

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel

Z: Final = 1.959964
"""Standard errors on either side of a mean that a 95 % interval takes.

The 0.975 quantile of the normal distribution.
"""
HUNDREDTHS: Final = tuple(hundredth / 100 for hundredth in range(1, 100))
QUANTILES: Final = 100
BARS: Final = 30  # of the picture of all scores
FEWEST_ROWS: Final = 50
FEWEST_OUTCOMES: Final = 10
"""Of the rarer outcome, in a segment that is measured.

A standard error of fewer is itself hardly known.
"""


class Estimate(BaseModel, frozen=True, extra="ignore"):
    """A figure with its 95 % interval."""

    mean: float
    low: float
    high: float


class Segment(BaseModel, frozen=True, extra="ignore"):
    """How good a version is on the held-out records that share one value."""

    column: str
    kind: Literal["value", "missing", "present"]
    """`present`: any value, of a column whose values are too many to be segments."""
    value: str = ""
    """Of kind `value`, as the contract declares it."""
    rows: int
    events: int
    state: Literal["measured", "too_few", "one_outcome"]
    """Why there is no figure, if there is none: `FEWEST_ROWS`, `FEWEST_OUTCOMES`."""
    predicted_rate: float | None = None
    """Mean probability."""
    event_rate: Estimate | None = None
    log_loss: Estimate | None = None
    """Nats per record."""
    roc_auc: Estimate | None = None


class Scores(BaseModel, frozen=True, extra="ignore"):
    """How many held-out records lie between two probabilities, by outcome.

    The edges hold all hundredths, the hundredths of the records and even steps from the
    lowest to the highest probability. So confusion, net benefit, ROC curve and picture
    follow from the counts, and none of them needs the records.
    """

    low: float
    high: float
    """The lowest and the highest probability."""
    edges: tuple[float, ...]
    """Increasing; bin i holds `edges[i - 1] <= probability < edges[i]`, open-ended."""
    without_event: tuple[int, ...]
    with_event: tuple[int, ...]
    """Records per bin, one more than there are edges."""

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """Return false and true positive rates, each (bins + 1,), from 1 down to 0."""
        false = _from_the_right(self.without_event)
        true = _from_the_right(self.with_event)
        return false / false[0], true / true[0]

    def net_benefit(self) -> Mapping[str, np.ndarray]:
        """Compute the decision curve of Vickers and Elkin (2006).

        Acting on a record with the event is worth 1, acting on one without costs
        t / (1 - t), which is what somebody accepts who acts from a probability t on.
        So it compares decisions without invented costs.

        Returns
        -------
        dict of str to ndarray
            `threshold`, and for each the net benefit of the `model`, and of acting on
            `all`, per record; acting on none is worth 0. Each (99,). At most the event
            rate; below 0 it is better to act on none.
        """
        false = _from_the_right(self.without_event)
        true = _from_the_right(self.with_event)
        rows = false[0] + true[0]
        thresholds = np.array(HUNDREDTHS)
        bins = np.searchsorted(self.edges, thresholds) + 1
        accepted = thresholds / (1 - thresholds)
        return {
            "threshold": thresholds,
            "model": (true[bins] - accepted * false[bins]) / rows,
            "all": (true[0] - accepted * false[0]) / rows,
        }

    def histogram(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the edges of even bars, (k + 1,), and both outcomes' counts, (k,)."""
        edges = _even(self.low, self.high)
        cuts = np.searchsorted(self.edges, edges[1:-1]) + 1
        counts = []
        for each in (self.without_event, self.with_event):
            below = np.concatenate([[0], np.cumsum(each)])
            counts.append(np.diff([0, *below[cuts], below[-1]]))
        return edges, counts[0], counts[1]


def count_scores(probabilities: np.ndarray, outcomes: np.ndarray) -> Scores:
    """Count records between probabilities, by outcome.

    Parameters
    ----------
    probabilities, outcomes
        Of n records, in [0, 1] and 0 or 1; each (n,).
    """
    low = float(probabilities.min())
    high = float(probabilities.max())
    shares = np.linspace(0, 1, QUANTILES + 1)
    quantiles = np.quantile(probabilities, shares, method="lower")
    even = _even(low, high)[1:-1]
    edges = np.unique(np.concatenate([HUNDREDTHS, quantiles, even]))
    places = np.searchsorted(edges, probabilities, side="right")
    counts = [
        np.bincount(places[outcomes == outcome], minlength=len(edges) + 1).tolist()
        for outcome in (0, 1)
    ]
    return Scores(
        low=low,
        high=high,
        edges=tuple(edges.tolist()),
        without_event=tuple(counts[0]),
        with_event=tuple(counts[1]),
    )


def share_of(events: int, rows: int) -> Estimate:
    """Estimate a share, with the interval of Wilson (1927); `rows` is at least 1.

    >>> each = share_of(5, 10)
    >>> each.mean, round(each.low, 3), round(each.high, 3)
    (0.5, 0.237, 0.763)
    """
    share = events / rows
    weight = 1 + Z**2 / rows
    middle = (share + Z**2 / (2 * rows)) / weight
    spread = Z / weight * np.sqrt(share * (1 - share) / rows + (Z / (2 * rows)) ** 2)
    # A rounding must not move a bound past the share, nor out of [0, 1].
    low = max(0.0, min(share, middle - spread))
    high = min(1.0, max(share, middle + spread))
    return Estimate(mean=share, low=float(low), high=float(high))


def mean_of(values: np.ndarray) -> Estimate:
    """Estimate a mean, with the interval of the normal distribution.

    Parameters
    ----------
    values
        Of n records, n at least 2, (n,).
    """
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    return Estimate(mean=mean, low=mean - Z * error, high=mean + Z * error)


def auc_of(probabilities: np.ndarray, outcomes: np.ndarray) -> Estimate:
    """Estimate the area under the ROC curve, with the interval of DeLong (1988).

    Parameters
    ----------
    probabilities, outcomes
        Of n records, with at least two of each outcome; each (n,).
    """
    happened = outcomes == 1
    ranks = _ranks(probabilities)
    positive, negative = probabilities[happened], probabilities[~happened]
    # Of each record, the share of the other outcome's that it is rightly apart from.
    right_above = (ranks[happened] - _ranks(positive)) / len(negative)
    right_below = 1 - (ranks[~happened] - _ranks(negative)) / len(positive)
    variance = right_above.var(ddof=1) / len(positive)
    variance += right_below.var(ddof=1) / len(negative)
    area = float(right_above.mean())
    spread = Z * float(np.sqrt(variance))
    return Estimate(
        mean=area, low=max(0.0, area - spread), high=min(1.0, area + spread)
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank values from 1 on; equal ones share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _even(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, BARS + 1)


def _from_the_right(counts: tuple[int, ...]) -> np.ndarray:
    """Count the records from each bin on, int64 (bins + 1,); the last is 0."""
    return np.append(np.cumsum(counts[::-1])[::-1], 0)
