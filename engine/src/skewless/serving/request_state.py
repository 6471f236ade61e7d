"""What layers and endpoints tell each other about a request.

The layers are those around the application.
"""

from dataclasses import dataclass, field

from starlette.types import Scope

from skewless.core.answer import Answered

KEY = "skewless"


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


def request_state(scope: Scope) -> RequestState:
    """Return the state of a request; the first who asks makes it."""
    state: RequestState = scope.setdefault(KEY, RequestState())
    return state
