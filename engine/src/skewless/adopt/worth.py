"""How well each field separates the outcomes alone, and the scorecards it makes."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skewless.adopt.cells import TRUTH, Distinct
from skewless.adopt.fields import AdoptedField
from skewless.adopt.target import Target
from skewless.adopt.written import Written

SAMPLE: Final = 100_000  # rows that columns are judged on, evenly spread
BINS: Final = 20
FOLDS: Final = 2
SEED: Final = 1
SMOOTHING: Final = 2.0  # rows of the whole table's share, added to every bin
QUARTERS: Final = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Scorecard:
    """The `baseline` section of config.yaml: what a model must beat."""

    column: str
    cuts: tuple[float, ...]
    probabilities: tuple[float, ...]
    auc: float


@dataclass(frozen=True)
class Judged:
    """A field, and what it is worth alone."""

    field: AdoptedField
    auc: float
    cards: tuple[Scorecard, ...]


def sample(column: pa.ChunkedArray) -> pa.Array:
    """Take rows evenly from a column, the same from every column of a table."""
    rows = np.unique(np.linspace(0, len(column) - 1, SAMPLE).astype(np.int64))
    if len(rows) != len(column):
        column = column.take(pa.array(rows))
    return column.combine_chunks()


def outcomes(column: pa.Array, target: Target) -> np.ndarray:
    """Read the target of sampled rows as 0 and 1."""
    return np.array([target.meanings[word.strip()] for word in column.to_pylist()])


def judge(
    field: AdoptedField, column: pa.Array, *, written: Written, target: np.ndarray
) -> Judged:
    """Judge one field by sampled rows."""
    values = _as_numbers(field, column, written)
    auc = own_auc(values, target)
    if field.kind != "category":
        cards = [scorecard(field.name, values, target)]
    else:
        # A missing category is zero everywhere, as in `one_hot`.
        cards = [
            scorecard(name, (values == code).astype(np.float64), target)
            for code, name in enumerate(field.features)
        ]
    return Judged(field, auc, tuple(card for card in cards if card is not None))


def _as_numbers(field: AdoptedField, column: pa.Array, written: Written) -> np.ndarray:
    """Read cells as the model's numbers; a missing one is NaN.

    A category is read as the place of its value.
    """
    encoded = column.dictionary_encode()
    different = Distinct(encoded.dictionary, np.ones(len(encoded.dictionary)))
    match field.kind:
        case "category":
            places = {
                value: float(place) for place, value in enumerate(field.profile.values)
            }
            texts = different.texts.to_pylist()
            read = np.array([places.get(text, np.nan) for text in texts])
        case "boolean":
            texts = different.stripped.to_pylist()
            read = np.array([TRUTH.get(text.lower(), np.nan) for text in texts])
        case "date":
            read = different.days(field.profile.date_format)
        case _:
            read = different.numbers(written.style)
    is_missing = pc.is_in(different.stripped, pa.array(written.missing))
    read = np.where(is_missing, np.nan, read)
    codes = encoded.indices.fill_null(len(read)).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(read, np.nan)[codes])


def own_auc(values: np.ndarray, target: np.ndarray) -> float:
    """Measure how well one column separates the outcomes alone, 0.5 to 1.

    The better of two readings: the number itself, with missing at either end, and the
    share of positives in its bins, each row judged by the rows of the other half.

    Parameters
    ----------
    values
        Numbers, dates in days, truth values or a category's codes, float64 (n,); NaN is
        missing.
    target
        0 or 1, (n,).
    """
    if len(np.unique(target)) < 2:  # noqa: PLR2004 - nothing to separate
        return 0.5
    missing_first = np.nan_to_num(values, nan=-np.inf)
    missing_last = np.nan_to_num(values, nan=np.inf)
    shares = _judged_by_others(_binned(values), target)
    return max(_auc(each, target) for each in (missing_first, missing_last, shares))


def _auc(scores: np.ndarray, target: np.ndarray) -> float:
    """Count the pairs of outcomes that the scores put in order, in either direction.

    A tie counts as half a pair.

    >>> _auc(np.array([1, 2, 2, 3]), np.array([0, 0, 1, 1]))
    0.875
    """
    _, place, rows = np.unique(scores, return_inverse=True, return_counts=True)
    ones = np.bincount(place, target)
    zeros = rows - ones
    below = np.cumsum(zeros) - zeros
    found = float(np.sum(ones * (below + zeros / 2)) / (ones.sum() * zeros.sum()))
    return max(found, 1 - found)


def _binned(values: np.ndarray) -> np.ndarray:
    """Put every value into a bin of its own if there are few, else into twentieths.

    Missing values go into the last bin.
    """
    present = values[~np.isnan(values)]
    edges = np.unique(present)
    if len(edges) > 5 * BINS:
        edges = np.unique(np.quantile(present, np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, values)
    bins[np.isnan(values)] = len(edges) + 1
    return bins


def _judged_by_others(bins: np.ndarray, target: np.ndarray) -> np.ndarray:
    halves = np.random.default_rng(SEED).permutation(len(bins)) % FOLDS
    scores = np.empty(len(bins))
    for half in range(FOLDS):
        own = halves == half
        others = ~own
        rows = np.bincount(bins[others], minlength=bins.max() + 1)
        positive = np.bincount(bins[others], target[others], minlength=bins.max() + 1)
        share = (positive + SMOOTHING * target[others].mean()) / (rows + SMOOTHING)
        scores[own] = share[bins[own]] - target[others].mean()
    return scores


def scorecard(name: str, values: np.ndarray, target: np.ndarray) -> Scorecard | None:
    """Cut a model column into at most four intervals; None if it is constant.

    Each interval has its share of positives.
    """
    present = values[~np.isnan(values)]
    cuts = _cuts(present)
    if not cuts:
        return None
    interval = np.searchsorted(cuts, values, side="right")
    interval[np.isnan(values)] = len(cuts) + 1
    rows = np.bincount(interval, minlength=len(cuts) + 2)
    positive = np.bincount(interval, target, minlength=len(cuts) + 2)
    share = (positive + SMOOTHING * target.mean()) / (rows + SMOOTHING)
    probabilities = np.clip(share, 0.001, 0.999).round(3)
    auc = _auc(probabilities[interval], target)
    return Scorecard(name, cuts, tuple(probabilities.tolist()), auc)


def _cuts(present: np.ndarray) -> tuple[float, ...]:
    """Choose round numbers near the quartiles, or the middles between few values."""
    distinct = np.unique(present)
    if len(distinct) < 2:  # noqa: PLR2004 - one value cannot be cut
        return ()
    if len(distinct) <= len(QUARTERS) + 1:
        wanted = (distinct[1:] + distinct[:-1]) / 2
    else:
        wanted = np.unique(np.quantile(present, QUARTERS))
    cuts = sorted({_rounded(cut, distinct) for cut in wanted.tolist()})
    return tuple(cut for cut in cuts if distinct[0] < cut <= distinct[-1])


def _rounded(cut: float, distinct: np.ndarray) -> float:
    """Round the cut to as few digits as possible.

    It may move over no more than a twentieth of the values.
    """
    place = np.searchsorted(distinct, cut)
    for digits in range(1, 16):
        rounded = float(f"{cut:.{digits}g}")
        moved = abs(int(np.searchsorted(distinct, rounded)) - int(place))
        if moved <= len(distinct) / BINS:
            return rounded
    return float(cut)
