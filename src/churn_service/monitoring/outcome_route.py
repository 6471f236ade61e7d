"""``POST /outcomes``: what became of customers whose churn was predicted."""

from typing import Annotated, Any, Final

from fastapi import Body, Depends, HTTPException, Request
from pydantic import BaseModel, Field, create_model

from churn_service.application import KEY, REFUSED, limit_rows
from churn_service.contract import Contract
from churn_service.messages import Problem
from churn_service.monitoring.outcomes import OfPrediction, Outcome, Outcomes, outcome_models
from churn_service.problems import RETRY, UNAVAILABLE

NOT_FOUND: Final = 404
INVALID: Final = 422


class OutcomeRequest(BaseModel, extra="forbid", strict=True):
    """What became of some customers, each known by an answer's id or by its own."""

    outcomes: list[Outcome]  # `route` gives it the contract's models


class Recorded(BaseModel):
    """How many outcomes are on disk now."""

    accepted: int


def route(contract: Contract) -> dict[str, Any]:
    """Return the route for a contract, as the arguments of `FastAPI.add_api_route`."""
    models = outcome_models(contract)
    kinds = (OfPrediction, models.of_customer)
    fields = frozenset(field.alias or name for kind in kinds for name, field in kind.model_fields.items())
    body = create_model(
        "OutcomeRequest",
        __base__=OutcomeRequest,
        __doc__=OutcomeRequest.__doc__,
        __module__=__name__,
        outcomes=(models.several, Field(min_length=1)),
    )
    said_of_one = {"outcome": 1, "observed_at": "2026-03-01T12:00:00+00:00"}
    example = {"outcomes": [{contract.id: contract.example()[contract.id], **said_of_one}]}

    async def record_outcomes(request: Request, said: Annotated[body, Body(examples=[example])]) -> Recorded:
        return await record(request, said)

    async def limit_outcomes(request: Request) -> None:
        """Refuse what is no JSON, and what would cost too much to validate."""
        await limit_rows(request, "outcomes", fields)

    return {
        "path": "/outcomes",
        "endpoint": record_outcomes,
        "methods": ["POST"],
        "name": record.__name__,
        "description": record.__doc__,
        "responses": {**REFUSED, NOT_FOUND: {"model": Problem}},
        "dependencies": [KEY, Depends(limit_outcomes)],
    }


async def record(request: Request, said: OutcomeRequest) -> Recorded:
    """Record what became of customers; a correction is sent as another outcome, a repetition does no harm."""
    state = request.app.state
    outcomes: Outcomes | None = state.outcomes
    if outcomes is None:
        raise HTTPException(NOT_FOUND, "this service keeps no prediction log, which outcomes belong to")
    refusal = outcomes.refusal(said.outcomes)
    if refusal is not None:
        raise HTTPException(INVALID, refusal)
    try:
        await state.pool.run(outcomes.add, said.outcomes)
    except OSError as error:
        seen = request.scope["state"]["request_id"]
        state.log.warning("outcomes were not recorded", request_id=seen, reason=error.strerror)
        detail = "the outcomes could not be written; none of them was recorded, send them again"
        raise HTTPException(UNAVAILABLE, detail, RETRY) from error
    return Recorded(accepted=len(said.outcomes))
