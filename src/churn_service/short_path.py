"""A short way through the framework for a valid JSON request: the body's bytes → the answer's bytes.

FastAPI looks for the route, parses the body into Python objects, validates those and encodes the answer: most
of what a prediction costs. Here pydantic validates the bytes with the model that the route declares, and
writes the answer's bytes itself. What does not validate is handed on as it came, so that every refusal is the
framework's own; an error of the endpoint goes to the application's own handlers. Without this file and its
one line in `serving/app.py` only the speed changes.
"""

import inspect
from collections.abc import Awaitable, Callable
from math import inf
from types import GenericAlias
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, FailFast, Field, TypeAdapter, create_model
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON = b"application/json"


_OF: Any = Annotated  # a type that is only known when this runs
MOST_SINGLE = 64 * 1024  # bytes of a body that is no list; with very many wrong fields every one would cost


class _Road(NamedTuple):
    most_bytes: float
    validate: Callable[[bytes], BaseModel]
    endpoint: Callable[[Request, Any], Awaitable[Any]]
    to_json: Callable[[Any], bytes]


class ShortPath:
    """Answer valid POST requests to routes whose endpoint takes the request and one model of the body."""

    def __init__(self, app: ASGIApp, owner: FastAPI) -> None:
        self._app, self._owner = app, owner
        self._roads = {
            route.path: road
            for route in owner.routes
            if isinstance(route, APIRoute) and route.methods == {"POST"} and (road := _road(route))
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand the request on untouched."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        road = self._roads.get(scope["path"]) if is_post else None
        if road is None or [value for name, value in scope["headers"] if name == b"content-type"] != [JSON]:
            await self._app(scope, receive, send)
            return
        received: list[Message] = []
        try:
            body = await _read(receive, received)
            asked = road.validate(body if len(body) <= road.most_bytes else b"")
        except Exception:  # noqa: BLE001 - whatever it is, it happens again below, where it is handled
            await self._app(scope, _replay(received, receive), send)
            return
        scope["app"] = self._owner
        request = Request(scope)
        try:
            content = road.to_json(await road.endpoint(request, asked))
        except Exception as error:  # noqa: BLE001 - what nobody handles is raised again
            await (await self._handled(request, error))(scope, receive, send)
            return
        headers = [(b"content-type", JSON), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _handled(self, request: Request, error: Exception) -> Response:
        """Answer an error as the application does, by the handler of its nearest class."""
        handlers = self._owner.exception_handlers
        for kind in type(error).__mro__:
            if kind in handlers and kind is not Exception:
                answer = handlers[kind](request, error)
                return await answer if inspect.isawaitable(answer) else answer
        raise error


def _road(route: APIRoute) -> _Road | None:
    """Find the body's model: the only parameter of the endpoint beside the request."""
    hints = get_type_hints(route.endpoint)
    answer = TypeAdapter(hints.pop("return", None))
    others = [hint for hint in hints.values() if hint is not Request]
    models = [hint for hint in others if isinstance(hint, type) and issubclass(hint, BaseModel)]
    if len(models) != 1 or others != models:
        return None
    model, holds_list = _at_first_fault(models[0])
    most_bytes = inf if holds_list else MOST_SINGLE
    return _Road(
        most_bytes, model.__pydantic_validator__.validate_json, route.endpoint, answer.serializer.to_json
    )


def _at_first_fault(model: type[BaseModel]) -> tuple[type[BaseModel], bool]:
    """Let a list end at its first faulty item: who is refused here is refused in full elsewhere."""
    lists = {
        name: _OF[(GenericAlias(list, _at_first_gap(*get_args(each.annotation))), *each.metadata, FailFast())]
        for name, each in model.model_fields.items()
        if get_origin(each.annotation) is list
    }
    return (create_model(model.__name__, __base__=model, **lists), True) if lists else (model, False)


def _at_first_gap(item: Any) -> Any:
    """Let an item end at its first missing field: pydantic tells of each beside a copy of the whole item."""
    own = getattr(item, "model_fields", {})
    stop: Any = Field(default_factory={}.popitem)  # raises
    ending = {n: _OF[(own[n].annotation, *own[n].metadata, stop)] for n in own if own[n].is_required()}
    return create_model(item.__name__, __base__=item, **ending) if ending else item


async def _read(receive: Receive, received: list[Message]) -> bytes:
    """Read the body to its end; what was received so far is kept, whatever happens."""
    while not received or received[-1].get("more_body", False):
        received.append(await receive())
    return b"".join(message["body"] for message in received)


def _replay(received: list[Message], receive: Receive) -> Receive:
    waiting = iter(received)

    async def again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return again
