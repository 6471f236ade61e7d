"""Single requests that arrive together → one run of the model.

Under load the event loop finds many requests at once. Run one after the other, each
would find the processor's caches full of something else: measured, a prediction takes
three times as long as one in a loop. So those that arrived together are one run of the
model. Nobody waits for anybody who is not there yet.
"""

import asyncio

from pydantic import BaseModel

from skewless.core.answer import Decision
from skewless.models.predict import Predictor


class MicroBatch:
    """The single requests of one turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[
            Predictor, list[tuple[BaseModel, asyncio.Future[Decision]]]
        ] = {}

    async def predict(self, predictor: Predictor, record: BaseModel) -> Decision:
        """Predict with whatever else was asked in this turn of the event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Decision] = loop.create_future()
        waiting = self._waiting.setdefault(predictor, [])
        waiting.append((record, future))
        if len(waiting) == 1:
            loop.call_soon(self._run, predictor)
        return await future

    def _run(self, predictor: Predictor) -> None:
        waiting = self._waiting.pop(predictor)
        try:
            decisions = predictor.predict([record for record, _ in waiting])
            decided = list(zip(waiting, decisions, strict=True))
        except Exception:  # noqa: BLE001 - one record's error must not be the others'
            for record, future in waiting:
                _alone(predictor, record, future)
            return
        for (_, future), decision in decided:
            if not future.done():
                future.set_result(decision)


def _alone(
    predictor: Predictor, record: BaseModel, future: asyncio.Future[Decision]
) -> None:
    try:
        (decision,) = predictor.predict([record])
    except Exception as error:  # noqa: BLE001 - raised again where it is awaited
        if not future.done():
            future.set_exception(error)
    else:
        if not future.done():
            future.set_result(decision)
