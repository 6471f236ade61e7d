"""`Model`: what an endpoint asks for to predict by the version in production."""

import os
import time
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import BaseModel

from skewless.core.answer import ID_DIGITS, Answer, Answered, Decision
from skewless.models.predict import Predictor
from skewless.serving.state import REQUEST, SERVICE, RequestState, ServiceState

# A larger batch is answered by a thread, so that probes never wait.
INLINE_ROWS: Final = 64


class ServedModel:
    """A loaded version, on behalf of one request.

    What it answers is logged and counted with that request.
    """

    def __init__(
        self, request: Request, state: ServiceState, predictor: Predictor
    ) -> None:
        self._request = request
        self._state = state
        self._predictor = predictor

    async def predict(self, record: BaseModel) -> Answer:
        """Answer one record.

        Raises
        ------
        PredictionError
            The answer is no probability.
        DeadlineError
            It took longer than `serving.deadline_seconds`.
        """
        (answer,) = await self.predict_batch([record])
        return answer

    async def predict_batch(self, records: Sequence[BaseModel]) -> list[Answer]:
        """Answer several records, exactly as one by one and in their order.

        It raises what `predict` does.
        """
        started = time.perf_counter()
        source = self._predictor.source
        decisions = await self._decisions(records)
        ids = os.urandom(ID_DIGITS // 2 * len(records)).hex()
        cuts = range(0, len(ids), ID_DIGITS)
        answers = [
            Answer(
                probability,
                decision,
                tier,
                source.version,
                source.trained_at,
                ids[cut : cut + ID_DIGITS],
            )
            for cut, (probability, decision, tier) in zip(cuts, decisions, strict=True)
        ]
        latency_ms = round((time.perf_counter() - started) * 1000, 3)
        seen: RequestState = self._request.scope[REQUEST]
        seen.answered = Answered(records, answers, source, latency_ms)
        return answers

    async def _decisions(self, records: Sequence[BaseModel]) -> Sequence[Decision]:
        """Predict at once, together with others that are there, or by a thread."""
        state = self._state
        predictor = self._predictor
        if state.serving.runtime == "scikit-learn" or len(records) > INLINE_ROWS:
            decisions: list[Decision] = await state.pool.run(predictor.predict, records)
            return decisions
        if len(records) == 1 and _is_accompanied(self._request):
            return [await state.micro_batch.predict(predictor, records[0])]
        return predictor.predict(records)


def _is_accompanied(request: Request) -> bool:
    """Tell whether other requests are there; `serve` says so, by its connections."""
    return len(request.scope.get("state", {}).get("tasks", ())) > 1


async def served_model(request: Request) -> ServedModel:
    """Return the model in production, for this request."""
    state: ServiceState = request.scope[SERVICE]
    return ServedModel(request, state, state.loaded())


Model = Annotated[ServedModel, Depends(served_model)]
"""Annotation of an endpoint's parameter: the model in production."""
