"""A window's rows → by how much each column alone moves the mean probability."""

from collections.abc import Callable, Mapping

import numpy as np

from skewless.models.reference import LEVELS, Distribution, Reference, is_missing

SEED = 1


def mean_changes(
    records: Mapping[str, np.ndarray],
    reference: Reference,
    probabilities: Callable[[Mapping[str, np.ndarray]], np.ndarray],
) -> dict[str, float]:
    """Measure by how much each column alone moves the mean probability.

    The model's answers are compared with those to the same rows, one column mapped back
    to training.

    Parameters
    ----------
    records
        The record's columns, each (n,).
    reference, probabilities
        Of the version that answers.

    Returns
    -------
    dict of str to float
        Column → mean probability now, less that with the column as in training; 0.02 is
        two more events in a hundred records.
    """
    now = probabilities(records).mean()
    mapped = {
        name: map_back(values, reference.columns[name])
        for name, values in records.items()
    }
    return {
        name: float(now - probabilities({**records, name: mapped[name]}).mean())
        for name in mapped
    }


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
