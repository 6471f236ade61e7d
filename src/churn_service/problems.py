"""Errors → RFC 9457 problems that name the field and the rule, never a value, a path or a trace."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from churn_service.errors import BatchTooLargeError, ChurnError, NotReadyError
from churn_service.messages import FieldError, Problem

STATUS: Final[dict[type[ChurnError], int]] = {NotReadyError: 503, BatchTooLargeError: 413}
"""The project's errors as HTTP; anything else is a 500."""

PROBLEM_JSON = "application/problem+json"
MOST_FAULTS = 100  # that an answer lists; a client has to mend those first
LONGEST_NAME = 64  # characters of an unknown field's name that an error repeats


class BodyLimit:
    """Refuse a large body by what it announces, or while it is read: never more is held than is allowed.

    FastAPI's own limit would answer in plain text.
    """

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its bytes counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = f"a body holds at most {self._largest} bytes"
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if length.isdigit() and int(length) > self._largest:
            await _problem(413, refusal)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            if read <= self._largest:  # else there may be nothing more to wait for
                message = await receive()
                read += len(message.get("body", b""))
            if read > self._largest:
                raise HTTPException(413, refusal)
            return message

        await self._app(scope, counted, send)


def answer_with_problems(app: FastAPI, largest_body: int) -> None:
    """Make every error of the application problem+json, in its answers and in its OpenAPI document."""
    app.add_middleware(BodyLimit, largest=largest_body)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(ChurnError, _failed)
    app.add_exception_handler(Exception, _failed)
    _declare_problems(app)


def _problem(
    status: int, detail: str, *, errors: list[FieldError] | None = None, headers: Any = None
) -> Response:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or [])
    return JSONResponse(problem.model_dump(), status, headers, media_type=PROBLEM_JSON)


async def _invalid(_request: Request, error: Any) -> Response:
    """Name each field and the rule it broke, never the value that was sent."""
    faults = [
        FieldError(field=_field(fault["loc"]), rule=fault["type"], message=fault["msg"])
        for fault in error.errors()[:MOST_FAULTS]
    ]
    detail = "the request breaks the contract; errors names each field and rule, /docs shows what is allowed"
    return _problem(422, detail, errors=faults)


async def _refused(_request: Request, error: Any) -> Response:
    """Answer what the framework refuses: unknown path, wrong method, unreadable body."""
    return _problem(error.status_code, str(error.detail), headers=error.headers)


async def _failed(_request: Request, error: Any) -> Response:
    """Answer the project's own errors by `STATUS`; say nothing about any other, the log has it."""
    status = STATUS.get(type(error), 500)
    return _problem(status, "the service failed to answer" if status == 500 else str(error))  # noqa: PLR2004 - 500


def _field(location: Sequence[int | str]) -> str:
    """Write a location as ``customers.0.field``; a position in broken JSON is no field."""
    names = [name for name in location if name != "body"]
    if not any(isinstance(name, str) for name in names):
        return "body"
    return ".".join(str(name)[:LONGEST_NAME] for name in names)


def _declare_problems(app: FastAPI) -> None:
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        for path in document["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    if status >= "400":
                        response["content"] = {PROBLEM_JSON: next(iter(response["content"].values()))}
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to change the document
