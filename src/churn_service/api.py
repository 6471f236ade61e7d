"""The HTTP contract and nothing else: requests → the predictor → answers that name their model version."""

import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final

from fastapi import Body, Depends, FastAPI, HTTPException, Request, Security
from fastapi.security import APIKeyHeader
from fastapi_offline import FastAPIOffline

from churn_service import contract
from churn_service.answer import Together, answer, loaded
from churn_service.contract import columns
from churn_service.errors import BatchTooLargeError, NotReadyError
from churn_service.messages import (
    BatchPrediction,
    BatchRequest,
    Health,
    ModelDescription,
    Prediction,
    Problem,
    Readiness,
)
from churn_service.pool import Pool
from churn_service.predict import Predictor
from churn_service.problems import answer_with_problems
from churn_service.schema import Customer
from churn_service.service_sections import ServingConfig

EXAMPLE: Final = contract.example()
BAD, LIMITS = (400, 413, 415, 422), (401, 403, 429, 503)
PROBLEMS: Final[dict[int | str, Any]] = {status: {"model": Problem} for status in LIMITS}
REFUSED: Final[dict[int | str, Any]] = {status: {"model": Problem} for status in (*BAD, *LIMITS)}
JSON_TYPE: Final = re.compile(r"application/([^;/]+\+)?json\s*(;|$)", re.IGNORECASE)
MOST_FIELDS: Final = 2 * len(Customer.model_fields) + 100
KEY: Final = Security(APIKeyHeader(name="X-API-Key", auto_error=False))  # documents what the guard asks for


async def predict(request: Request, customer: Annotated[Customer, Body(examples=[EXAMPLE])]) -> Prediction:
    """Predict one customer's churn."""
    (prediction,) = await answer(request, [customer])
    return prediction


async def limit_body(request: Request) -> None:
    """Refuse what is no JSON, and what would cost too much to validate: many customers, or fields of one."""
    await limit_rows(request, "customers")


async def limit_rows(request: Request, name: str) -> None:
    """Refuse a body that is no JSON, or whose list of that name is too long or holds too many fields."""
    if not JSON_TYPE.match(request.headers.get("content-type", "")):
        raise HTTPException(415, "send JSON, and say so: Content-Type: application/json")
    with contextlib.suppress(ValueError):  # a body that is no JSON is refused like any other
        body = await request.json()
        rows = body.get(name, [body]) if isinstance(body, dict) else body
        if isinstance(rows, list):
            check_rows(request, len(rows))
            if any(isinstance(each, dict) and len(each) > MOST_FIELDS for each in rows):
                msg = f"a customer has at most {MOST_FIELDS} fields, unknown ones included"
                raise BatchTooLargeError(msg)


async def predict_batch(
    request: Request, batch: Annotated[BatchRequest, Body(examples=[{"customers": [EXAMPLE, EXAMPLE]}])]
) -> BatchPrediction:
    """Predict many customers' churn: the same answers as one by one."""
    started = time.perf_counter()
    check_rows(request, len(batch.customers))
    predictions = await answer(request, batch.customers)
    latency_ms = round((time.perf_counter() - started) * 1000, 3)
    return BatchPrediction.model_construct(
        predictions=predictions, batch_size=len(predictions), latency_ms=latency_ms
    )


async def describe_model(request: Request) -> ModelDescription:
    """Describe the model that answers."""
    source = loaded(request).source
    decision = source.decision
    return ModelDescription(
        version=source.version,
        trained_at=source.trained_at,
        fields=columns(),
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
    {
        "path": "/predict",
        "endpoint": predict,
        "methods": ["POST"],
        "responses": REFUSED,
        "dependencies": [KEY, Depends(limit_body)],
    },
    {
        "path": "/predict/batch",
        "endpoint": predict_batch,
        "methods": ["POST"],
        "responses": REFUSED,
        "dependencies": [KEY, Depends(limit_body)],
    },
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
    load: Callable[[], Predictor],
    serving: ServingConfig,
    *,
    routes: Sequence[dict[str, Any]] = (),
    resources: Resources = _nothing,
) -> FastAPI:
    """Build the application.

    Parameters
    ----------
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
        title="churn-service",
        version="1",
        description="Churn probability of a customer, by a versioned model.",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would repeat the Host header that was sent
    )
    app.state.predictor, app.state.refused, app.state.draining = None, None, False
    app.state.serving, app.state.started = serving, time.monotonic()
    for prefix in ("", "/v1"):
        for route in (*ROUTES, *routes):
            app.add_api_route(**{"include_in_schema": not prefix} | route | {"path": prefix + route["path"]})
    answer_with_problems(app)
    return app


def check_rows(request: Request, rows: int) -> None:
    """Refuse more rows than `serving.max_batch_rows`."""
    limit = request.app.state.serving.max_batch_rows
    if rows > limit:
        msg = f"a batch holds at most {limit} customers; send several"
        raise BatchTooLargeError(msg)
