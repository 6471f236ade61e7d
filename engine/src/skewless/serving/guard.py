"""Who may pass, decided before any of the body is read.

Load is shed, keys are asked for and requests are counted.
"""

from math import ceil
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from skewless.core.settings import Settings
from skewless.serving.access import Caller, Keys
from skewless.serving.messages import Problem
from skewless.serving.problems import problem
from skewless.serving.rate_window import SECONDS, Window
from skewless.serving.state import REQUEST, RequestState, ServiceState

OPEN: Final = ("/health", "/ready", "/docs", "/redoc", "/openapi.json")
STATIC: Final = "/static-offline-docs/"
ADMIN: Final = ("/metrics", "/stats", "/admin/reload")
FORWARDED: Final = frozenset((b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"))
NAMES: Final = frozenset((b"localhost", b"127.0.0.1", b"[::1]"))  # of this host
ANONYMOUS: Final = Caller("(anonymous)", "predict", "(anonymous)")
ON_HOST: Final = Caller("(on host)", "admin", "(on host)")  # reads /metrics and /stats
BUSY: Final = "too many requests are waiting"
SHED: Final = (  # made before, because it has to be cheap
    Problem(title="Service Unavailable", status=503, detail=BUSY, request_id="%s")
    .model_dump_json()
    .encode()
)
NO_KEY = "send a key in X-API-Key; who operates this service makes one with `keys new`"
KEY_UNKNOWN = (
    "the key in X-API-Key is not known here; "
    "who operates this service makes one with `keys new`"
)
NO_KEYS = (
    "no key is configured, so only callers on this host are answered, "
    "who call it 127.0.0.1 or localhost and come by no proxy; configure {variable}"
)
KEY_TWICE = "send X-API-Key once"
KEY_UNASKED = (
    "a key was sent, but none is configured; leave it out, or configure {variable}"
)


class Guard:
    """Let a request pass, or answer it with a problem."""

    def __init__(
        self,
        app: ASGIApp,
        state: ServiceState,
        *,
        keys: Keys,
        window: Window,
        settings: Settings,
    ) -> None:
        serving = state.serving
        self._app = app
        self._keys = keys
        self._window = window
        self._meter = state.meter
        variable = settings.variable("api_keys")
        # What a caller is told who sent no key, or one that nobody knows.
        self._without_key = NO_KEY if keys else NO_KEYS.format(variable=variable)
        self._unknown_key = (
            KEY_UNKNOWN if keys else KEY_UNASKED.format(variable=variable)
        )
        self._allow_anonymous = settings.allow_anonymous
        self._by_row = serving.rate_limit_by == "row"
        self._inside = 0
        self._most_inside = serving.max_in_flight
        self._most_by_key = serving.rate_limit_per_minute
        most_anonymous = serving.rate_limit_anonymous
        if self._allow_anonymous and most_anonymous is None:
            most_anonymous = serving.rate_limit_per_minute
        self._most = {ANONYMOUS.id: most_anonymous, ON_HOST.id: None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        path = scope.get("path", "").rstrip("\n")  # which the router overlooks
        if path in OPEN or scope["type"] != "http" or path.startswith(STATIC):
            await self._app(scope, receive, send)
            return
        if self._inside >= self._most_inside and path not in ADMIN:
            await self._shed(scope[REQUEST], send)
            return
        self._inside += 1
        try:
            await self._ask(scope, receive, send, path=path)
        finally:
            self._inside -= 1

    async def _shed(self, state: RequestState, send: Send) -> None:
        self._meter.shed.inc()
        state.refused = BUSY
        body = SHED % str(state.request_id).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"1"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _ask(
        self, scope: Scope, receive: Receive, send: Send, *, path: str
    ) -> None:
        """Ask who calls, and count; whoever passes is answered."""
        state: RequestState = scope[REQUEST]
        try:
            caller = self._caller(scope, path)
            state.caller = caller.name
            if path in ADMIN and caller.scope != "admin":
                raise HTTPException(403, "this needs a key of the scope admin")  # noqa: TRY301
            if path in ADMIN:
                most = None
            else:
                most = self._most.get(caller.id, self._most_by_key)
            if most is not None:
                await self._count(state, caller, most)
        except HTTPException as refusal:
            answer = problem(
                scope, refusal.status_code, refusal.detail, headers=refusal.headers
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)
        if self._by_row and most is not None and state.answered is not None:
            # What is over burdens the next request.
            await self._window.take(caller.id, len(state.answered.records) - 1)

    def _caller(self, scope: Scope, path: str) -> Caller:
        sent = [value for name, value in scope["headers"] if name == b"x-api-key"]
        if not sent:
            caller = self._nobody(scope, path)
            otherwise = self._without_key
        elif len(sent) == 1:
            caller = self._keys.caller(sent[0])
            otherwise = self._unknown_key
        else:
            caller = None
            otherwise = KEY_TWICE
        if caller is None:
            raise HTTPException(
                401, otherwise, {"WWW-Authenticate": 'ApiKey realm="X-API-Key"'}
            )
        return caller

    def _nobody(self, scope: Scope, path: str) -> Caller | None:
        """Say as whom a caller without a key may pass, if at all."""
        on_host = _on_host(scope)
        if path in ADMIN:
            return ON_HOST if on_host else None
        may_pass = not self._keys and (on_host or self._allow_anonymous)
        return ANONYMOUS if may_pass else None

    async def _count(self, state: RequestState, caller: Caller, most: int) -> None:
        """Count the request and tell what is left.

        The header is written as in draft-ietf-httpapi-ratelimit-headers-10.
        """
        used, seconds_left = await self._window.take(caller.id, 1)
        seconds = ceil(seconds_left)
        left = b'"minute";r=%d;t=%d' % (max(most - used, 0), seconds)
        state.headers.append((b"ratelimit", left))
        if used > most:
            self._meter.limited.inc()
            policy = {
                "Retry-After": str(seconds),
                "RateLimit-Policy": f'"minute";q={most};w={SECONDS}',
            }
            raise HTTPException(
                429,
                f"a caller has {most} requests a minute; wait {seconds} seconds",
                policy,
            )


def _on_host(scope: Scope) -> bool:
    """Tell whether the caller is on this host.

    Not a proxy that passes somebody else's request on, nor a web page whose name was
    made to lead here.
    """
    client = scope.get("client")
    address = client[0] if client else ""  # a Unix socket has none
    here = address.startswith("127.") or address in {"", "::1"}
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    named = len(hosts) == 1 and (
        hosts[0] in NAMES or hosts[0].rsplit(b":", 1)[0] in NAMES
    )
    return here and named and not any(name in FORWARDED for name, _ in scope["headers"])
