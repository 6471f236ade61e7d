"""FastAPI's route with one JSON parser, and a direct way for routes that it understands completely.

FastAPI resolves dependencies, opens exit stacks and parses the content type for every request: most of what a
prediction costs. A route that declares none of what that is for can do without. The rule is written the other
way round: everything that a route may declare leads to FastAPI's own handler, except what is named here, so
that a parameter of a newer FastAPI does too. Both have FastAPI's routing, middleware and exception handlers.
"""

import email.message
import inspect
import json
import sys
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cache
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import EndpointContext, RequestValidationError
from fastapi.params import Body, Depends, Security
from fastapi.routing import APIRoute, serialize_response
from fastapi.security import APIKeyHeader
from fastapi.telemetry import get_telemetry_data
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import Receive, Scope

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

JSON: Final = "application/json"
EVIDENT: Final = frozenset((b"application/json", b"application/json; charset=utf-8"))
"""Content types that are JSON in UTF-8 at first sight; any other is parsed."""

ABOUT_THE_BODY: Final = frozenset((b"content-type", b"content-encoding"))

UTF_8: Final = frozenset(("utf-8", "utf8"))

PLAIN: Final = {name: each.default for name, each in inspect.signature(APIRoute).parameters.items()}
DOCUMENTATION: Final = frozenset(
    (
        "callbacks",
        "deprecated",
        "description",
        "generate_unique_id_function",
        "include_in_schema",
        "name",
        "openapi_extra",
        "operation_id",
        "response_description",
        "responses",
        "summary",
        "tags",
    )
)
"""Parameters of a route that change no answer."""

OBEYED: Final = frozenset(("dependencies", "dependency_overrides_provider", "methods", "strict_content_type"))
"""Parameters that the direct way obeys: the router sees to methods, and it wants a content type anyway."""


class JsonRequest(Request):
    """A request whose body is JSON in UTF-8, whatever reads it.

    `is_evident` tells that its headers say so and nothing else about the body.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        said = [value for name, value in scope["headers"] if name in ABOUT_THE_BODY]
        self.is_evident = len(said) == 1 and said[0] in EVIDENT
        self._failure: Exception | None = None

    async def body(self) -> bytes:
        """Read the body; what failed fails in the same way if it is asked for again."""
        if self._failure is not None:
            raise self._failure
        try:
            return await super().body()
        except Exception as failure:
            self._failure = failure
            raise

    async def json(self) -> Any:
        """Parse the body, once.

        Raises
        ------
        HTTPException
            415 if it is compressed or says that it is not UTF-8, 400 if it is not UTF-8 or nested too deeply.
        json.JSONDecodeError
            It is no JSON.
        """
        if not hasattr(self, "_document"):
            if not self.is_evident:
                self._refuse_encodings()
            self._document = parse(await self.body())
        return self._document

    def _refuse_encodings(self) -> None:
        codings = [each for each in self.headers.getlist("content-encoding") if each.lower() != "identity"]
        if codings:
            detail = "send the body as it is, without Content-Encoding: this service unpacks nothing"
            raise HTTPException(415, detail, {"Accept-Encoding": "identity"})
        content_type = _read_content_type(self.headers.get("content-type", ""))
        # get_content_charset says of a charset that it cannot read that there is none.
        is_named = content_type.get_param("charset") is not None
        if is_named and content_type.get_content_charset() not in UTF_8:
            raise HTTPException(415, "send JSON as UTF-8, and no other charset in Content-Type")


def parse(body: bytes) -> Any:
    """Parse JSON as RFC 8259 has it between systems: in UTF-8. A byte order mark is overlooked.

    A key that is repeated has its last value. NaN and Infinity are read, so that a field can refuse them by
    name; an integer of more digits than Python reads is infinite for the same reason.

    Raises
    ------
    HTTPException
        400: it is not UTF-8, or nested too deeply.
    json.JSONDecodeError
        It is no JSON.
    """
    try:
        return _parse_text(body.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise HTTPException(400, "the body is not UTF-8, as JSON has to be") from error
    except RecursionError as error:
        raise HTTPException(400, "the body is nested too deeply") from error


def _parse_text(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than `int` reads
        return json.loads(text, parse_int=_read_integer)


def _read_integer(digits: str) -> float:
    return int(digits) if len(digits) <= sys.get_int_max_str_digits() else float(digits)


def is_json(content_type: str) -> bool:
    """Tell whether a content type is JSON, as FastAPI does.

    >>> is_json("application/vnd.crm+json; charset=utf-8"), is_json("text/plain"), is_json("")
    (True, False, False)
    """
    if content_type == JSON:
        return True
    message = _read_content_type(content_type)
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )


def _read_content_type(content_type: str) -> email.message.Message:
    message = email.message.Message()
    message["content-type"] = content_type
    return message


class JsonRoute(APIRoute):
    """A route that parses JSON by `parse`, and answers directly if there is nothing to it but its endpoint.

    The arguments are those of `APIRoute`.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._declared: dict[str, Any] | None = options
        super().__init__(path, endpoint, **options)
        self._declared = None

    def get_route_handler(self) -> Handler:
        """Return what answers; FastAPI asks again for each router that includes the route and adds to it."""
        framework = super().get_route_handler()
        understood = None if self._declared is None else self._understand(self._declared)

        async def handle(request: Request) -> Response:
            parsing = JsonRequest(request.scope, request.receive)
            if understood is None or not self._may_be_direct(parsing):
                return await framework(parsing)
            return await self._answer(parsing, understood, framework)

        return handle

    def _understand(self, declared: dict[str, Any]) -> "_Understood | None":
        """Find what the direct way has to do; nothing, if anything is declared that it does not know."""
        endpoint = _understand_endpoint(self)
        guards = _understand_guards(self.dependencies)
        if endpoint is None or guards is None or not all(_is_plain(*each) for each in declared.items()):
            return None
        return _Understood(guards, *endpoint)

    def _may_be_direct(self, request: JsonRequest) -> bool:
        overridden = getattr(self.dependency_overrides_provider, "dependency_overrides", None)
        is_traced = get_telemetry_data() is not None
        return request.is_evident and not overridden and not is_traced

    async def _answer(self, request: Request, understood: "_Understood", framework: Handler) -> Response:
        try:
            document = await request.json()
        except Exception:  # noqa: BLE001 - it fails there in the same way, and FastAPI says what that means
            return await framework(request)
        for guard in understood.guards:
            await guard(request)
        try:
            body = understood.model.validate_python(document, from_attributes=True)
        except ValidationError as error:
            faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
            place = self._place(request)
            raise RequestValidationError(faults, body=document, endpoint_ctx=place) from error
        answer = await understood.endpoint(**{understood.request_name: request, understood.body_name: body})
        if isinstance(answer, Response):
            return answer
        content = await serialize_response(
            field=self.response_field,
            response_content=answer,
            endpoint_ctx=self._place(request),
            dump_json=True,
        )
        return Response(content, media_type=JSON)

    def _place(self, request: Request) -> EndpointContext:
        """Name the endpoint as FastAPI does in the text of an error."""
        mounted_at = request.scope.get("root_path", "").rstrip("/")
        return {**_source(self.endpoint), "path": f"{request.method} {mounted_at}{self.path_format}"}


