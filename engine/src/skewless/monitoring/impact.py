"""A window's rows → what each column alone does to the answers."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from skewless.models.reference import LEVELS, Distribution, Reference, is_missing

SEED = 1


class Effect(NamedTuple):
    """What a column alone does to the answers."""

    mean_change: float
    """Mean probability now, less that with the column as in training.

    0.02 is two more events in a hundred records.
    """
    tier_change: float
    """Share of records, at least, whose tier differs from that; 0 to 1.

    It is half the sum of the differences of the tiers' shares, so that records which
    change places count for nothing.
    """


def column_effects(
    records: Mapping[str, np.ndarray],
    reference: Reference,
    probabilities: Callable[[Mapping[str, np.ndarray]], np.ndarray],
    *,
    bounds: tuple[float, float],
) -> dict[str, Effect]:
    """Measure what each column alone does to the answers.

    The model's answers are compared with those to the same rows, one column mapped back
    to training.

    Parameters
    ----------
    records
        The record's columns, each (n,), n at least 1.
    reference, probabilities
        Of the version that answers.
    bounds
        Of its decision: the lowest probability of MEDIUM, and that of HIGH.
    """
    now = probabilities(records)
    effects = {}
    for name, values in records.items():
        mapped = map_back(values, reference.columns[name])
        before = probabilities({**records, name: mapped})
        moved = tier_shares(now, bounds) - tier_shares(before, bounds)
        effects[name] = Effect(
            mean_change=float(now.mean() - before.mean()),
            tier_change=float(np.abs(moved).sum() / 2),
        )
    return effects


def tier_shares(probabilities: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Return the shares of LOW, MEDIUM and HIGH; a bound belongs to the tier above.

    >>> tier_shares(np.array([0.1, 0.3, 0.5, 0.9]), (0.3, 0.6)).tolist()
    [0.25, 0.5, 0.25]
    """
    places = np.searchsorted(bounds, probabilities, side="right")
    return np.bincount(places, minlength=len(bounds) + 1) / len(probabilities)


def map_back(values: np.ndarray, trained: Distribution) -> np.ndarray:
    """Give a column the distribution that it had in training.

    The rows stay in their order. A number keeps its rank and takes the value of that
    rank in training; a whole one stays whole, rounded up into the bin it lies in. Of a
    category, of a number of few values and of what is missing, no more rows change than
    must.
    """
    random = np.random.default_rng(SEED)
    if not trained.edges:
        places = trained.place(values)
        wanted = _rebalanced(places, np.array(trained.counts), random)
        rare = trained.rare[:1] or (None,)
        stands_for = np.array([*trained.values, *rare, None, None], dtype=object)
        return np.where(
            wanted == places, values, stands_for[wanted].astype(values.dtype)
        )
    missing = is_missing(values)
    counts = np.array([sum(trained.counts[:-1]), trained.counts[-1]])
    absent = _rebalanced(missing.astype(np.uint8), counts, random) == 1
    drawn = np.interp(random.random(len(values)), LEVELS, trained.quantiles)
    filled = np.where(missing, random.permutation(drawn), values)[~absent]
    ranks = (np.argsort(np.argsort(filled, kind="stable")) + 0.5) / max(len(filled), 1)
    mapped = np.full(len(values), np.nan)
    mapped[~absent] = np.interp(ranks, LEVELS, trained.quantiles)
    return (
        np.ceil(mapped)
        if np.array_equal(values, np.floor(values), equal_nan=True)
        else mapped
    )


def _rebalanced(
    places: np.ndarray, counts: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Move as few rows as possible so that bins get the shares of `counts`.

    Return the new bin of each row.
    """
    exact = counts / counts.sum() * len(places)
    wanted = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(wanted - exact, kind="stable")  # the largest first
    wanted[by_remainder[: len(places) - wanted.sum()]] += 1
    order = np.lexsort((random.random(len(places)), places))
    present = np.bincount(places, minlength=len(counts))
    rank = np.arange(len(places)) - (np.cumsum(present) - present)[places[order]]
    surplus = random.permutation(order[rank >= wanted[places[order]]])
    moved = places.astype(np.int64)
    moved[surplus] = np.repeat(np.arange(len(counts)), np.maximum(wanted - present, 0))
    return moved
