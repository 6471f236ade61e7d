"""``POST /outcomes``: what became of customers whose churn was predicted."""

from typing import Annotated, Any, Final

from fastapi import Body, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from churn_service.api import KEY, REFUSED, limit_rows
from churn_service.contract import example
from churn_service.messages import Problem
from churn_service.monitoring.outcomes import (
    NO_CUSTOMERS,
    OfCustomer,
    OfPrediction,
    Outcome,
    Outcomes,
)
from churn_service.problems import RETRY, UNAVAILABLE
from churn_service.schema import ID

NOT_FOUND: Final = 404
INVALID: Final = 422
EXAMPLE: Final = {"outcomes": [{ID: example()[ID], "outcome": 1, "observed_at": "2026-03-01T12:00:00+00:00"}]}
FIELDS: Final = frozenset(
    field.alias or name for kind in (OfPrediction, OfCustomer) for name, field in kind.model_fields.items()
)


class OutcomeRequest(BaseModel, extra="forbid", strict=True):
    """What became of some customers, each known by an answer's id or by its own."""

    outcomes: Annotated[list[Outcome], Field(min_length=1)]


class Recorded(BaseModel):
    """How many outcomes are on disk now."""

    accepted: int


async def record(request: Request, said: Annotated[OutcomeRequest, Body(examples=[EXAMPLE])]) -> Recorded:
    """Record what became of customers; a correction is sent as another outcome, a repetition does no harm."""
    state = request.app.state
    outcomes: Outcomes | None = state.outcomes
    if outcomes is None:
        raise HTTPException(NOT_FOUND, "this service keeps no prediction log, which outcomes belong to")
    if not outcomes.takes_customers and any(isinstance(each, OfCustomer) for each in said.outcomes):
        raise HTTPException(INVALID, NO_CUSTOMERS)
    try:
        await state.pool.run(outcomes.add, said.outcomes)
    except OSError as error:
        seen = request.scope["state"]["request_id"]
        state.log.warning("outcomes were not recorded", request_id=seen, reason=error.strerror)
        detail = "the outcomes could not be written; none of them was recorded, send them again"
        raise HTTPException(UNAVAILABLE, detail, RETRY) from error
    return Recorded(accepted=len(said.outcomes))


async def limit_outcomes(request: Request) -> None:
    """Refuse what is no JSON, and what would cost too much to validate."""
    await limit_rows(request, "outcomes", FIELDS)


ROUTE: Final[dict[str, Any]] = {
    "path": "/outcomes",
    "endpoint": record,
    "methods": ["POST"],
    "responses": {**REFUSED, NOT_FOUND: {"model": Problem}},
    "dependencies": [KEY, Depends(limit_outcomes)],
}
