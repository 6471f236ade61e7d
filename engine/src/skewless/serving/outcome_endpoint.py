"""``POST /outcomes``: what became of the records that were predicted."""

from typing import Annotated, Final

from fastapi import Body, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, create_model

from skewless.core.contract import Contract
from skewless.monitoring.outcomes import Outcome, outcome_models
from skewless.serving.messages import Problem
from skewless.serving.problems import NOT_FOUND, RETRY, UNAVAILABLE
from skewless.serving.state import REQUEST, SERVICE, RequestState, ServiceState

INVALID: Final = 422


class OutcomeRequest(BaseModel, extra="forbid", strict=True):
    """What became of some records, each known by an answer's id or by its own."""

    outcomes: list[Outcome]  # `add_endpoint` gives it the contract's models


class Recorded(BaseModel):
    """How many outcomes are on disk now."""

    accepted: int


def add_endpoint(app: FastAPI, contract: Contract) -> None:
    """Add the endpoint that takes outcomes, with the contract's own id."""
    models = outcome_models(contract)
    body = create_model(
        "OutcomeRequest",
        __base__=OutcomeRequest,
        __doc__=OutcomeRequest.__doc__,
        __module__=__name__,
        outcomes=(models.several, Field(min_length=1)),
    )
    said_of_one = {
        contract.id: contract.example()[contract.id],
        "outcome": 1,
        "observed_at": "2026-03-01T12:00:00+00:00",
    }
    example = {"outcomes": [said_of_one]}

    @app.post(
        "/outcomes",
        name=record.__name__,
        description=record.__doc__,
        responses={NOT_FOUND: {"model": Problem}},
    )
    async def record_outcomes(
        request: Request, said: Annotated[body, Body(examples=[example])]
    ) -> Recorded:
        return await record(request, said)


async def record(request: Request, said: OutcomeRequest) -> Recorded:
    """Record outcomes; a correction is another outcome, a repetition does no harm."""
    state: ServiceState = request.scope[SERVICE]
    if state.outcomes is None:
        raise HTTPException(
            NOT_FOUND, "this service keeps no prediction log, which outcomes belong to"
        )
    refusal = state.outcomes.refusal(said.outcomes)
    if refusal is not None:
        raise HTTPException(INVALID, refusal)
    try:
        await state.pool.run(state.outcomes.add, said.outcomes)
    except OSError as error:
        seen: RequestState = request.scope[REQUEST]
        state.log.warning(
            "outcomes were not recorded",
            request_id=seen.request_id,
            reason=error.strerror,
        )
        detail = (
            "the outcomes could not be written; "
            "none of them was recorded, send them again"
        )
        raise HTTPException(UNAVAILABLE, detail, RETRY) from error
    return Recorded(accepted=len(said.outcomes))
