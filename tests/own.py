"""This project, as tests name it; `project` is the folder that a test works in."""

from pydantic import BaseModel

from churn_service.contract import Contract
from churn_service.project import project as PROJECT  # noqa: N812 - a constant, and the fixture has its name

CONTRACT = PROJECT.contract
ID, TARGET = CONTRACT.id, CONTRACT.target


def contract_of(record: type[BaseModel]) -> Contract:
    """Return the contract of another record class, whose table names id and target as this project's does."""
    return Contract(record, CONTRACT.table.model_copy(update={"headers": {}, "dates": {}}))
