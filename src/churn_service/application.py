"""The application: its own routes beside the project's, its limits on bodies, its model while it runs."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from fastapi_offline import FastAPIOffline

from churn_service.answer import Together, loaded
from churn_service.contract import Contract
from churn_service.errors import BatchTooLargeError, NotReadyError
from churn_service.json_route import JsonRoute, is_json
from churn_service.messages import Health, ModelDescription, Problem, Readiness
from churn_service.pool import Pool
from churn_service.predict import Predictor
from churn_service.problems import MOST_FAULTS, UNKNOWN, answer_with_problems
from churn_service.seam import Project
from churn_service.service_sections import ServingConfig

BAD, LIMITS = (400, 413, 415, 422), (401, 403, 429, 503)
PROBLEMS: Final[dict[int | str, Any]] = {status: {"model": Problem} for status in LIMITS}
REFUSED: Final[dict[int | str, Any]] = {status: {"model": Problem} for status in (*BAD, *LIMITS)}
EXTRA: Final = {"type": UNKNOWN, "msg": "Extra inputs are not permitted", "input": None}  # as pydantic has it
KEY: Final = Security(APIKeyHeader(name="X-API-Key", auto_error=False))  # documents what the guard asks for


async def require_json(request: Request) -> None:
    """Refuse what does not say that it is JSON: no form of another site can say that."""
    if not is_json(request.headers.get("content-type", "")):
        raise HTTPException(415, "send JSON, and say so: Content-Type: application/json")


async def limit_record(request: Request) -> None:
    """Refuse what is no JSON, and what would cost too much to validate: a record of many fields."""
    await limit_rows(request, None, frozenset())


async def limit_rows(request: Request, name: str | None, known: frozenset[str]) -> None:
    """Refuse a body that is no JSON, has too many fields or rows, or rows of too many fields.

    Parameters
    ----------
    name
        The field of the body that lists the rows; None if the body is a record itself.
    known
        The fields of a row.

    Raises
    ------
    HTTPException
        415: it is no JSON.
    BatchTooLargeError
        There are more rows than `serving.max_batch_rows`, or the body or a row has more than
        `most_fields` fields.
    RequestValidationError
        More fields of listed rows are unknown than an answer names. Nothing else is looked for: each fault
        costs as much as a good field.
    """
    await require_json(request)
    body = await request.json() if await request.body() else None
    if not isinstance(body, dict):
        return
    listed = body.get(name) if name else None
    rows = listed if isinstance(listed, list) else []
    limit = request.app.state.serving.max_batch_rows
    if len(rows) > limit:
        msg = f"a batch holds at most {limit} customers; send several"
        raise BatchTooLargeError(msg)
    most = most_fields(request.app.state.project.contract)
    if any(isinstance(each, dict) and len(each) > most for each in (body, *rows)):
        msg = f"the body and each customer in it have at most {most} fields, unknown ones included"
        raise BatchTooLargeError(msg)
    unknown = list(islice(_unknown_fields(rows, known), MOST_FAULTS + 1))
    if len(unknown) > MOST_FAULTS:
        raise RequestValidationError(
            [{**EXTRA, "loc": ("body", name, number, field)} for number, field in unknown]
        )


def most_fields(contract: Contract) -> int:
    """Return how many fields a body, or a row of it, may have, unknown ones included."""
    return 2 * len(contract.record.model_fields) + 100


def _unknown_fields(rows: Sequence[Any], known: frozenset[str]) -> Iterator[tuple[int, str]]:
    for number, row in enumerate(rows):
        if isinstance(row, dict) and not known.issuperset(row):
            yield from ((number, field) for field in row if field not in known)


async def describe_model(request: Request) -> ModelDescription:
    """Describe the model that answers."""
    source = loaded(request).source
    decision = source.decision
    return ModelDescription(
        version=source.version,
        trained_at=source.trained_at,
        fields=request.app.state.project.contract.columns,
        threshold=decision.threshold,
        tiers={"LOW": 0.0, "MEDIUM": decision.medium_risk, "HIGH": decision.high_risk},
    )


async def health(request: Request) -> Health:
    """Tell that the process lives; restart it if this does not answer."""
    state = request.app.state
    predictor: Predictor | None = state.predictor
    return Health(
        model_loaded=predictor is not None,
        model_version=predictor and predictor.version,
        uptime_seconds=round(time.monotonic() - state.started, 3),
    )


async def ready(request: Request) -> Readiness:
    """Tell that predictions are answered; send traffic only then."""
    source = loaded(request).source
    if request.app.state.draining:
        msg = "this process is stopping"
        raise NotReadyError(msg)
    return Readiness(
        status="ready" if source.trained_at else "degraded",
        model_version=source.version,
        refused_version=request.app.state.refused,
    )


ROUTES: Final[tuple[dict[str, Any], ...]] = (
    {"path": "/model", "endpoint": describe_model, "responses": PROBLEMS, "dependencies": [KEY]},
    {"path": "/health", "endpoint": health},
    {"path": "/ready", "endpoint": ready, "responses": {503: {"model": Problem}}},
    {"path": "/health", "endpoint": health, "methods": ["HEAD"], "include_in_schema": False},
    {"path": "/ready", "endpoint": ready, "methods": ["HEAD"], "include_in_schema": False},
)

Resources = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def _nothing(_app: FastAPI) -> AsyncIterator[None]:
    yield


def create_app(
    project: Project[Any, Any],
    load: Callable[[], Predictor],
    serving: ServingConfig,
    *,
    routes: Sequence[Mapping[str, Any]] = (),
    resources: Resources = _nothing,
) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    project
        Whose model is served, by its routes.
    load
        Called once, when the application starts; before and after, `/ready` is 503.
    serving
        The `serving` section of config.yaml.
    routes
        More routes, each as the arguments of `FastAPI.add_api_route`.
    resources
        Entered after the model is loaded, left when the application ends.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        app.state.predictor = load()
        app.state.together = Together()
        app.state.pool = Pool(serving.pool_threads, serving.deadline_seconds)
        async with resources(app):
            yield {"serving": serving}
        app.state.predictor = None

    app: FastAPI = FastAPIOffline(
        title=project.name,
        version="1",
        description="Churn probability of a customer, by a versioned model.",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would repeat the Host header that was sent
    )
    app.router.route_class = JsonRoute
    app.state.predictor, app.state.refused, app.state.draining = None, None, False
    app.state.project = project
    app.state.serving, app.state.started = serving, time.monotonic()
    for prefix in ("", "/v1"):
        for route in (*project.load_routes(), *ROUTES, *routes):
            app.add_api_route(**{"include_in_schema": not prefix, **route, "path": prefix + route["path"]})
    answer_with_problems(app)
    return app
