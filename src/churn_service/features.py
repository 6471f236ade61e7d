"""Record columns → model columns: the one function that training and serving share.

`add_features` is written with arithmetic, comparisons and NumPy ufuncs only, so the same expression runs on a
pandas or Dask Series, on an array and on a single NumPy scalar. It works row by row: a customer's features
never depend on who else is in the table. To add a feature, add a line; its key is the only list there is.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from churn_service.contract import Columns, categories
from churn_service.feature_faults import fault_in_code, fault_in_values


class FeaturesConfig(BaseModel, frozen=True, strict=True, extra="forbid", allow_inf_nan=False):
    """The `features` section of config.yaml; recorded in the artefact, which is what serving reads."""

    recent_login_days: Annotated[
        int,
        Field(ge=0, le=3_650, description="A login at most this many days ago is recent; days, 0 to 3650"),
    ]


def add_features(customers: Columns, features: FeaturesConfig) -> dict[str, Any]:
    """Compute the model's columns from the record's columns, in the order to train on.

    Parameters
    ----------
    customers
        DataFrame, or mapping of column name → array of shape (n,) or NumPy scalar. Missing numbers are NaN
        and stay NaN: the default model reads them natively.
    features
        The knobs that were hard-coded in the notebook.

    Returns
    -------
    dict of str to column
        Feature name → column of the same shape as the inputs.
    """
    return {
        "tenure_months": customers["tenure_months"],
        "spend": customers["spend"],
        "active_days": customers["active_days"],
        "days_since_login": customers["days_since_login"],
        "satisfaction": customers["satisfaction"],
        # Somebody who never logged in still spends: at least one day keeps the ratio finite.
        "spend_per_active_day": customers["spend"] / np.maximum(customers["active_days"], 1),
        "is_recent": customers["days_since_login"] <= features.recent_login_days,
        **one_hot(customers, "plan"),
    }


def one_hot(customers: Columns, name: str) -> dict[str, Any]:
    """Encode a category column as one 0/1 column per category that the contract declares.

    Stateless: nothing is fitted, so nothing can differ between training and serving. A missing category is
    zero everywhere.
    """
    return {f"{name}_{category}": customers[name] == category for category in categories(name)}


def feature_matrix(
    customers: Columns, features: FeaturesConfig, names: Sequence[str] | None = None
) -> np.ndarray:
    """Build the matrix that is trained on and that is served.

    Parameters
    ----------
    customers
        See `add_features`.
    features
        See `add_features`.
    names
        Features to pick, in this order; at serving time the artefact's. Default: all, in declared order.

    Returns
    -------
    ndarray of float32, shape (n, k)
        One row per customer; (1, k) for a record of scalars.

    Raises
    ------
    KeyError
        A wanted feature is not made by this code.
    ConfigError
        A line of `add_features` fails, or a feature is not a number per customer; names it.
    """
    try:
        made = add_features(customers, features)
    except Exception as error:
        raise fault_in_code(error, __file__) from error
    try:
        names = tuple(made) if names is None else names
        # A row per feature, then turned: the quickest way with scalars, and as quick as any with columns.
        matrix = np.array([made[name] for name in names], dtype=np.float32).reshape(len(names), -1)
    except (ValueError, TypeError) as error:
        raise fault_in_values(made, names or ()) from error
    return np.ascontiguousarray(matrix.T)
