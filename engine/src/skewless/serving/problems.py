"""Errors → RFC 9457 problems that name the field and the rule.

They never name a value, a path or a trace.
"""

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skewless.core.errors import (
    BatchTooLargeError,
    DeadlineError,
    NotReadyError,
    SkewlessError,
)
from skewless.core.record_columns import MOST_FAULTS
from skewless.serving.messages import FieldError, Problem
from skewless.serving.state import REQUEST, RequestState

STATUS: Final[dict[type[SkewlessError], int]] = {
    NotReadyError: 503,
    DeadlineError: 503,
    BatchTooLargeError: 413,
}
"""The project's errors as HTTP; anything else is a crash, a 500."""

PROBLEM_JSON = "application/problem+json"
FAILED = "the service failed to answer"
NOT_FOUND: Final = 404
CONFLICT: Final = 409
SERVER_ERROR: Final = 500
UNAVAILABLE: Final = 503
RETRY = {"Retry-After": "1"}  # seconds
MOST_DIGITS = 19  # of an announced length; int() takes a few thousand and then raises
MOST_TOLD = 3  # of them, that a log line names
UNKNOWN: Final = "extra_forbidden"
ABOUT_A_BODY: Final = ("400", "413", "415", "422")
PROBLEMS: Final[dict[int | str, Any]] = {
    status: {"model": Problem}
    for status in (*map(int, ABOUT_A_BODY), 401, 403, 429, 503)
}
"""What any operation may answer, as FastAPI declares responses."""

FAILURES: Final[dict[str, tuple[str, ...]]] = {"/health": (), "/ready": ("503",)}
"""Path that asks for no key → the problems that it may answer."""

KEY_SCHEME: Final = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
LONGEST_NAME = 64  # characters of an unknown field's name that an error repeats


class BodyLimit:
    """Refuse a large body by what it announces, and count it while it is read.

    It is counted whatever was announced. FastAPI's own limit would answer in plain
    text.
    """

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app = app
        self._largest = largest
        self._refusal = f"a body holds at most {largest} bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its bytes counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and (
            len(length) > MOST_DIGITS or int(length) > self._largest
        ):
            await problem(scope, 413, self._refusal)(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def counted() -> Message:
            nonlocal read
            if read <= self._largest:  # else there may be nothing more to wait for
                message = await receive()
                read += len(message.get("body", b""))
            if read > self._largest:
                raise HTTPException(413, self._refusal)
            return message

        return counted


def answer_with_problems(app: FastAPI) -> None:
    """Make every error of the application problem+json.

    That goes for its answers and for its OpenAPI document.
    """
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(SkewlessError, _failed)
    app.add_exception_handler(Exception, _crashed)
    _declare_problems(app)


def problem(
    scope: Scope,
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Any = None,
) -> Response:
    """Build the answer to a request that cannot be answered otherwise."""
    # An owner's own middleware may fail before the service sees the request.
    state: RequestState = scope.setdefault(REQUEST, RequestState())
    state.refused = ", ".join(map(_rule, errors[:MOST_TOLD])) or detail
    told = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=state.request_id,
        errors=list(errors),
    )
    return JSONResponse(told.model_dump(), status, headers, media_type=PROBLEM_JSON)


async def _invalid(request: Request, error: Any) -> Response:
    """Name each field and the rule it broke, never the value that was sent."""
    faults = [
        FieldError(field=_field(fault["loc"]), rule=fault["type"], message=fault["msg"])
        for fault in error.errors()[:MOST_FAULTS]
    ]
    detail = (
        "the request breaks the contract; errors names each field and rule, "
        "/docs shows what is allowed"
    )
    return problem(request.scope, 422, detail, errors=faults)


async def _refused(request: Request, error: Any) -> Response:
    """Answer what FastAPI refuses: unknown path, wrong method, unreadable body."""
    return problem(
        request.scope, error.status_code, str(error.detail), headers=error.headers
    )


async def _failed(request: Request, error: Any) -> Response:
    """Answer the project's own errors by `STATUS`.

    Any other is nobody's fault but ours.
    """
    status = STATUS.get(type(error))
    if status is None:
        raise error
    headers = RETRY if status == UNAVAILABLE else None
    return problem(request.scope, status, str(error), headers=headers)


async def _crashed(request: Request, _error: Any) -> Response:
    """Say nothing about what nobody foresaw; the log does."""
    return problem(request.scope, SERVER_ERROR, FAILED)


def _rule(fault: FieldError) -> str:
    """Name field and rule for a log, which repeats no name that a caller made up."""
    return fault.rule if fault.rule == UNKNOWN else f"{fault.field} {fault.rule}"


def _field(location: Sequence[int | str]) -> str:
    """Write a location as ``records.0.field``.

    A position in broken JSON is no field.
    """
    names = [name for name in location if name != "body"]
    if not any(isinstance(name, str) for name in names):
        return "body"
    return ".".join(str(name)[:LONGEST_NAME] for name in names)


def _declare_problems(app: FastAPI) -> None:
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        document["components"]["securitySchemes"] = {"APIKeyHeader": KEY_SCHEME}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _declare(operation, may_fail=FAILURES.get(path))
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _declare(operation: dict[str, Any], *, may_fail: Collection[str] | None) -> None:
    """Leave only the problems that this operation may have.

    Until then it is said to have those that any operation may have.

    Parameters
    ----------
    may_fail
        Statuses of an operation that asks for no key; None for any other.
    """
    responses = operation["responses"]
    if may_fail is None:
        operation["security"] = [{"APIKeyHeader": []}]
        absent = () if "requestBody" in operation else ABOUT_A_BODY
    else:
        absent = tuple(
            status for status in responses if status >= "400" and status not in may_fail
        )
    for status in absent:
        responses.pop(status, None)
    for status, response in responses.items():
        if status >= "400":
            described, *_ = response["content"].values()
            response["content"] = {PROBLEM_JSON: described}
