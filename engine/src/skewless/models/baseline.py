"""The transparent rule from config: what a model must beat."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skewless.core.contract import Columns
from skewless.core.errors import ConfigError
from skewless.core.feature_matrix import feature_matrix
from skewless.core.project import Project
from skewless.core.sections import AnyConfig


def check_baseline(config: AnyConfig, names: Sequence[str]) -> None:
    """Refuse a scorecard on a column that is none of the features.

    Raises
    ------
    ConfigError
        Names those that are.
    """
    column = config.baseline.column
    if column not in names:
        msg = (
            f"config.yaml: baseline.column: found {column!r}; "
            f"allowed are {', '.join(names)}"
        )
        raise ConfigError(msg)


def baseline_probability(
    project: Project[Any, Any], records: Columns, config: AnyConfig
) -> np.ndarray:
    """Read the probability of the event off a scorecard: one model column, a few cuts.

    A value equal to a cut belongs to the interval that the cut begins; a missing value
    has its own entry.

    Returns
    -------
    ndarray of float64, shape (n,)
        Probabilities in [0, 1].

    Raises
    ------
    KeyError
        `baseline.column` is not a feature; see `check_baseline`.
    """
    baseline = config.baseline
    matrix = feature_matrix(project, records, config.features, names=[baseline.column])
    values = matrix[:, 0]
    interval = np.searchsorted(np.asarray(baseline.cuts), values, side="right")
    interval[np.isnan(values)] = len(baseline.cuts) + 1
    return np.asarray(baseline.probabilities, dtype=np.float64)[interval]
