"""Validated customers → predictions: at once, together with others that are there, or by a thread.

Under load the event loop finds many requests at once. Run one after the other, each would find the
processor's caches full of something else: measured, a prediction takes three times as long as one in a loop.
So those that arrived together are one run of the model. Nobody waits for anybody who is not there yet.
"""

import asyncio
import os
import time
from collections.abc import Sequence

from fastapi import Request
from pydantic import BaseModel

from churn_service.decision import Decision
from churn_service.errors import NotReadyError
from churn_service.messages import Answered, Prediction
from churn_service.predict import Predictor

ID_DIGITS = 32  # hexadecimal, of a prediction's random id
INLINE_ROWS = 64  # a larger batch is answered by a thread, so that probes never wait


async def answer(
    request: Request, customers: Sequence[BaseModel], predictor: Predictor | None = None
) -> list[Prediction]:
    """Predict, by default with the model that serves; leave the answer where the layers around can see it."""
    started = time.perf_counter()
    predictor, state = predictor or loaded(request), request.app.state
    seen = request.scope.setdefault("state", {})
    if state.serving.runtime == "scikit-learn" or len(customers) > INLINE_ROWS:
        decisions = await state.pool.run(predictor.predict, customers)
    elif len(customers) == 1 and len(seen.get("tasks", ())) > 1:
        decisions = [await state.together.predict(predictor, customers[0])]
    else:
        decisions = predictor.predict(customers)
    source, ids = predictor.source, os.urandom(ID_DIGITS // 2 * len(customers)).hex()
    cuts = range(0, len(ids), ID_DIGITS)
    predictions = [
        Prediction(probability, churns, tier, source.version, source.trained_at, ids[cut : cut + ID_DIGITS])
        for cut, (probability, churns, tier) in zip(cuts, decisions, strict=True)
    ]
    latency_ms = round((time.perf_counter() - started) * 1000, 3)
    seen["answered"] = Answered(customers, predictions, source, latency_ms)
    return predictions


def loaded(request: Request) -> Predictor:
    """Return the model that serves, if there is one yet."""
    predictor: Predictor | None = request.app.state.predictor
    if predictor is None:
        msg = "no model is loaded yet; ask /ready"
        raise NotReadyError(msg)
    return predictor


class Together:
    """The single requests of one turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Predictor, list[tuple[BaseModel, asyncio.Future[Decision]]]] = {}

    async def predict(self, predictor: Predictor, customer: BaseModel) -> Decision:
        """Predict with whatever else was asked in this turn of the event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Decision] = loop.create_future()
        waiting = self._waiting.setdefault(predictor, [])
        waiting.append((customer, future))
        if len(waiting) == 1:
            loop.call_soon(self._run, predictor)
        return await future

    def _run(self, predictor: Predictor) -> None:
        waiting = self._waiting.pop(predictor)
        try:
            decisions = predictor.predict([customer for customer, _ in waiting])
            decided = list(zip(waiting, decisions, strict=True))
        except Exception:  # noqa: BLE001 - one customer's error must not become the others'
            for customer, future in waiting:
                _alone(predictor, customer, future)
            return
        for (_, future), decision in decided:
            if not future.done():
                future.set_result(decision)


def _alone(predictor: Predictor, customer: BaseModel, future: asyncio.Future[Decision]) -> None:
    try:
        (decision,) = predictor.predict([customer])
    except Exception as error:  # noqa: BLE001 - raised again where it is awaited
        if not future.done():
            future.set_exception(error)
    else:
        if not future.done():
            future.set_result(decision)
