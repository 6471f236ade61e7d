"""What the endpoints need while the service runs, as one typed object."""

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import Request
from structlog.typing import FilteringBoundLogger

from skewless.core.errors import NotReadyError
from skewless.core.project import Project
from skewless.core.sections import ServingConfig
from skewless.models.predict import Predictor
from skewless.monitoring.outcomes import Outcomes
from skewless.serving.journal import Journal
from skewless.serving.metrics import Meter
from skewless.serving.micro_batch import MicroBatch
from skewless.serving.pool import Pool


class OtherVersions(Protocol):
    """The versions beside the one that serves."""

    async def find(self, name: str) -> Predictor:
        """Return the model of a version or alias."""


class Following(Protocol):
    """What keeps the model the one that should answer."""

    async def look(self) -> None:
        """Ask what should answer, and change over if it is another and good."""


@dataclass
class ServiceState:
    """The running service."""

    project: Project[Any, Any]
    serving: ServingConfig
    meter: Meter
    log: FilteringBoundLogger
    journal: Journal
    pool: Pool
    outcomes: Outcomes | None
    """None if no prediction log is kept."""
    micro_batch: MicroBatch = field(default_factory=MicroBatch)
    started: float = field(default_factory=time.monotonic)
    predictor: Predictor | None = None
    """What answers; None before the first is loaded."""
    refused: str | None = None
    """The version that should answer and may not."""
    draining: bool = False
    """Whether the process is about to stop."""
    versions: OtherVersions = field(init=False)
    follower: Following = field(init=False)

    def loaded(self) -> Predictor:
        """Return the model that answers.

        Raises
        ------
        NotReadyError
            There is none yet.
        """
        if self.predictor is None:
            msg = "no model is loaded yet; ask /ready"
            raise NotReadyError(msg)
        return self.predictor


def service_state(request: Request) -> ServiceState:
    """Return the state of the service that a request came to."""
    state: ServiceState = request.app.state.service.state
    return state
