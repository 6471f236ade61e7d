"""The composition root of the service.

Configuration, environment → what runs around the application.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Self

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from skewless.core.errors import ConfigError, RefusedError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.predict import Predictor
from skewless.monitoring.drift_figures import drift_gauges
from skewless.monitoring.line_log import SHADOW, LineLog
from skewless.monitoring.outcomes import Outcomes
from skewless.monitoring.performance_figures import performance_gauges
from skewless.monitoring.place import Log, find_database
from skewless.monitoring.shadow import Shadow
from skewless.monitoring.sinks import open_outcomes, open_predictions
from skewless.serving.access import Keys
from skewless.serving.drain import drained
from skewless.serving.fallback import baseline_predictor
from skewless.serving.follow import Follower, Models, find_models
from skewless.serving.guard import Guard
from skewless.serving.journal import Journal, Observer
from skewless.serving.logs import open_log
from skewless.serving.metrics import Meter
from skewless.serving.pool import Pool
from skewless.serving.problems import BodyLimit
from skewless.serving.rate_window import MemoryWindow, Window
from skewless.serving.state import ServiceState
from skewless.serving.versions import Versions
from skewless.serving.watch import Watch


class Service:
    """What runs around an application.

    That is its model, its logs and metrics, and the layers that guard it.

    Parameters
    ----------
    models
        Where the model comes from, at the start and later.
    work
        The project, its configuration, folder and environment.
    app
        The application of `create_app`, which serves by this from now on.

    Raises
    ------
    ConfigError
        Settings contradict each other.
    """

    def __init__(self, models: Models, work: Workspace, app: FastAPI) -> None:
        config = work.config
        settings = work.settings
        self._models = models
        self._work = work
        self._config = config
        self.app = app
        self._began_with = settings.start_version
        self._meter = Meter(settings.metrics_dir)
        self._log, close_log = open_log(
            settings.log_level, self._meter.lines_lost.labels("service").inc
        )
        self._closers = [close_log]
        self._observers = list[Observer]()
        self._follows = list[Callable[[float], Coroutine[Any, Any, None]]]()
        self._outcomes: Outcomes | None = None
        if config.monitoring.prediction_log is not None:
            self._remember(work.root / config.monitoring.prediction_log, settings)
        elif settings.log_url is not None:
            msg = (
                f"{settings.variable('log_url')} is set, "
                "but monitoring.prediction_log is null: name one for bad times"
            )
            raise ConfigError(msg)
        self._keys = Keys(settings)
        self._window = _window(settings, self._log)
        self.state = ServiceState(
            project=work.project,
            serving=config.serving,
            meter=self._meter,
            log=self._log,
            journal=Journal(self._meter, self._log, self._observers),
            pool=Pool(config.serving.pool_threads, config.serving.deadline_seconds),
            outcomes=self._outcomes,
        )
        self._follower = Follower(self.state, models)
        self.state.versions = Versions(self.state, models)
        self.state.follower = self._follower
        app.state.service = self

    @classmethod
    def open(cls, work: Workspace, app: FastAPI) -> Self:
        """Serve what the registry says, as the environment and config.yaml have it."""
        return cls(find_models(work), work, app)

    def _remember(self, folder: Path, settings: Settings) -> None:
        """Log every answer, what a challenger would have answered, and the outcomes.

        An outcome is what became of a record.
        """
        log = Log(folder, find_database(settings))
        monitoring = self._config.monitoring
        warn = self._log.warning
        lost = (self._meter.lines_lost.labels("prediction").inc, warn)
        aside = (self._meter.lines_aside.inc, warn)
        predictions = open_predictions(log, self._work, lost=lost, aside=aside)
        self._closers.insert(0, predictions.close)
        self._meter.others += [drift_gauges(folder), performance_gauges(folder)]
        self._observers.append(predictions.observe)
        self._outcomes = open_outcomes(
            log, monitoring, settings, contract=self._work.contract
        )
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

    def surround(self, app: ASGIApp) -> ASGIApp:
        """Put the layers around the application's own, the innermost first."""
        serving = self._config.serving
        app = BodyLimit(app, serving.max_body_bytes)
        app = Guard(
            app,
            self.state,
            keys=self._keys,
            window=self._window,
            settings=self._work.settings,
        )
        if serving.cors_origins:
            app = CORSMiddleware(
                app,
                allow_origins=serving.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Content-Type", "X-API-Key", "X-Request-ID"],
                expose_headers=["X-Request-ID", "RateLimit", "Retry-After"],
            )
        return Watch(app, self.state, routes=self.app.routes)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the model, follow what is decided, and close everything at the end."""
        self.state.predictor = self._load_or_fall_back()
        try:
            async with self._following():
                yield
        finally:
            self.state.predictor = None

    def _load_or_fall_back(self) -> Predictor:
        try:
            return self._models.load()
        except RefusedError as error:
            self._log.warning("no model", reason=str(error), answering=self._began_with)
            return self._open_otherwise(error)

    def _open_otherwise(self, error: RefusedError) -> Predictor:
        """Answer with what the supervisor began with, else by the baseline.

        The other workers may answer with the former.
        """
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
    async def _following(self) -> AsyncIterator[None]:
        version = self.state.loaded().version
        self._meter.serve(version)
        self._log.info("started", model_version=version)
        seconds = self._config.serving.poll_seconds
        follows = (*self._follows, self._follower.follow)
        following = [asyncio.create_task(follow(seconds)) for follow in follows]
        try:
            drain = self._config.serving.drain_seconds
            tell = partial(self._log.info, "draining", seconds=drain)
            with drained(self.state, drain, tell):
                yield
        finally:
            for each in following:
                each.cancel()
            self.state.journal.flush()
            await self._window.close()
            self._log.info("stopped")
            for close in self._closers:
                await asyncio.to_thread(close)


def service_of(app: FastAPI) -> Service | None:
    """Return what runs around an application.

    None before the application has started, unless `serve` has set it.
    """
    service: Service | None = getattr(app.state, "service", None)
    return service


def _window(settings: Settings, log: FilteringBoundLogger) -> Window:
    if settings.redis_url is None:
        return MemoryWindow()
    from skewless.serving.redis_window import RedisWindow  # noqa: PLC0415 - slow import

    def failed(error: Exception) -> None:
        log.warning(
            "Redis failed; each process counts for itself", error=type(error).__name__
        )

    return RedisWindow(
        settings.redis_url, failed, variable=settings.variable("redis_url")
    )
