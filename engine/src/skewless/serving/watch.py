"""Every request, seen from outside.

Of each: its id, its time, its error if nobody caught it, a note of its end.
"""

import os
import re
import time
from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skewless.serving.journal import OK, Note
from skewless.serving.logs import describe
from skewless.serving.problems import FAILED, problem
from skewless.serving.state import REQUEST, RequestState, ServiceState

SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# By W3C.
TRACEPARENT: Final = re.compile(
    rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}"
)
SAFE: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
PAGES: Final = ("/docs", "/redoc")
PAGE_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; worker-src blob:; frame-ancestors 'none'"
)
CLIENT_LEFT = 499  # as nginx counts a caller who did not wait for the answer


class Watch:
    """The outermost layer.

    Whatever happens inside, the caller gets an answer and the journal a note.
    """

    def __init__(
        self, app: ASGIApp, state: ServiceState, *, routes: Sequence[BaseRoute]
    ) -> None:
        self._app = app
        self._service = state
        self._journal = state.journal
        self._log = state.log
        known = [route for route in routes if isinstance(route, Route)]
        self._routes = {route.path for route in known}
        self._patterns = [route for route in known if route.param_convertors]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and see it through to its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = CLIENT_LEFT
        state: RequestState = scope[REQUEST]
        headers = dict(scope["headers"])
        state.request_id = _request_id(headers.get(b"x-request-id"))
        state.headers += self._headers(state.request_id, scope["path"])

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *state.headers]
            await send(message)

        self._journal.begin()
        try:
            await self._app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - the last place that can answer
            self._log.error("crashed", request_id=state.request_id, **describe(error))
            if status == CLIENT_LEFT:
                await problem(scope, 500, FAILED)(scope, receive, sending)
        finally:
            self._note(
                scope,
                status,
                seconds=time.perf_counter() - started,
                trace=_trace(headers.get(b"traceparent")),
            )

    def _headers(self, request_id: str, path: str) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-request-id", request_id.encode()), *SAFE]
        if self._service.draining:
            headers.append((b"connection", b"close"))
        if path in PAGES:
            headers.append((b"content-security-policy", PAGE_POLICY.encode()))
        return headers

    def _note(
        self, scope: Scope, status: int, *, seconds: float, trace: dict[str, str]
    ) -> None:
        state: RequestState = scope[REQUEST]
        answer = state.answered if status == OK else None
        self._journal.end(
            Note(
                time.time(),
                str(state.request_id),
                scope["method"],
                self._route(scope),
                status,
                seconds,
                state.caller,
                trace,
                answer,
                state.refused,
            )
        )

    def _route(self, scope: Scope) -> str:
        """Return the template of the route, of which there are few.

        It is found even if no layer let the request get there.
        """
        path: str = scope["path"]
        if path in self._routes:
            return path
        answered = scope.get("route")
        if answered is not None:
            return getattr(answered, "path", "unmatched")
        for route in self._patterns:
            if route.path_regex.match(path):
                return route.path
        return "unmatched"


def _request_id(proposed: bytes | None) -> str:
    """Take the caller's id if it is harmless, else make one."""
    if proposed and SANE_ID.fullmatch(proposed):
        return proposed.decode()
    return os.urandom(16).hex()


def _trace(traceparent: bytes | None) -> dict[str, str]:
    found = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None:
        return {}
    return {"trace_id": found[1].decode(), "span_id": found[2].decode()}
