"""Whatever is in production → the model that answers, without a request noticing.

A version is fetched, verified and tried out beside the one that answers, and takes its
place in one assignment. Requests in flight finish with the model they began with; what
is refused changes nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from skewless.core.errors import RefusedError, SkewlessError
from skewless.core.project import Project
from skewless.core.workspace import Workspace, open_workspace
from skewless.models.predict import Predictor, open_predictor
from skewless.models.signing import read_public_key
from skewless.registry.registry import Registry
from skewless.registry.remote import open_registry
from skewless.serving.pool import Pool
from skewless.serving.state import ServiceState

# Seconds, for a large model; the one that serves answers meanwhile.
LONGEST_LOOK: Final = 3_600.0


class Models(NamedTuple):
    """Where models come from.

    `load` opens what should answer, `wanted` names it without opening it; `open` opens
    any version, `resolve` names the version that an alias stands for.
    """

    load: Callable[[], Predictor]
    wanted: Callable[[], str | None]
    open: Callable[[str], Predictor]
    resolve: Callable[[str], str]
    stale: Callable[[], bool] = bool
    """Tells whether `wanted` went by older knowledge, as nobody could be asked."""


def find_models(work: Workspace) -> Models:
    """Find models in the registry.

    The version or alias that is set answers, else what is in production. While nothing
    is, the version that the supervisor began with answers, else the newest.
    """
    config = work.config
    settings = work.settings
    key = read_public_key(settings)
    pinned = settings.version
    registry = open_registry(config.registry, work.root, public_key=key)

    def wanted() -> str | None:
        if pinned is None:
            return registry.state().holder("production")
        # For the aliases that callers may ask by.
        with contextlib.suppress(RefusedError):
            registry.events()
        return registry.resolve(pinned)

    def open_version(name: str | None) -> Predictor:
        return open_predictor(registry.load(name), work.project, config.serving)

    def load() -> Predictor:
        return open_version(wanted() or settings.start_version)

    # As of the last look: a store is not asked for each request.
    known = Registry(registry.folder, key)
    return Models(
        load, wanted, open_version, known.resolve, lambda: registry.stale is not None
    )


def load_model(project: Project[Any, Any], config: Path | None = None) -> Predictor:
    """Load what should answer, for an application of another kind.

    Such an application asks the model itself.

    Parameters
    ----------
    project
        Whose model it is.
    config
        Path of config.yaml; default: what the environment names, else
        ``./config.yaml``.

    Raises
    ------
    ConfigError
        The configuration or the environment holds something wrong.
    RefusedError
        There is no version, or it may not answer.
    """
    return find_models(open_workspace(project, config)).load()


class Follower:
    """Keeps `ServiceState.predictor` what should answer.

    `ServiceState.refused` names a version that should and may not.
    """

    def __init__(self, state: ServiceState, models: Models) -> None:
        self._state = state
        self._models = models
        self._meter = state.meter
        self._log = state.log
        self._looking = asyncio.Lock()
        self._told = ""
        # A store that hangs does not keep the process from ending.
        self._beside = Pool(1, LONGEST_LOOK).run

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
                    self._state.refused = None
                    self._told = ""
                    return
                found = await self._beside(self._models.load)
            except Exception as error:  # noqa: BLE001 - whatever it is, looking goes on
                self._refuse(wanted, error)
            else:
                self._change(found)

    def _answers(self, wanted: str | None) -> bool:
        """Tell whether there is nothing to change.

        The baseline answers only until there is any model.
        """
        source = self._state.loaded().source
        return source.trained_at is not None and wanted in {None, source.version}

    def _change(self, found: Predictor) -> None:
        before = self._state.loaded()
        self._state.predictor = found
        self._state.refused = None
        self._told = ""
        self._meter.serve(found.version)
        self._meter.reloads.labels("changed").inc()
        self._log.info(
            "the model answers", model_version=found.version, before=before.version
        )

    def _refuse(self, wanted: str | None, error: Exception) -> None:
        """Go on with what answers; say why once, not at every look."""
        self._state.refused = wanted or "unknown"
        self._meter.reloads.labels("refused").inc()
        known = isinstance(error, (SkewlessError, OSError))
        why = str(error) if known else f"{type(error).__name__}: {error}"
        if why != self._told:
            self._told = why
            version = self._state.loaded().version
            self._log.warning(
                "no model", wanted=wanted, reason=self._told, answering=version
            )
