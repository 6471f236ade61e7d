"""Training rows → the answers of models that never saw them."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from skewless.core.errors import TableError
from skewless.models.export import probabilities_of
from skewless.training.data import TrainingData, fit_rows

FOLDS: Final = 5
REPEATS: Final = 2
SEEDS: Final = 2**32  # that NumPy and scikit-learn take


def cross_validated(
    data: TrainingData, training: Any, section: Any, *, advance: Callable[[int], None]
) -> np.ndarray:
    """Answer each training row by models that never saw it, on average.

    Returns probabilities of the m rows that are not held out, float64 (m,).
    """
    matrix = data.matrix[~data.is_held_out]
    target = data.target[~data.is_held_out]
    keys = data.keys[~data.is_held_out]
    answers = np.zeros(len(target))
    for repeat in range(REPEATS):
        for seen, asked in folds(target, keys, seed=seed_of(section, repeat)):
            fitted = fit_rows(training, matrix[seen], target[seen], config=section)
            found = probabilities_of(fitted, matrix[asked], data.names)
            answers[asked] += found / REPEATS
            advance(1)
    return answers


def seed_of(section: Any, repeat: int) -> int:
    """Return the seed of one split into folds, which follows `random_state`.

    A section that has none counts from 0.
    """
    seed: int = getattr(section, "random_state", 0)
    return (seed + repeat) % SEEDS


def folds(
    target: np.ndarray, keys: np.ndarray, *, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split n rows into `FOLDS`; rows of one key are in one fold.

    Which rows are seen and which are asked is yielded for each fold, as positions.

    Raises
    ------
    TableError
        There are fewer keys than folds.
    """
    different = len(np.unique(keys))
    if different < FOLDS:
        msg = (
            f"{different} groups are left to train on; {FOLDS} are needed to compare. "
            "Give a larger table, or another data.group"
        )
        raise TableError(msg)
    settings = {"n_splits": FOLDS, "shuffle": True, "random_state": seed}
    if different < len(keys):
        yield from StratifiedGroupKFold(**settings).split(target, target, keys)
    else:
        yield from StratifiedKFold(**settings).split(target, target)
