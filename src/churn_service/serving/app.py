"""The composition root of the service: configuration, environment → the application and its layers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from churn_service.application import KEY, PROBLEMS, create_app, require_json
from churn_service.contract import Contract
from churn_service.errors import (
    ConfigError,
    RefusedError,
)
from churn_service.messages import Problem
from churn_service.monitoring import outcome_route
from churn_service.monitoring.drift_figures import DriftGauges
from churn_service.monitoring.line_log import SHADOW, LineLog
from churn_service.monitoring.outcomes import Outcomes
from churn_service.monitoring.place import Log
from churn_service.monitoring.shadow import Shadow
from churn_service.monitoring.sinks import open_outcomes, open_predictions
from churn_service.predict import Predictor
from churn_service.problems import BodyLimit
from churn_service.serving import versions
from churn_service.serving.access import Keys
from churn_service.serving.drain import drained
from churn_service.serving.fallback import baseline_predictor
from churn_service.serving.follow import Follower, Models, reload
from churn_service.serving.guard import Guard
from churn_service.serving.journal import Journal, Observer
from churn_service.serving.logs import open_log
from churn_service.serving.metrics import Meter, metrics
from churn_service.serving.stats import stats
from churn_service.serving.versions import Versions
from churn_service.serving.watch import Watch
from churn_service.serving.window import MemoryWindow, Window
from churn_service.settings import Settings
from churn_service.workspace import Workspace

ROUTES: Final[tuple[dict[str, Any], ...]] = (
    {"path": "/metrics", "endpoint": metrics, "responses": PROBLEMS, "dependencies": [KEY]},
    {"path": "/stats", "endpoint": stats, "responses": PROBLEMS, "dependencies": [KEY]},
    {
        "path": "/admin/reload",
        "endpoint": reload,
        "methods": ["POST"],
        "responses": {**PROBLEMS, 409: {"model": Problem}, 415: {"model": Problem}},
        "dependencies": [KEY, Depends(require_json)],  # a page of another site can send no JSON unasked
    },
)


def routes(contract: Contract) -> list[dict[str, Any]]:
    """List the service's own routes, each as the arguments of `FastAPI.add_api_route`."""
    return [
        versions.route(contract),
        *ROUTES,
        outcome_route.route(contract),
    ]


class Service:
    """The application with all that surrounds it: `app` is what a server runs.

    Parameters
    ----------
    models
        Where the model comes from, at the start and later.
    work
        The project, its configuration, folder and environment.
    """

    def __init__(self, models: Models, work: Workspace) -> None:
        config, settings = work.config, work.settings
        self._models, self._work, self._config = models, work, config
        self._began_with = settings.start_version
        self._meter = Meter(settings.metrics_dir)
        self._log, close_log = open_log(settings.log_level, self._meter.lines_lost.labels("service").inc)
        self._closers, self._observers = [close_log], list[Observer]()
        self._follows = list[Callable[[float], Coroutine[Any, Any, None]]]()
        self._outcomes: Outcomes | None = None
        if config.monitoring.prediction_log is not None:
            self._remember(work.root / config.monitoring.prediction_log, settings)
        elif settings.log_url is not None:
            msg = "CHURN_LOG_URL is set, but monitoring.prediction_log is null: name one for bad times"
            raise ConfigError(msg)
        self.contract = create_app(
            work.project,
            self._load_or_fall_back,
            config.serving,
            routes=routes(work.contract),
            resources=self._resources,
        )
        self._journal = Journal(self._meter, self._log, self._observers)
        state = self.contract.state
        state.meter, state.journal, state.log = self._meter, self._journal, self._log
        state.versions = Versions(state, models)
        state.outcomes = self._outcomes
        self.app = self._surround(self.contract, settings)

    def _remember(self, folder: Path, settings: Settings) -> None:
        """Log every answer, what a challenger would have answered, and what became of the customers."""
        log, monitoring, warn = Log(folder, settings.log_url), self._config.monitoring, self._log.warning
        lost = (self._meter.lines_lost.labels("prediction").inc, warn)
        aside = (self._meter.lines_aside.inc, warn)
        predictions = open_predictions(log, self._work, lost=lost, aside=aside)
        self._closers.insert(0, predictions.close)
        self._meter.others.append(DriftGauges(folder))
        self._observers.append(predictions.observe)
        self._outcomes = open_outcomes(log, monitoring, settings.hash_key, contract=self._work.contract)
        if self._config.serving.shadow is not None:
            shadow = Shadow(
                partial(self._models.resolve, self._config.serving.shadow),
                self._models.open,
                log=LineLog(folder / SHADOW, monitoring.flush_seconds, lost),
                tell=(self._meter.shadow_shed.inc, warn),
            )
            self._closers.insert(0, shadow.close)
            self._observers.append(shadow.observe)
            self._follows.append(shadow.follow)

    def _surround(self, contract: FastAPI, settings: Settings) -> ASGIApp:
        """Put the layers around the contract, the innermost first."""
        serving = self._config.serving
        keys, self._window = Keys(settings.api_keys.get_secret_value()), _window(settings, self._log)
        app: ASGIApp = BodyLimit(contract, serving.max_body_bytes)
        app = Guard(app, contract, keys=keys, window=self._window, allow_anonymous=settings.allow_anonymous)
        if serving.cors_origins:
            app = CORSMiddleware(
                app,
                allow_origins=serving.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Content-Type", "X-API-Key", "X-Request-ID"],
                expose_headers=["X-Request-ID", "RateLimit", "Retry-After"],
            )
        return Watch(app, contract, journal=self._journal, log=self._log)

    def _load_or_fall_back(self) -> Predictor:
        try:
            return self._models.load()
        except RefusedError as error:
            self._log.warning("no model", reason=str(error), answering=self._began_with)
            return self._open_otherwise(error)

    def _open_otherwise(self, error: RefusedError) -> Predictor:
        """Answer with what the supervisor began with, as the other workers may; else by the baseline."""
        try:
            if self._began_with is not None:
                return self._models.open(self._began_with)
        except RefusedError:
            self._log.warning("no model either", wanted=self._began_with)
        if self._config.serving.fallback == "refuse":
            raise error
        self._log.warning("the baseline answers", reason=str(error))
        return baseline_predictor(self._work)

    @contextlib.asynccontextmanager
    async def _resources(self, app: FastAPI) -> AsyncIterator[None]:
        version = app.state.predictor.version
        self._meter.serve(version)
        self._log.info("started", model_version=version)
        app.state.follower = Follower(app, self._models, self._meter, log=self._log)
        self._follows.append(app.state.follower.follow)
        seconds = self._config.serving.poll_seconds
        following = [asyncio.create_task(follow(seconds)) for follow in self._follows]
        try:
            drain = self._config.serving.drain_seconds
            with drained(app.state, drain, partial(self._log.info, "draining", seconds=drain)):
                yield
        finally:
            for each in following:
                each.cancel()
            self._journal.flush()
            await self._window.close()
            self._log.info("stopped")
            for close in self._closers:
                await asyncio.to_thread(close)


def _window(settings: Settings, log: FilteringBoundLogger) -> Window:
    if settings.redis_url is None:
        return MemoryWindow()
    from churn_service.serving.redis_window import RedisWindow  # noqa: PLC0415 - slow to import, rarely needed

    def failed(error: Exception) -> None:
        log.warning("Redis failed; each process counts for itself", error=type(error).__name__)

    return RedisWindow(settings.redis_url.get_secret_value(), failed)
