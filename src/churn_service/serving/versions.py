"""Any registered version or alias → the answers of that very artefact, loaded when somebody first asks."""

import asyncio
import re
from typing import Annotated, Any, Final, Never

from fastapi import Body, Depends, HTTPException, Path, Request
from starlette.datastructures import State
from structlog.typing import FilteringBoundLogger

from churn_service.answer import answer, loaded
from churn_service.application import KEY, REFUSED, limit_record
from churn_service.contract import Contract
from churn_service.errors import (
    ArtifactNotFoundError,
    IncompatibleArtifactError,
    RefusedError,
    StoreError,
)
from churn_service.events import ALIASES
from churn_service.messages import Prediction, Problem
from churn_service.metadata import VERSION
from churn_service.predict import Predictor
from churn_service.problems import RETRY, UNAVAILABLE
from churn_service.registry import NEWEST
from churn_service.serving.follow import CONFLICT, Models

NAMED: Final = (NEWEST, *ALIASES)
NAME: Final = rf"^({'|'.join(NAMED)}|{VERSION.pattern})$"
NOT_FOUND: Final = 404
UNKNOWN: Final = (
    f"no version of that name, or nothing holds the alias; send {', '.join(NAMED)} or a version "
    "as `churn-service registry list` names them"
)
MEGABYTE: Final = 2**20
GROWTH: Final = 10  # bytes of memory per byte of model.onnx; measured: 18, 10, 8, 8.4 for 11, 43, 161, 658 kB
SESSION: Final = 100_000  # bytes besides, which explain the first of these


class Versions:
    """The versions beside the one that serves; those asked least recently leave when memory is used up."""

    def __init__(self, state: State, models: Models) -> None:
        self._state, self._models = state, models
        self._kept: dict[str, Predictor] = {}  # who was asked last is last
        self._loading: dict[str, asyncio.Task[Predictor]] = {}

    async def find(self, name: str) -> Predictor:
        """Return the model of a version or alias; however many ask for it at once, it is loaded once.

        Raises
        ------
        RefusedError
            It is not there, or may not answer.
        DeadlineError
            Loading it takes too long.
        """
        if not re.fullmatch(NAME, name):
            raise ArtifactNotFoundError(UNKNOWN)
        version = await self._state.pool.run(self._models.resolve, name) if name in NAMED else name
        found = self._at_hand(version)
        if found is not None:
            return found
        if version not in self._loading:
            self._loading[version] = asyncio.create_task(self._load(version))
        return await asyncio.shield(self._loading[version])  # who leaves takes nobody along

    def _at_hand(self, version: str) -> Predictor | None:
        serving: Predictor = self._state.predictor
        kept = self._kept.pop(version, None)
        if version == serving.version:  # which a copy kept from before would only take room from
            return serving
        if kept is not None:
            self._kept[version] = kept
        return kept

    async def _load(self, version: str) -> Predictor:
        try:
            found: Predictor = await self._state.pool.run(self._models.open, version)
        finally:
            del self._loading[version]
        self._kept[version] = found
        room = self._state.serving.models_megabytes * MEGABYTE
        while sum(map(_memory, self._kept.values())) > room:
            del self._kept[next(iter(self._kept))]
        return found


def _memory(predictor: Predictor) -> int:
    """Estimate what a loaded model holds in memory, rather too much; bytes."""
    return GROWTH * predictor.model_bytes + SESSION


def route(contract: Contract) -> dict[str, Any]:
    """Return the route that answers by any version, as the arguments of `FastAPI.add_api_route`."""
    record: Any = contract.record

    async def predict_by_version(
        request: Request,
        name: Annotated[str, Path(description="A version or an alias", json_schema_extra={"pattern": NAME})],
        customer: Annotated[record, Body(examples=[contract.example()])],
    ) -> Prediction:
        """Predict one customer's churn by any registered version, as it answered when it was in production."""  # noqa: E501 - OpenAPI shows it as it stands
        loaded(request)
        try:
            predictor = await request.app.state.versions.find(name)
        except (RefusedError, OSError) as error:
            _refuse(request, name, error)
        (prediction,) = await answer(request, [customer], predictor)
        return prediction

    return {
        "path": "/models/{name}/predict",
        "endpoint": predict_by_version,
        "methods": ["POST"],
        "responses": {**REFUSED, NOT_FOUND: {"model": Problem}, CONFLICT: {"model": Problem}},
        "dependencies": [KEY, Depends(limit_record)],
    }


def _refuse(request: Request, name: str, error: Exception) -> Never:
    """Tell the caller what to do about it, and the log why: that may name paths and values."""
    if isinstance(error, ArtifactNotFoundError):
        raise HTTPException(NOT_FOUND, UNKNOWN) from error
    log: FilteringBoundLogger = request.app.state.log
    log.warning("no version", request_id=request.scope["state"]["request_id"], wanted=name, reason=str(error))
    if isinstance(error, (StoreError, OSError)):
        detail = f"{name} cannot be read at the moment; the log says why"
        raise HTTPException(UNAVAILABLE, detail, RETRY) from error
    detail = f"{name} is refused; the log says why"
    if isinstance(error, IncompatibleArtifactError):
        detail = f"{name} does not fit this code; the commit that can serve it: {error.commit}"
    raise HTTPException(CONFLICT, detail) from error
