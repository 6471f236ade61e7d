"""Training rows → bins frozen for ever, and counts in them that add up.

Live rows are compared with these.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from pydantic import BaseModel

TENTHS: Final = tuple(tenth / 10 for tenth in range(1, 10))
LEVELS: Final = (0.005, *TENTHS, 0.995)
"""Shares of the rows below each of a number's quantiles."""
MOST_VALUES = 20  # distinct, of a number whose values are bins
SMALLEST_SHARE = 0.01  # of the rows, of a value that is a bin of its own
MOST_COUNTS: Final = 100_000
"""Numbers that `count_segments` keeps, as a service loads them with the model."""
# Rows added to each bin, so that an empty one does not make the index infinite.
SMOOTHING = 0.5
SHUFFLES = 5
SEED = 1


class Distribution(BaseModel, frozen=True, extra="ignore"):
    """How a column's values lay in training, in bins that never change.

    A number has its deciles as edges, `edges[i - 1] < value <= edges[i]` with open
    ends, then a bin for what is missing. A category, or a number of few values, has a
    bin per frequent value, then one for its rare values, one for values that training
    never saw, and one for what is missing.
    """

    edges: tuple[float, ...] = ()
    values: tuple[float | str, ...] = ()
    rare: tuple[float | str, ...] = ()
    counts: tuple[int, ...] = ()
    """Rows per bin."""
    quantiles: tuple[float, ...] = ()
    """Of a number with edges, at `LEVELS`; of what is not missing."""
    importance: float = 0.0
    """Nats; see `importances`."""

    @property
    def bins(self) -> int:
        """Number of bins; the last is of missing values."""
        return len(self.edges) + 2 if self.edges else len(self.values) + 3

    @property
    def known_bins(self) -> int:
        """Number of bins that hold values which training saw: the first ones."""
        return self.bins - (1 if self.edges else 2)

    @property
    def segments(self) -> tuple[int, ...]:
        """Bins whose records share a value, or have none."""
        return (*range(len(self.values)), self.bins - 1)

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value, uint8 (n,).

        Numbers come in any numeric type, text as objects.
        """
        values = _plain(values)
        if self.edges:
            places = np.searchsorted(self.edges, values)
        else:
            places = np.full(len(values), self.known_bins)
            for place, value in enumerate(self.values + self.rare):
                places[values == value] = min(place, len(self.values))
        places[is_missing(values)] = self.bins - 1
        return places.astype(np.uint8)

    def count(self, values: np.ndarray) -> np.ndarray:
        """Count values per bin, int64 (bins,).

        The counts of parts add up to those of the whole.
        """
        return np.bincount(self.place(values), minlength=self.bins)


class SegmentCounts(BaseModel, frozen=True, extra="ignore"):
    """How the records that share a value lay in the bins of all records."""

    columns: dict[str, tuple[int, ...]]
    """Column, but for the one whose value they share → rows per bin."""
    score: tuple[int, ...]
    """Rows per bin, of the records held out."""


class Reference(BaseModel, frozen=True, extra="ignore"):
    """What a version was trained on, as far as drift has to know it."""

    columns: dict[str, Distribution]
    """Of all rows of the table."""
    score: Distribution
    """Of the probabilities of the records held out.

    Those of the other records are fitted to them.
    """
    segments: dict[str, dict[int, SegmentCounts]] = {}
    """Column of choices → its bin → the records in it.

    Bins of rare and new values are no segments. Earlier versions kept none.
    """

    def of_segment(self, column: str, place: int) -> "Reference":
        """Return what the records in a bin of a column were trained on."""
        counts = self.segments[column][place]
        return Reference(
            columns={
                name: self.columns[name].model_copy(update={"counts": rows})
                for name, rows in counts.columns.items()
            },
            score=self.score.model_copy(update={"counts": counts.score}),
        )


def is_missing(values: np.ndarray) -> np.ndarray:
    """Tell which values are NaN or None, bool (n,)."""
    if values.dtype.kind == "O":
        return np.array(
            [
                value is None or value != value  # noqa: PLR0124 - NaN
                for value in values.tolist()
            ],
            dtype=bool,
        )
    return np.asarray(np.isnan(values))


def freeze(values: np.ndarray, importance: float = 0.0) -> Distribution:
    """Choose the bins of a column by its own values, and count it."""
    values = _plain(values)
    present = values[~is_missing(values)]
    distinct, times = np.unique(present, return_counts=True)
    if values.dtype.kind == "O" or len(distinct) <= MOST_VALUES:
        frequent = times >= SMALLEST_SHARE * len(values)
        bins = Distribution(
            values=tuple(distinct[frequent].tolist()),
            rare=tuple(distinct[~frequent].tolist()),
        )
    else:
        edges = np.unique(np.quantile(present, TENTHS)).tolist()
        bins = Distribution(
            edges=tuple(edges), quantiles=tuple(np.quantile(present, LEVELS).tolist())
        )
    counts = tuple(bins.count(values).tolist())
    return bins.model_copy(update={"counts": counts, "importance": importance})


def _plain(values: np.ndarray) -> np.ndarray:
    """Read truth values and whole numbers as numbers; text stays objects."""
    return values if values.dtype.kind == "O" else values.astype(np.float64)


def count_segments(
    reference: Reference,
    records: Mapping[str, np.ndarray],
    scores: np.ndarray,
    *,
    is_held_out: np.ndarray,
    by: Sequence[str],
) -> Reference:
    """Add the records of each value of some columns to a reference.

    Parameters
    ----------
    reference
        What it is without them.
    records
        The columns, each (n,).
    scores
        Of the records held out, (h,).
    is_held_out
        Which those are, bool (n,).
    by
        The columns whose values are segments, the most important first. From the one
        on that would make it more than `MOST_COUNTS` numbers, none is counted.
    """
    columns = reference.columns
    places = {name: columns[name].place(values) for name, values in records.items()}
    held_out = reference.score.place(scores)
    bins = sum(each.bins for each in columns.values()) + reference.score.bins
    segments = dict[str, dict[int, SegmentCounts]]()
    left = MOST_COUNTS
    for name in by:
        left -= bins * columns[name].bins
        if left < 0:
            break
        segments[name] = {}
        for place in columns[name].segments:
            inside = places[name] == place
            if not inside.any():
                continue
            segments[name][place] = SegmentCounts(
                columns={
                    other: _count(found[inside], columns[other].bins)
                    for other, found in places.items()
                    if other != name
                },
                score=_count(held_out[inside[is_held_out]], reference.score.bins),
            )
    return reference.model_copy(update={"segments": segments})


def _count(places: np.ndarray, bins: int) -> tuple[int, ...]:
    return tuple(np.bincount(places, minlength=bins).tolist())


def importances(
    records: Mapping[str, np.ndarray],
    outcomes: np.ndarray,
    loss: Callable[[Mapping[str, np.ndarray], np.ndarray], float],
) -> dict[str, float]:
    """Measure what each column is worth: how far shuffling it raises the loss.

    See Breiman (2001).

    Parameters
    ----------
    records
        The record's columns of rows that the model never saw, each (n,).
    outcomes
        Of those rows, 0 or 1, (n,).
    loss
        Mean log loss of the model on such columns and outcomes; nats per record.

    Returns
    -------
    dict of str to float
        Nats per record, mean of several shuffles; about 0, or below by chance, for a
        column of no use.
    """
    random = np.random.default_rng(SEED)
    before = loss(records, outcomes)
    repeated = {name: np.tile(values, SHUFFLES) for name, values in records.items()}
    worth = {}
    for name, values in records.items():
        shuffled = np.concatenate([random.permutation(values) for _ in range(SHUFFLES)])
        after = loss({**repeated, name: shuffled}, np.tile(outcomes, SHUFFLES))
        worth[name] = after - before
    return worth


def psi(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Measure how far two distributions lie apart: the population stability index.

    See Yurdakul (2018).

    Parameters
    ----------
    expected, actual
        Counts per bin, (..., bins); each bin counts half a row more. A bin that is
        empty on both sides is left out: half a row of few is a larger share than half a
        row of many, so it would look like a shift.

    Returns
    -------
    ndarray of float64, shape (...)
        0 is the same distribution, higher is further apart.

    >>> float(psi(np.array([50, 50, 0]), np.array([80, 20, 0])).round(3))
    0.406
    """
    kept = expected + actual > 0
    first = _shares(expected, kept)
    second = _shares(actual, kept)
    ratio = np.log(np.where(kept, second, 1)) - np.log(np.where(kept, first, 1))
    return np.asarray(((second - first) * ratio).sum(axis=-1))


def _shares(counts: np.ndarray, kept: np.ndarray) -> np.ndarray:
    rows = np.where(kept, counts + SMOOTHING, 0)
    return np.asarray(rows / rows.sum(axis=-1, keepdims=True))


def shift(expected: np.ndarray, actual: np.ndarray) -> float:
    """Measure how far two samples lie apart, as PSI in bins of the first.

    Where the first has few values, the bins meet halfway between them: another model of
    few categories gives scores that are hardly, and all, different.

    >>> shift(np.arange(100.0), np.arange(100.0))
    0.0
    """
    bins = freeze(expected)
    if len(bins.values) > 1:
        values = np.array(bins.values, dtype=np.float64)
        halfway = (values[:-1] + values[1:]) / 2
        bins = Distribution(edges=tuple(halfway))
    return float(psi(bins.count(expected), bins.count(actual)))
