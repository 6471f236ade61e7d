"""What layers and endpoints share: of the running service, and of each request.

Both are in the request's scope, where `Layers` of application.py puts them: by
`SERVICE` and by `REQUEST`.
"""

import time
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from structlog.typing import FilteringBoundLogger

from skewless.core.answer import Answered
from skewless.core.errors import NotReadyError
from skewless.core.project import Project
from skewless.core.sections import ServingConfig
from skewless.models.predict import Predictor
from skewless.monitoring.outcomes import Outcomes
from skewless.serving.journal import Journal
from skewless.serving.metrics import Meter
from skewless.serving.micro_batch import MicroBatch
from skewless.serving.pool import Pool

BOUNDS: Final = "skewless"
"""Key of what the lifespan leaves to connections: the `serving` section."""
SERVICE: Final = "skewless.service"
"""Key of a scope: the `ServiceState` of the application that the request came to."""
REQUEST: Final = "skewless.request"
"""Key of a scope: the request's `RequestState`."""


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


@dataclass(slots=True)
class RequestState:
    """A request on its way."""

    request_id: str | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """That the answer gets besides its own."""
    caller: str | None = None
    """Who asked, as the log names them."""
    answered: Answered | None = None
    refused: str | None = None
    """Why, if it was."""
