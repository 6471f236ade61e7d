"""The HTTP contract and nothing else: requests → the predictor → answers that name their model version."""

import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

from fastapi import Body, Depends, FastAPI, Request
from fastapi_offline import FastAPIOffline

from churn_service import contract
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
from churn_service.predict import Predictor
from churn_service.problems import answer_with_problems
from churn_service.schema import Customer
from churn_service.sections import ServingConfig
from churn_service.short_path import ShortPath

EXAMPLE: Final = contract.example()
NOT_READY: Final[dict[int | str, Any]] = {503: {"model": Problem}}
REFUSED: Final[dict[int | str, Any]] = {status: {"model": Problem} for status in (400, 413, 422, 503)}


async def predict(request: Request, customer: Annotated[Customer, Body(examples=[EXAMPLE])]) -> Prediction:
    """Predict one customer's churn."""
    (prediction,) = _answer(_predictor(request), [customer])
    return prediction


async def limit_batch(request: Request) -> None:
    """Refuse too large a batch before its customers are validated one by one, which is what costs."""
    with contextlib.suppress(ValueError):  # a body that is no JSON is refused like any other
        body = await request.json()
        customers = body.get("customers") if isinstance(body, dict) else None
        if isinstance(customers, list):
            _check_rows(request, len(customers))


async def predict_batch(
    request: Request, batch: Annotated[BatchRequest, Body(examples=[{"customers": [EXAMPLE, EXAMPLE]}])]
) -> BatchPrediction:
    """Predict many customers' churn: the same answers as one by one."""
    started = time.perf_counter()
    _check_rows(request, len(batch.customers))
    predictions = _answer(_predictor(request), batch.customers)
    latency_ms = (time.perf_counter() - started) * 1000
    return BatchPrediction(predictions=predictions, batch_size=len(predictions), latency_ms=latency_ms)


async def describe_model(request: Request) -> ModelDescription:
    """Describe the model that answers."""
    metadata = _predictor(request).metadata
    decision = metadata.identity.decision
    return ModelDescription(
        version=metadata.version,
        trained_at=metadata.trained_at,
        fields=metadata.identity.columns,
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
        uptime_seconds=time.monotonic() - state.started,
    )


async def ready(request: Request) -> Readiness:
    """Tell that predictions are answered; send traffic only then."""
    return Readiness(model_version=_predictor(request).version)


ROUTES: Final[list[dict[str, Any]]] = [
    {"path": "/predict", "endpoint": predict, "methods": ["POST"], "responses": REFUSED},
    {
        "path": "/predict/batch",
        "endpoint": predict_batch,
        "methods": ["POST"],
        "responses": REFUSED,
        "dependencies": [Depends(limit_batch)],
    },
    {"path": "/model", "endpoint": describe_model, "methods": ["GET"], "responses": NOT_READY},
    {"path": "/health", "endpoint": health, "methods": ["GET"]},
    {"path": "/ready", "endpoint": ready, "methods": ["GET"], "responses": NOT_READY},
]


def create_app(load: Callable[[], Predictor], serving: ServingConfig) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    load
        Called once, when the application starts; before and after, `/ready` is 503.
    serving
        The `serving` section of config.yaml.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.predictor = load()
        yield
        app.state.predictor = None

    app: FastAPI = FastAPIOffline(
        title="churn-service",
        version="1",
        description="Churn probability of a customer, by a versioned model.",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would repeat the Host header that was sent
    )
    app.state.predictor, app.state.serving, app.state.started = None, serving, time.monotonic()
    for prefix in ("", "/v1"):
        for route in ROUTES:
            app.add_api_route(**route | {"path": prefix + route["path"]}, include_in_schema=not prefix)
    app.add_middleware(ShortPath, owner=app)
    answer_with_problems(app, serving.max_body_bytes)
    return app


def _predictor(request: Request) -> Predictor:
    predictor: Predictor | None = request.app.state.predictor
    if predictor is None:
        msg = "no model is loaded yet; ask /ready"
        raise NotReadyError(msg)
    return predictor


def _check_rows(request: Request, rows: int) -> None:
    limit = request.app.state.serving.max_batch_rows
    if rows > limit:
        msg = f"a batch holds at most {limit} customers; send several"
        raise BatchTooLargeError(msg)


def _answer(predictor: Predictor, customers: list[Customer]) -> list[Prediction]:
    metadata = predictor.metadata
    return [
        Prediction.model_construct(  # of values that need no second validation
            **decision.__dict__,
            model_version=metadata.version,
            trained_at=metadata.trained_at,
            prediction_id=uuid.uuid4().hex,
        )
        for decision in predictor.predict(customers)
    ]
