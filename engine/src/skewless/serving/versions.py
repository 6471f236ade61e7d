"""Any registered version or alias → the answers of that very artefact.

It is loaded when somebody first asks.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Never, get_type_hints

from fastapi import Body, FastAPI, HTTPException, Path, Request

from skewless.core.answer import Answer
from skewless.core.contract import Contract
from skewless.core.errors import (
    ArtifactNotFoundError,
    IncompatibleArtifactError,
    RefusedError,
    StoreError,
)
from skewless.models.metadata import VERSION
from skewless.models.predict import Predictor
from skewless.registry.events import ALIASES
from skewless.registry.registry import NEWEST
from skewless.serving.follow import Models
from skewless.serving.messages import Problem
from skewless.serving.model import ServedModel
from skewless.serving.problems import CONFLICT, NOT_FOUND, RETRY, UNAVAILABLE
from skewless.serving.state import REQUEST, SERVICE, RequestState, ServiceState

NAMED: Final = (NEWEST, *ALIASES)
NAME: Final = rf"^({'|'.join(NAMED)}|{VERSION.pattern})$"
UNKNOWN: Final = (
    f"no version of that name, or nothing holds the alias; send {', '.join(NAMED)} "
    "or a version as `registry list` names them"
)
MEGABYTE: Final = 2**20
# Bytes of memory per byte of model.onnx.
# Measured: 18, 10, 8, 8.4 for 11, 43, 161, 658 kB.
GROWTH: Final = 10
SESSION: Final = 100_000  # bytes besides, which explain the first of these


class Versions:
    """The versions beside the one that serves.

    Those asked least recently leave when memory is used up.
    """

    def __init__(self, state: ServiceState, models: Models) -> None:
        self._state = state
        self._models = models
        self._kept: dict[str, Predictor] = {}  # who was asked last is last
        self._loading: dict[str, asyncio.Task[Predictor]] = {}

    async def find(self, name: str) -> Predictor:
        """Return the model of a version or alias.

        However many ask for it at once, it is loaded once.

        Raises
        ------
        RefusedError
            It is not there, or may not answer.
        DeadlineError
            Loading it takes too long.
        """
        if not re.fullmatch(NAME, name):
            raise ArtifactNotFoundError(UNKNOWN)
        version = name
        if name in NAMED:
            version = await self._state.pool.run(self._models.resolve, name)
        found = self._at_hand(version)
        if found is not None:
            return found
        if version not in self._loading:
            self._loading[version] = asyncio.create_task(self._load(version))
        # Who leaves takes nobody along.
        return await asyncio.shield(self._loading[version])

    def _at_hand(self, version: str) -> Predictor | None:
        serving = self._state.loaded()
        kept = self._kept.pop(version, None)
        # A copy of this one, kept from before, would only take room from others.
        if version == serving.version:
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
            asked_longest_ago = next(iter(self._kept))
            del self._kept[asked_longest_ago]
        return found


def _memory(predictor: Predictor) -> int:
    """Estimate what a loaded model holds in memory, rather too much; bytes."""
    return GROWTH * predictor.model_bytes + SESSION


def add_endpoint(
    app: FastAPI, contract: Contract, to_response: Callable[[Answer], Any]
) -> None:
    """Add the endpoint that answers by any version."""
    response = get_type_hints(to_response)["return"]
    record_type: Any = contract.record

    @app.post(
        "/models/{name}/predict",
        response_model=response,
        responses={NOT_FOUND: {"model": Problem}, CONFLICT: {"model": Problem}},
    )
    async def predict_by_version(
        request: Request,
        name: Annotated[
            str,
            Path(
                description="A version or an alias", json_schema_extra={"pattern": NAME}
            ),
        ],
        record: Annotated[record_type, Body(examples=[contract.example()])],
    ) -> Any:
        """Predict for one record by any registered version.

        It answers as it did when it was in production.
        """
        state: ServiceState = request.scope[SERVICE]
        state.loaded()  # a service that is not ready says so, whatever is asked for
        try:
            predictor = await state.versions.find(name)
        except (RefusedError, OSError) as error:
            _refuse(request, name, error)
        return to_response(await ServedModel(request, state, predictor).predict(record))


def _refuse(request: Request, name: str, error: Exception) -> Never:
    """Tell the caller what to do about it, and the log why.

    The reason may name paths and values.
    """
    if isinstance(error, ArtifactNotFoundError):
        raise HTTPException(NOT_FOUND, UNKNOWN) from error
    state: ServiceState = request.scope[SERVICE]
    seen: RequestState = request.scope[REQUEST]
    state.log.warning(
        "no version", request_id=seen.request_id, wanted=name, reason=str(error)
    )
    if isinstance(error, (StoreError, OSError)):
        detail = f"{name} cannot be read at the moment; the log says why"
        raise HTTPException(UNAVAILABLE, detail, RETRY) from error
    if isinstance(error, IncompatibleArtifactError):
        detail = (
            f"{name} does not fit this code; "
            f"the commit that can serve it: {error.commit}"
        )
    else:
        detail = f"{name} is refused; the log says why"
    raise HTTPException(CONFLICT, detail) from error
