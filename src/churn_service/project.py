"""Where this project's files meet the engine. Loaded by every process; imports no scikit-learn."""

from typing import Final

from churn_service.config import Config
from churn_service.features import add_features
from churn_service.schema import TABLE, Customer
from churn_service.seam import Project

project: Final = Project(
    name="churn-service",
    prefix="CHURN_",
    record=Customer,
    table=TABLE,
    features=add_features,
    config=Config,
    place="churn_service.project:project",
    training="churn_service.train:training",
    routes="churn_service.api:ROUTES",
)
