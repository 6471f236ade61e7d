"""config.yaml → the training table with its features, and models fitted on it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from skewless.core.code_faults import fault_in_code
from skewless.core.errors import ConfigError, TableError
from skewless.core.feature_matrix import features_of
from skewless.core.project import Training
from skewless.core.workspace import Workspace
from skewless.models.baseline import check_baseline
from skewless.models.boosters import BOOSTERS, not_installed
from skewless.models.exportable import check_training, made_exportable
from skewless.tables.faults import check_table
from skewless.tables.simulate import simulate
from skewless.tables.split import is_holdout, read_keyed
from skewless.training.proof import Features

NO_MISSING: Final = (
    ". Some features are missing: an estimator that takes no NaN needs a SimpleImputer "
    "before it"
)


@dataclass(frozen=True)
class TrainingData:
    """The training table of n rows, checked and split, with its features."""

    table: pd.DataFrame
    target: np.ndarray
    """0 or 1, shape (n,)."""
    keys: np.ndarray
    """What keeps rows together in any split, shape (n,); see `read_keyed`."""
    is_held_out: np.ndarray
    """bool, shape (n,)."""
    features: Features
    matrix: np.ndarray
    """float32 (n, k)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""
        return self.features.names

    @cached_property
    def holdout(self) -> pd.DataFrame:
        """The rows that are held out."""
        return self.table[self.is_held_out]


def read_training_data(work: Workspace) -> TrainingData:
    """Read, check and split the training table, and compute its features.

    Raises
    ------
    ConfigError
        `baseline.column` is not a feature, or the features cannot be computed.
    TableError
        The table breaks the contract, or holds too little to train on.
    """
    data = work.config.data
    path = work.root / data.path
    table, keys = read_keyed(path, work.contract, data.format, split=data.split)
    return _prepared(work, table, keys)


def read_or_simulate(work: Workspace) -> TrainingData:
    """Read the training table, or make it up while there is no file of that name.

    Raises
    ------
    ConfigError, TableError
        See `read_training_data`.
    """
    data = work.config.data
    if (work.root / data.path).exists():
        return read_training_data(work)
    sample = data.sample
    made_up = simulate(sample.rows, sample.random_state, work.contract)
    table = check_table(pd.DataFrame(made_up), work.contract)
    return _prepared(work, table, table[work.contract.id])


def _prepared(work: Workspace, table: pd.DataFrame, keys: pd.Series) -> TrainingData:
    """Split a checked table and compute its features."""
    config = work.config
    split = config.data.split
    is_held_out = is_holdout(keys, fraction=split.fraction, salt=split.salt)
    if not is_held_out.any():
        kept_together = "records" if split.group is None else split.group
        msg = (
            f"no record is held out: data.holdout_salt put all {keys.nunique():,} "
            f"{kept_together} on the side to train on. "
            "Give a larger table, or another salt or holdout_fraction"
        )
        raise TableError(msg)
    names = tuple(features_of(work.project, table[:1], config.features))
    check_baseline(config, names)
    features = Features(work.project, config.features, names)
    target = table[work.contract.target].to_numpy()
    return TrainingData(
        table, target, keys.to_numpy(), is_held_out, features, features.matrix(table)
    )


def fit(training: Training[Any], data: TrainingData, config: Any) -> Any:
    """Fit the project's estimator on what is not held out, ready to be exported.

    Raises
    ------
    ConfigError
        It fails; the message names its line, or the package that it lacks.
    TableError
        There is too little to train on.
    """
    matrix = data.matrix[~data.is_held_out]
    target = data.target[~data.is_held_out]
    check_training(matrix, target, data.names)
    return made_exportable(fit_rows(training, matrix, target, config=config))


def fit_rows(
    training: Training[Any], matrix: np.ndarray, target: np.ndarray, *, config: Any
) -> Any:
    """Fit the project's estimator; an error of its own is told with its line.

    Raises
    ------
    ConfigError
        See `fit`.
    """
    try:
        fitted = training.train(matrix, target, config)
    except Exception as error:  # an estimator raises whatever it likes
        if isinstance(error, ModuleNotFoundError) and error.name in BOOSTERS:
            raise not_installed(error.name) from error
        advice = NO_MISSING if "NaN" in str(error) else ""
        raise fault_in_code(error, training.train, advice) from error
    if not hasattr(fitted, "classes_"):
        kind = "nothing"
        if fitted is not None:
            kind = (
                f"a {type(fitted).__name__}, which was not fitted or is no classifier"
            )
        msg = (
            f"train.py: train returned {kind}. "
            "End it with `return build_model(model).fit(matrix, target)`"
        )
        raise ConfigError(msg)
    return fitted
