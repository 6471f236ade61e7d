"""Where this project's files meet the engine.

Every process loads it, and it imports no scikit-learn.
"""

from typing import Final

from skewless import Project

from churn_service.config import Config
from churn_service.features import add_features
from churn_service.schema import (
    TABLE,
    Customer,
)

INTENDED_USE: Final = (
    "Rank customers for a retention offer and tell how likely each is to leave. "
    "A person or a campaign decides what follows. "
    "Not for pricing, credit, employment or any decision with legal effect on a person."
)

project: Final = Project(
    name="churn-service",
    prefix="CHURN_",
    record=Customer,
    table=TABLE,
    features=add_features,
    config=Config,
    intended_use=INTENDED_USE,
    # These three tell other processes where to import from; leave them as they are.
    place="churn_service.project:project",
    training="churn_service.train:training",
    app="churn_service.api:app",
)
