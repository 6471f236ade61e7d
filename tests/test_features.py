"""The features of a few customers, worked out by hand.

Add a line for every feature that you add.
"""

from typing import Any

import numpy as np
import pytest
from skewless.testing import as_scalars

from churn_service.config import FeaturesConfig
from churn_service.features import add_features
from churn_service.project import project
from churn_service.schema import Customer

FEATURES = FeaturesConfig(recent_login_days=30)


@pytest.mark.parametrize(
    ("given", "feature", "expected"),
    [
        ({"spend": 120.0, "active_days": 60}, "spend_per_active_day", 2.0),
        ({"spend": 120.0, "active_days": 1}, "spend_per_active_day", 120.0),
        ({"spend": 120.0, "active_days": 0}, "spend_per_active_day", 120.0),
        ({"spend": 0.0, "active_days": 0}, "spend_per_active_day", 0.0),
        ({"days_since_login": 30}, "is_recent", True),
        ({"days_since_login": 31}, "is_recent", False),
        ({"plan": "premium"}, "plan_premium", True),
        ({"plan": "premium"}, "plan_basic", False),
        ({"satisfaction": None}, "satisfaction", np.nan),
        ({"satisfaction": 2}, "satisfaction", 2.0),
        ({"tenure_months": 7}, "tenure_months", 7),
    ],
)
def test_a_feature_has_the_value_worked_out_by_hand(
    given: dict[str, Any], feature: str, expected: Any
):
    customer = as_scalars(
        Customer(**(project.contract.example() | given)), project.contract
    )

    made = add_features(customer, FEATURES)

    assert made[feature] == pytest.approx(expected, nan_ok=True)
