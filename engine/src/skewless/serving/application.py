"""`create_app`: a FastAPI application with the engine's endpoints and layers.

A project adds its own endpoints.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import takewhile
from typing import Any, Final

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from skewless.core.answer import Answer
from skewless.core.errors import NotReadyError
from skewless.core.project import Project
from skewless.core.workspace import open_workspace
from skewless.serving import outcome_endpoint, versions
from skewless.serving.json_route import ServiceRoute, is_json
from skewless.serving.messages import Health, ModelDescription, Problem, Readiness
from skewless.serving.problems import (
    CONFLICT,
    PROBLEMS,
    UNAVAILABLE,
    answer_with_problems,
    problem,
)
from skewless.serving.service import Service, service_of
from skewless.serving.state import BOUNDS, REQUEST, SERVICE, RequestState, ServiceState
from skewless.serving.stats import Stats, sum_up

PREFIX: Final = "/v1"


def create_app(
    project: Project[Any, Any], to_response: Callable[[Answer], Any]
) -> FastAPI:
    """Build the application of a project's service.

    Endpoints are added to it as to any other application. What it serves is opened
    when it starts: by ``serve``, or by itself from the environment and config.yaml, so
    that ``uvicorn package.api:app`` works as well. Every path is also there below
    ``/v1``.

    Parameters
    ----------
    project
        Whose model is served.
    to_response
        Says an answer in the words of the project's API. Its return annotation is the
        response model of ``/models/{name}/predict``.
    """
    engine: list[BaseRoute] = []
    app: FastAPI = FastAPIOffline(
        title=project.name,
        version="1",
        description=(
            "The probability that a record's event happens, by a versioned model."
        ),
        lifespan=_lifespan(project, engine),
        responses=PROBLEMS,
        redirect_slashes=False,  # a redirect would repeat the Host header that was sent
    )
    app.router.route_class = ServiceRoute
    answer_with_problems(app)
    app.add_middleware(Layers)
    add_description(app)
    add_probes(app)
    versions.add_endpoint(app, project.contract, to_response)
    add_figures(app)
    add_reload(app)
    outcome_endpoint.add_endpoint(app, project.contract)
    engine.extend(app.router.routes)
    return app


def _lifespan(
    project: Project[Any, Any], engine: Sequence[BaseRoute]
) -> Callable[[FastAPI], Any]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        _put_first(app, engine)
        service = service_of(app) or Service.open(open_workspace(project), app)
        async with service.running():
            yield {BOUNDS: service.state.serving}

    return lifespan


def _put_first(app: FastAPI, engine: Sequence[BaseRoute]) -> None:
    """Let the router find the project's endpoints before the engine's.

    They are asked the most, and the router tries one route after the other. Only those
    are moved for which that changes nothing: their path has no parameter, the engine
    has no such path, and no other kind of route was declared before them.
    """
    taken = {getattr(route, "path", None) for route in engine}

    def may_be_first(route: BaseRoute) -> bool:
        return (
            isinstance(route, APIRoute)
            and not route.param_convertors
            and route.path not in taken
        )

    added = [route for route in app.router.routes if route not in engine]
    first = list(takewhile(may_be_first, added))
    app.router.routes.sort(key=lambda route: route not in first)


class Layers:
    """The running service's layers around the application.

    FastAPI wants to know its layers before these can exist, so they are built at the
    first request after the service has started.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._layered: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through the layers, by its path without ``/v1``."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        scope[REQUEST] = RequestState()
        service = service_of(scope["app"])
        if service is None:
            answer = problem(scope, UNAVAILABLE, "the service has not started")
            await answer(scope, receive, send)
            return
        if self._layered is None:
            self._layered = service.surround(self._app)
        scope[SERVICE] = service.state
        await self._layered(_unversioned(scope), receive, send)


def _unversioned(scope: Scope) -> Scope:
    path: str = scope["path"]
    if path.startswith(f"{PREFIX}/"):
        return {**scope, "path": path.removeprefix(PREFIX)}
    return scope


async def require_json(request: Request) -> None:
    """Refuse what does not say that it is JSON.

    No page of another site can say that unasked.
    """
    if not is_json(request.headers.get("content-type", "")):
        raise HTTPException(
            415, "send JSON, and say so: Content-Type: application/json"
        )


def add_description(app: FastAPI) -> None:
    """Add the endpoint that says which model answers."""

    @app.get("/model")
    async def describe_model(request: Request) -> ModelDescription:
        """Describe the model that answers."""
        state: ServiceState = request.scope[SERVICE]
        source = state.loaded().source
        decision = source.decision
        return ModelDescription(
            version=source.version,
            trained_at=source.trained_at,
            fields=state.project.contract.columns,
            threshold=decision.threshold,
            tiers={
                "LOW": 0.0,
                "MEDIUM": decision.medium_risk,
                "HIGH": decision.high_risk,
            },
        )


def add_probes(app: FastAPI) -> None:
    """Add the endpoints by which an orchestrator sees how the process is."""

    @app.head("/health", include_in_schema=False)
    @app.get("/health")
    async def health(request: Request) -> Health:
        """Tell that the process lives; restart it if this does not answer."""
        state: ServiceState = request.scope[SERVICE]
        predictor = state.predictor
        return Health(
            model_loaded=predictor is not None,
            model_version=predictor and predictor.version,
            uptime_seconds=round(time.monotonic() - state.started, 3),
        )

    @app.head("/ready", include_in_schema=False)
    @app.get("/ready")
    async def ready(request: Request) -> Readiness:
        """Tell that predictions are answered; send traffic only then."""
        state: ServiceState = request.scope[SERVICE]
        source = state.loaded().source
        if state.draining:
            msg = "this process is stopping"
            raise NotReadyError(msg)
        return Readiness(
            status="ready" if source.trained_at else "degraded",
            model_version=source.version,
            refused_version=state.refused,
        )


def add_figures(app: FastAPI) -> None:
    """Add the endpoints that show how the service is doing."""

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Show the metrics to Prometheus."""
        state: ServiceState = request.scope[SERVICE]
        state.journal.flush()
        return Response(state.meter.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @app.get("/stats")
    async def stats(request: Request) -> Stats:
        """Tell how the service is doing."""
        return sum_up(request.scope[SERVICE])


def add_reload(app: FastAPI) -> None:
    """Add the endpoint that looks for another model."""

    @app.post(
        "/admin/reload",
        responses={CONFLICT: {"model": Problem}, 415: {"model": Problem}},
        dependencies=[Depends(require_json)],
    )
    async def reload(request: Request) -> Readiness:
        """Look at once for another model, in this process.

        Other processes look for themselves.
        """
        state: ServiceState = request.scope[SERVICE]
        await state.follower.look()
        source = state.loaded().source
        if state.refused is not None:
            detail = (
                f"{state.refused} is refused, {source.version} answers on; "
                "the log says why"
            )
            raise HTTPException(CONFLICT, detail)
        return Readiness(
            status="ready" if source.trained_at else "degraded",
            model_version=source.version,
        )