class _Understood(NamedTuple):
    """Everything that a route does before and after its endpoint."""

    guards: Sequence[Callable[[Request], Awaitable[Any]]]
    endpoint: Callable[..., Awaitable[Any]]
    request_name: str
    body_name: str
    model: TypeAdapter[Any]


def _is_plain(name: str, value: Any) -> bool:
    """Tell whether a parameter of the route has no effect on answers, or one that the direct way obeys."""
    known = name in DOCUMENTATION or name in OBEYED
    return known or (name in PLAIN and type(value) is type(PLAIN[name]) and value == PLAIN[name])


def _understand_endpoint(route: APIRoute) -> tuple[Any, str, str, TypeAdapter[Any]] | None:
    """Return an endpoint that takes the request and one model, its parameters' names, and the model."""
    types = _types(route.dependant.call)
    requests = [name for name, each in types.items() if each is Request]
    bodies = {name: _model(each) for name, each in types.items() if each is not Request}
    field = route.body_field
    if len(requests) != 1 or len(bodies) != 1 or field is None or route.response_field is None:
        return None
    ((body, model),) = bodies.items()
    is_whole_body = route.dependant.body_params == [field]  # and not a field of it
    is_plain_body = type(field.field_info) is Body and field.field_info.annotation is model
    if model is None or not is_whole_body or not is_plain_body or field.field_info.metadata:
        return None
    return route.dependant.call, requests[0], body, TypeAdapter(model)


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a body that is declared by the model alone, or with `Body` to document it."""
    model, *others = get_args(annotation) if get_origin(annotation) is Annotated else [annotation]
    is_model = isinstance(model, type) and issubclass(model, BaseModel)
    return model if is_model and all(type(each) is Body for each in others) else None


def _understand_guards(dependencies: Sequence[Depends]) -> list[Callable[[Request], Awaitable[Any]]] | None:
    """Return the coroutine functions that want nothing but the request; nothing, if there are others."""
    guards: dict[Callable[[Request], Awaitable[Any]], None] = {}
    for each in dependencies:
        call: Any = each.dependency
        if type(each) not in {Depends, Security} or each != type(each)(call):
            return None
        if list(_types(call).values()) == [Request]:
            guards[call] = None  # once, however often it is declared
        elif type(call) is not APIKeyHeader or call.auto_error:  # else it only documents
            return None
    return list(guards)


@cache
def _source(function: Callable[..., Any]) -> EndpointContext:
    try:
        _, line = inspect.getsourcelines(function)
    except OSError:  # it was typed in, or its file is gone
        return {}
    return {"function": function.__name__, "file": inspect.getfile(function), "line": line}


def _types(function: Any) -> dict[str, Any]:
    """Return the types of what a plain coroutine function requires; nothing for any other callable."""
    is_bare = inspect.isfunction(function) and inspect.unwrap(function) is function
    if not is_bare or not inspect.iscoroutinefunction(function):
        return {}
    parameters = inspect.signature(function).parameters.values()
    is_plain = all(
        each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty for each in parameters
    )
    return {each.name: each.annotation for each in parameters} if is_plain else {}
