"""Record columns → model columns: the one function that training and serving share.

`add_features` is written with arithmetic, comparisons and NumPy ufuncs only, so the
same expression runs on a pandas Series, on an array and on a single NumPy scalar. It
works row by row: features never depend on who else is in the table. To add a feature,
add a line: the keys of the dictionary are the model's columns, and there is no second
list of them.
"""

from typing import Any

import numpy as np
from skewless import Columns, one_hot

from churn_service.config import FeaturesConfig
from churn_service.schema import Customer


def add_features(customers: Columns, features: FeaturesConfig) -> dict[str, Any]:
    """Compute the model's columns from the record's columns, in the order to train on.

    Parameters
    ----------
    customers
        DataFrame, or mapping of column name → array of shape (n,) or NumPy scalar.
        Missing numbers are NaN and stay NaN: the trees read them natively.
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
        # Somebody who never logged in still spends: at least one day keeps the ratio
        # finite.
        "spend_per_active_day": customers["spend"]
        / np.maximum(customers["active_days"], 1),
        "is_recent": customers["days_since_login"] <= features.recent_login_days,
        **one_hot(customers, "plan", Customer),
    }
