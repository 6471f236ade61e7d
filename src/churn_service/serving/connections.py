"""Connections, each bounded: how many, how long without progress, how large a head.

What the server itself does not bound: a caller who sends or reads byte by byte, one who never ends the head
of a request, and ten thousand who connect at once.
"""

from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from churn_service.messages import Problem
from churn_service.sections import ServingConfig

MOST_HEAD_BYTES = 64 * 1024
LINGER_SECONDS = 1.0  # that a refused caller has to read why
BUSY: Final = Problem(
    title="Service Unavailable", status=503, detail="too many connections"
).model_dump_json()
REFUSAL: Final = (
    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
    f"connection: close\r\ncontent-length: {len(BUSY)}\r\n\r\n{BUSY}"
).encode()


class Connection(AutoHTTPProtocol):  # type: ignore[misc,valid-type] # whichever of uvicorn's two is installed
    """One caller's connection; the application's `serving` section tells the bounds."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.app_state["tasks"] = self.tasks  # requests that wait: the guard sheds by them
        self._head_bytes = 0
        self._refused = False
        self._seen: object = None
        self._timer: Any = None

    @property
    def _bounds(self) -> ServingConfig:
        return self.app_state["serving"]  # type: ignore[no-any-return] # as the application's lifespan left it

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or say that there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._bounds.max_connections:
            self._refused = True
            transport.write(REFUSAL)
            transport.write_eof()
            self._timer = self.loop.call_later(LINGER_SECONDS, transport.abort)
        else:
            self._timer = self.loop.call_later(self._bounds.slow_client_seconds, self._look)

    def data_received(self, data: bytes) -> None:
        """Read on, while the head of the request is not too large."""
        if self._refused:
            return
        super().data_received(data)
        if self._awaits_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.transport.abort()
        else:
            self._head_bytes = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._timer.cancel()
        super().connection_lost(exc)

    @property
    def _awaits_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _look(self) -> None:
        """End the connection if it waits for the caller as it did at the last look."""
        waits = self._awaits_head or self.cycle.more_body or self.flow.write_paused
        if waits and self._seen is (self.cycle or self):
            self.transport.abort()
            return
        self._seen = (self.cycle or self) if waits else None
        self._timer = self.loop.call_later(self._bounds.slow_client_seconds, self._look)
