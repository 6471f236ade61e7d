"""Whatever is in production → the model that answers, without a request noticing.

A version is fetched, verified and tried out beside the one that answers, and takes its place in one
assignment. Requests in flight finish with the model they began with; what is refused changes nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from fastapi import FastAPI, HTTPException, Request
from structlog.typing import FilteringBoundLogger

from churn_service.errors import ChurnError
from churn_service.messages import Readiness
from churn_service.pool import Pool
from churn_service.predict import Predictor
from churn_service.serving.metrics import Meter

CONFLICT: Final = 409
LONGEST_LOOK: Final = 3_600.0  # seconds, for a large model; the one that serves answers meanwhile


class Models(NamedTuple):
    """Where models come from.

    `load` opens what should answer, `wanted` names it without opening it; `open` opens any version,
    `resolve` names the version that an alias stands for.
    """

    load: Callable[[], Predictor]
    wanted: Callable[[], str | None]
    open: Callable[[str], Predictor]
    resolve: Callable[[str], str]
    stale: Callable[[], bool] = bool
    """Tells whether `wanted` went by what was known before, as nobody could be asked."""


class Follower:
    """Keeps `app.state.predictor` what should answer; `app.state.refused` names a version that may not."""

    def __init__(self, app: FastAPI, models: Models, meter: Meter, *, log: FilteringBoundLogger) -> None:
        self._state, self._models, self._meter, self._log = app.state, models, meter, log
        self._looking, self._told = asyncio.Lock(), ""
        self._beside = Pool(1, LONGEST_LOOK).run  # a store that hangs does not keep the process from ending

    async def follow(self, seconds: float) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(seconds)
            await self.look()

    async def look(self) -> None:
        """Ask what should answer, and change over if it is another and good."""
        async with self._looking:
            wanted: str | None = None
            try:
                wanted = await self._beside(self._models.wanted)
                self._meter.unreachable.inc(self._models.stale())
                if self._answers(wanted):
                    self._state.refused, self._told = None, ""
                    return
                found = await self._beside(self._models.load)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the looking goes on
                self._refuse(wanted, error)
            else:
                self._change(found)

    def _answers(self, wanted: str | None) -> bool:
        """Tell whether there is nothing to change; the baseline answers only until there is any model."""
        source = self._state.predictor.source
        return source.trained_at is not None and wanted in {None, source.version}

    def _change(self, found: Predictor) -> None:
        before, self._state.predictor = self._state.predictor, found
        self._state.refused, self._told = None, ""
        self._meter.serve(found.version)
        self._meter.reloads.labels("changed").inc()
        self._log.info("the model answers", model_version=found.version, before=before.version)

    def _refuse(self, wanted: str | None, error: Exception) -> None:
        """Go on with what answers; say why once, not at every look."""
        self._state.refused = wanted or "unknown"
        self._meter.reloads.labels("refused").inc()
        known = isinstance(error, (ChurnError, OSError))
        why = str(error) if known else f"{type(error).__name__}: {error}"
        if why != self._told:
            self._told = why
            version = self._state.predictor.version
            self._log.warning("no model", wanted=wanted, reason=self._told, answering=version)


async def reload(request: Request) -> Readiness:
    """Look at once for another model, in this process; other processes look for themselves."""
    state = request.app.state
    await state.follower.look()
    if state.refused is not None:
        detail = f"{state.refused} is refused, {state.predictor.version} answers on; the log says why"
        raise HTTPException(CONFLICT, detail)
    status = "ready" if state.predictor.source.trained_at else "degraded"
    return Readiness(status=status, model_version=state.predictor.version)
