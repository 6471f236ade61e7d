"""Connections, each bounded: how many, how long without progress, how large a head.

What the server itself does not bound: a caller who sends or reads byte by byte, one who never ends the head
of a request, and ten thousand who connect at once.
"""

import re
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from churn_service.messages import Problem
from churn_service.service_sections import ServingConfig

MOST_HEAD_BYTES = 64 * 1024
LINGER_SECONDS = 1.0  # that a refused caller has to read why
FIRST_WORDS_SECONDS = 0.5  # that a caller has to ask when the server is about to stop


def refusal(status: HTTPStatus, detail: str, *headers: str) -> bytes:
    """Write an answer for when there is no application to ask."""
    body = Problem(title=status.phrase, status=status, detail=detail).model_dump_json()
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n"
    )
    return (head + "".join(f"{header}\r\n" for header in headers) + "\r\n" + body).encode()


OFFER: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
OVERLOOKED: Final = b"\r\nx-stays:"  # as long, so that whatever is taken for a head keeps its length
PERHAPS: Final = re.compile(rb"\r(\n(\r|u(p(g(r(a(de?)?)?)?)?)?)?)?\Z", re.IGNORECASE)  # or the end of a head
END: Final = b"\r\n\r\n"
BUSY: Final = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", "retry-after: 1")
GARBLED: Final = refusal(HTTPStatus.BAD_REQUEST, "this is no HTTP request")


class Connection(AutoHTTPProtocol):  # type: ignore[misc,valid-type] # whichever of uvicorn's two is installed
    """One caller's connection; the application's `serving` section tells the bounds."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.app_state["tasks"] = self.tasks  # by which a request sees whether it is alone
        self._head_bytes, self._held = 0, b""
        self._whole: object = None  # the last request that was read to its end
        self._refused = False
        self._seen: object = None
        self._timer: Any = None

    def shutdown(self) -> None:
        """Close the connection when its request is answered; who has only just connected may still ask."""
        if self.cycle is None:
            self.loop.call_later(FIRST_WORDS_SECONDS, super().shutdown)
        else:
            super().shutdown()

    @property
    def _bounds(self) -> ServingConfig:
        return self.app_state["serving"]  # type: ignore[no-any-return] # as the application's lifespan left it

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or say that there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._bounds.max_connections:
            self._refused = True
            self.connections.discard(self)  # it takes nobody's place while it lingers
            transport.write(BUSY)
            transport.write_eof()
            self._timer = self.loop.call_later(LINGER_SECONDS, transport.abort)
        else:
            self._timer = self.loop.call_later(self._bounds.slow_client_seconds, self._look)

    def data_received(self, data: bytes) -> None:
        """Read on, while the head of the request is not too large.

        What is left of a refused body is read and forgotten: a caller reads the refusal after sending.
        """
        if self._refused:
            return
        whole = self._whole
        if whole is self.cycle:
            data = self._without_offers(data)
        if data:
            super().data_received(data)
        if whole is self._whole is self.cycle:  # all of it belongs to a head
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.transport.abort()
        else:
            self._head_bytes = 0

    def _without_offers(self, data: bytes) -> bytes:
        """Overlook offers to speak another protocol, as Java's client makes: the server would lose the body.

        Bytes at the end that may begin an offer, or end the head, wait for those that follow.
        """
        data, self._held = self._held + data, b""
        end = data.find(END)
        if end < 0 and (found := PERHAPS.search(data)):
            data, self._held = data[: found.start()], data[found.start() :]
        head = len(data) if end < 0 else end
        return OFFER.sub(OVERLOOKED, data[:head]) + data[head:]

    def _unsupported_upgrade_warning(self) -> None:
        """Read no further: an offer behind another request was not overlooked, so its body is lost."""
        self._refused = True
        self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that the next bytes begin a head; h11 says no such thing, and bounds heads itself."""
        super().on_message_complete()
        self._whole = self.cycle

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's own words
        """Refuse what cannot be parsed."""
        self.transport.write(GARBLED)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """End the connection if it waits for the caller as it did at the last look."""
        cycle = self.cycle
        waits = cycle is None or cycle.response_complete or cycle.more_body or self.flow.write_paused
        if waits and self._seen is (cycle or self):
            self.transport.abort()
            return
        self._seen = (cycle or self) if waits else None
        self._timer = self.loop.call_later(self._bounds.slow_client_seconds, self._look)
