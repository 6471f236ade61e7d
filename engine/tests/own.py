"""This project, as tests name it; `project` is the folder that a test works in."""

from importlib.util import find_spec, module_from_spec
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from churn_service.project import project as PROJECT  # noqa: N812 - not the fixture
from skewless.core.answer import Decision
from skewless.core.contract import Contract
from skewless.core.workspace import Workspace
from skewless.serving.follow import Models
from skewless.serving.service import Service

CONTRACT = PROJECT.contract
ID, TARGET = CONTRACT.id, CONTRACT.target


def contract_of(record: type[BaseModel]) -> Contract:
    """Return the contract of another record class.

    Its table names id and target as this project's does.
    """
    return Contract(
        record, CONTRACT.table.model_copy(update={"headers": {}, "dates": {}})
    )


def fresh_app() -> FastAPI:
    """Build the project's application anew.

    A process that serves has one, and tests have many.
    """
    spec = find_spec("churn_service.api")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def said(decision: Decision) -> dict[str, Any]:
    """Say a decision in the words of the project's API."""
    return {
        "churn_probability": decision.probability,
        "churn_prediction": decision.decision,
        "risk_tier": decision.tier,
    }


WORDS = {
    "churn_probability": "probability",
    "churn_prediction": "decision",
    "risk_tier": "tier",
}


def neutral(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of the API in the words of the engine, as the log has it."""
    return {WORDS.get(name, name): value for name, value in answer.items()}


def service_of(models: Models, work: Workspace) -> Service:
    """Build a service as production does, in this process."""
    return Service(models, work, fresh_app())
