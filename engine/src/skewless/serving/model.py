"""`Model`: what an endpoint asks for to predict by the version in production."""

import os
import time
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import BaseModel

from skewless.core.answer import (
    ID_DIGITS,
    Answer,
    Answered,
    Answers,
    Decision,
    RiskTier,
)
from skewless.core.record_columns import RecordColumns
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
        started = time.perf_counter()
        decision = await self._decide(record)
        source = self._predictor.source
        answer = Answer(
            *decision,
            model_version=source.version,
            trained_at=source.trained_at,
            prediction_id=os.urandom(ID_DIGITS // 2).hex(),
        )
        self._note([record], [answer], started=started)
        return answer

    async def predict_batch(self, records: Sequence[BaseModel]) -> Sequence[Answer]:
        """Answer several records, exactly as one by one and in their order.

        It raises what `predict` does.
        """
        if len(records) == 1:
            return [await self.predict(records[0])]
        if not records:
            return []
        started = time.perf_counter()
        columns = RecordColumns.of(records)
        decisions = await self._decide_columns(columns)
        ids = os.urandom(ID_DIGITS // 2 * len(records)).hex()
        cuts = range(0, len(ids), ID_DIGITS)
        answers = Answers(
            self._predictor.source,
            *decisions,
            prediction_id=[ids[cut : cut + ID_DIGITS] for cut in cuts],
        )
        self._note(columns, answers, started=started)
        return answers

    async def _decide(self, record: BaseModel) -> Decision:
        """Predict at once, together with others that are there, or by a thread."""
        state = self._state
        predictor = self._predictor
        if state.serving.runtime == "scikit-learn":
            decisions: list[Decision]
            decisions = await state.pool.run(predictor.predict, [record])
            return decisions[0]
        if _is_accompanied(self._request):
            return await state.micro_batch.predict(predictor, record)
        return predictor.predict([record])[0]

    async def _decide_columns(
        self, records: RecordColumns
    ) -> tuple[list[float], list[bool], list[RiskTier]]:
        """Predict at once or, what takes longer, by a thread."""
        state = self._state
        predict = self._predictor.predict_columns
        if state.serving.runtime == "scikit-learn" or len(records) > INLINE_ROWS:
            decisions: tuple[list[float], list[bool], list[RiskTier]]
            decisions = await state.pool.run(predict, records)
            return decisions
        return predict(records)

    def _note(
        self, records: Sequence[BaseModel], answers: Sequence[Answer], *, started: float
    ) -> None:
        """Leave with the request what is to be logged and counted."""
        latency_ms = round((time.perf_counter() - started) * 1000, 3)
        seen: RequestState = self._request.scope[REQUEST]
        source = self._predictor.source
        seen.answered = Answered(records, answers, source, latency_ms)


def _is_accompanied(request: Request) -> bool:
    """Tell whether other requests are there; `serve` says so, by its connections."""
    return len(request.scope.get("state", {}).get("tasks", ())) > 1


async def served_model(request: Request) -> ServedModel:
    """Return the model in production, for this request."""
    state: ServiceState = request.scope[SERVICE]
    return ServedModel(request, state, state.loaded())


Model = Annotated[ServedModel, Depends(served_model)]
"""Annotation of an endpoint's parameter: the model in production."""
