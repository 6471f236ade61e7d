"""Record columns → the matrix to train on and to serve, by the project's features."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from skewless.core.code_faults import fault_in_code
from skewless.core.contract import Columns, categories
from skewless.core.errors import ConfigError
from skewless.core.project import Project

FIELDS: Final = ". A column must be a field of the record in schema.py"
OPERATIONS: Final = (
    ". Only arithmetic, comparisons and NumPy functions do on arrays and on single "
    "numbers"
)


def fault_in_values(made: Any, names: Sequence[str]) -> ConfigError:
    """Name the features that are no numbers; if all are, those of unusual length."""
    if not isinstance(made, Mapping):
        return ConfigError(
            f"features.py: add_features returns {type(made).__name__}, "
            "not a dict of features"
        )
    words = [name for name in names if not _is_numeric(made[name])]
    if words:
        return ConfigError(
            f"features.py: {', '.join(words)} must be numbers; a category needs one_hot"
        )
    shapes = {name: np.shape(made[name]) for name in names}
    [(usual, _)] = Counter(shapes.values()).most_common(1)
    others = ", ".join(
        f"{name} of shape {shape}" for name, shape in shapes.items() if shape != usual
    )
    return ConfigError(
        f"features.py: {others}; every feature has one value per record, {usual}"
    )


def _is_numeric(values: Any) -> bool:
    try:
        np.asarray(values, dtype=np.float32)
    except (ValueError, TypeError):
        return False
    return True


def one_hot(records: Columns, name: str, record: type[BaseModel]) -> dict[str, Any]:
    """Encode a category column as one 0/1 column per category.

    The record class declares the categories. Stateless: nothing is fitted, so nothing
    can differ between training and serving. A missing category is zero everywhere.
    """
    return {
        f"{name}_{category}": records[name] == category
        for category in categories(record, name)
    }


def features_of(
    project: Project[Any, Any], records: Columns, config: Any
) -> Mapping[str, Any]:
    """Compute the features by name, in declared order; see `feature_matrix`."""
    try:
        return project.features(records, config)
    except Exception as error:
        advice = FIELDS if isinstance(error, KeyError) else OPERATIONS
        raise fault_in_code(error, project.features, advice) from error


def feature_matrix(
    project: Project[Any, Any],
    records: Columns,
    config: Any,
    *,
    names: Sequence[str] | None = None,
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
        Features to pick, in this order; at serving time the artefact's. Default: all,
        in declared order.

    Returns
    -------
    ndarray of float32, shape (n, k)
        One row per record; (1, k) for a record of scalars.

    Raises
    ------
    KeyError
        A wanted feature is not made by this code.
    ConfigError
        A line of the features' function fails, or a feature is not a number per record;
        names it.
    """
    made = features_of(project, records, config)
    try:
        names = tuple(made) if names is None else names
        # A row per feature, then turned: the quickest way with scalars, and as quick as
        # any with columns.
        matrix = np.array([made[name] for name in names], dtype=np.float32).reshape(
            len(names), -1
        )
    except (ValueError, TypeError) as error:
        raise fault_in_values(made, names or ()) from error
    return np.ascontiguousarray(matrix.T)
