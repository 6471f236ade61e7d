"""Connections to callers, and the bounds on them.

Bounded are how many there are, how long one makes no progress, and how many bytes in a
row are no body. uvicorn bounds none of these: a caller who sends or reads byte by byte,
one who never ends the head or the trailers of a request, and ten thousand who connect
at once. Where a proxy stands in front, it bounds them first
(`deploy/compose/haproxy.cfg`).

uvicorn takes a protocol class by its public option `http`, but what that class consists
of is not documented. So pyproject.toml bounds uvicorn's version, and
`tests/serving/test_uvicorn.py` names what is used here and fails when uvicorn moves.
"""

import re
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

from skewless.core.sections import ServingConfig
from skewless.serving.messages import Problem
from skewless.serving.state import BOUNDS

# In a row: a head, the line of a chunk, trailers; one read more may be seen.
MOST_FRAMING_BYTES = 64 * 1024
# HTTP allows these around the value of a header, and they are no part of it.
BLANKS: Final = b" \t"
LINGER_SECONDS = 1.0  # that a refused caller has to read why
FIRST_WORDS_SECONDS = 2.0  # that a caller has to ask when the server is about to stop


def refusal(status: HTTPStatus, detail: str, *headers: str) -> bytes:
    """Write an answer for when there is no application to ask."""
    body = Problem(title=status.phrase, status=status, detail=detail).model_dump_json()
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\n"
        "content-type: application/problem+json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n"
    )
    head += "".join(f"{header}\r\n" for header in headers)
    return f"{head}\r\n{body}".encode()


OFFER: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
# As long as an offer, so that whatever is taken for a head keeps its length.
OVERLOOKED: Final = b"\r\nx-stays:"
# What may begin an offer, or the end of a head.
PERHAPS: Final = re.compile(rb"\r(\n(\r|u(p(g(r(a(de?)?)?)?)?)?)?)?\Z", re.IGNORECASE)
END: Final = b"\r\n\r\n"
BUSY: Final = refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too many connections; the process lives",
    "retry-after: 1",
)
GARBLED: Final = refusal(HTTPStatus.BAD_REQUEST, "this is no HTTP request")


class Connection(HttpToolsProtocol):
    """One caller's connection; the application's `serving` section tells the bounds."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # By these a request sees whether it is alone.
        self.app_state["tasks"] = self.tasks
        self._is_between = True  # two requests, or before the first
        self._in_head = True  # or between
        self._framing_bytes = 0
        self._held = b""
        # Bytes that were parsed, as many as may begin the end of a head.
        self._last = b""
        self._refused = False
        self._seen: object = None
        self._timer: Any = None

    def shutdown(self) -> None:
        """Close the connection when its request is answered.

        Who has only just connected may still ask.
        """
        if self._latest is None:
            self.loop.call_later(FIRST_WORDS_SECONDS, super().shutdown)
        else:
            super().shutdown()

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """Return the latest request.

        There is none yet on a new connection, whatever uvicorn's types say.
        """
        return self.cycle

    @property
    def _bounds(self) -> ServingConfig:
        bounds: ServingConfig = self.app_state[BOUNDS]
        return bounds

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
            self._timer = self.loop.call_later(
                self._bounds.slow_client_seconds, self._look
            )

    def data_received(self, data: bytes) -> None:
        """Read on, while not too many bytes in a row are no body.

        What is left of a refused body is read and forgotten: a caller reads the refusal
        after sending.
        """
        if self._refused:
            return
        if self._in_head:
            data = self._without_offers(data)
        if not data:
            return
        self._framing_bytes += len(data)
        self._last = (self._last + data)[1 - len(END) :]
        super().data_received(data)
        if self._framing_bytes > MOST_FRAMING_BYTES:
            self.transport.abort()
        elif self._is_kept() and self.timeout_keep_alive_task is None:
            # It was refused before all of it was read, and uvicorn starts its timer
            # only at an answer's end.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _is_kept(self) -> bool:
        """Tell whether a request was read and answered, and the next has not begun."""
        return (
            self._is_between
            and self._latest is not None
            and self._latest.response_complete
        )

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._is_between = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header without the blanks around its value.

        A trailer is forgotten, as it is no header.
        """
        if self._in_head:
            super().on_header(name, value.strip(BLANKS))

    def on_headers_complete(self) -> None:
        """Note that the head is complete.

        What looks like a header from here on is a trailer.
        """
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; whoever sends one gets on."""
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request was read to its end: the next bytes begin a head."""
        self._is_between = True
        self._in_head = True
        self._framing_bytes = 0
        super().on_message_complete()
        # Also if a trailer says so: nothing is parsed any more.
        if not self.parser.should_keep_alive():
            self._end_after_answer()

    def _end_after_answer(self) -> None:
        if self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _without_offers(self, data: bytes) -> bytes:
        """Overlook offers to speak another protocol.

        Java's client makes them, and the server would lose the body. Bytes at the end
        that may begin an offer, or end the head, wait for those that follow.
        """
        data = self._held + data
        self._held = b""
        end = (self._last + data).find(END)
        if end < 0:
            perhaps = PERHAPS.search(data)
            if perhaps is not None:
                cut = perhaps.start()
                self._held = data[cut:]
                data = data[:cut]
            head = len(data)
        else:
            head = max(end - len(self._last), 0)
        return OFFER.sub(OVERLOOKED, data[:head]) + data[head:]

    def _unsupported_upgrade_warning(self) -> None:
        """Read no further.

        An offer behind another request was not overlooked, so its body is lost.
        """
        self._refused = True
        self._end_after_answer()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's words
        """Refuse what cannot be parsed."""
        self.transport.write(GARBLED)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """End the connection if it waits for the caller as it did at the last look.

        A caller who has read all of an answer may keep the connection: uvicorn's own
        timer ends it.
        """
        latest = self._latest
        kept = self._is_kept() and not self.transport.get_write_buffer_size()
        in_work = latest is not None and not (
            latest.response_complete or latest.more_body
        )
        waits_for: object = self if latest is None else latest
        if kept or (in_work and not self.flow.write_paused):
            self._seen = None
        elif self._seen is waits_for:
            self.transport.abort()
            return
        else:
            self._seen = waits_for
        self._timer = self.loop.call_later(self._bounds.slow_client_seconds, self._look)
