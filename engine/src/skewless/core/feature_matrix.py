"""Record columns → the matrix that is trained on and that is served, by the project's own features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from skewless.core.contract import Columns, categories
from skewless.core.feature_faults import fault_in_code, fault_in_values
from skewless.core.project import Project


def one_hot(records: Columns, name: str, record: type[BaseModel]) -> dict[str, Any]:
    """Encode a category column as one 0/1 column per category that the record class declares.

    Stateless: nothing is fitted, so nothing can differ between training and serving. A missing category is
    zero everywhere.
    """
    return {f"{name}_{category}": records[name] == category for category in categories(record, name)}


def feature_matrix(
    project: Project[Any, Any], records: Columns, config: Any, *, names: Sequence[str] | None = None
) -> np.ndarray:
    """Build the matrix that is trained on and that is served.

    Parameters
    ----------
    project
        Whose features they are.
    records
        DataFrame, or mapping of column name → array of shape (n,) or NumPy scalar.
    config
        The `features` section of its configuration.
    names
        Features to pick, in this order; at serving time the artefact's. Default: all, in declared order.

    Returns
    -------
    ndarray of float32, shape (n, k)
        One row per record; (1, k) for a record of scalars.

    Raises
    ------
    KeyError
        A wanted feature is not made by this code.
    ConfigError
        A line of the features' function fails, or a feature is not a number per record; names it.
    """
    try:
        made = project.features(records, config)
    except Exception as error:
        raise fault_in_code(error, project.features) from error
    try:
        names = tuple(made) if names is None else names
        # A row per feature, then turned: the quickest way with scalars, and as quick as any with columns.
        matrix = np.array([made[name] for name in names], dtype=np.float32).reshape(len(names), -1)
    except (ValueError, TypeError) as error:
        raise fault_in_values(made, names or ()) from error
    return np.ascontiguousarray(matrix.T)
