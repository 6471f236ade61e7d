"""JSON routes: how a body is parsed, bounded before it is validated, and answered.

`JsonRoute` is FastAPI's route with one JSON parser, and a direct way for routes that
are understood completely. FastAPI resolves dependencies, opens exit stacks and parses
the content type for every request: most of what a prediction costs. A route that
declares none of what that is for can do without. The rule is written the other way
round: everything that a route may declare leads to FastAPI's own handler, except what
is named here, so that a parameter of a newer FastAPI does too. Both have FastAPI's
routing, middleware and exception handlers.

`ServiceRoute`, the application's route class, is a `JsonRoute` that refuses what would
cost too much to validate.
"""

import email.message
import inspect
import json
import sys
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, islice
from types import UnionType
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import EndpointContext, RequestValidationError
from fastapi.params import Body, Depends, Form
from fastapi.routing import APIRoute, serialize_response
from fastapi.telemetry import get_telemetry_data
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from starlette.types import Receive, Scope

from skewless.core.errors import BatchTooLargeError
from skewless.core.record_columns import MOST_FAULTS
from skewless.serving.columns import FROM_COLUMNS
from skewless.serving.problems import UNKNOWN
from skewless.serving.state import SERVICE, ServiceState

JSON: Final = "application/json"
EVIDENT: Final = frozenset((b"application/json", b"application/json; charset=utf-8"))
"""Content types that are JSON in UTF-8 at first sight; any other is parsed."""

ABOUT_THE_BODY: Final = frozenset((b"content-type", b"content-encoding"))

UTF_8: Final = frozenset(("utf-8", "utf8"))

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

PLAIN: Final = {
    name: each.default for name, each in inspect.signature(APIRoute).parameters.items()
}
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

OBEYED: Final = frozenset(
    ("dependencies", "dependency_overrides_provider", "methods", "strict_content_type")
)
"""Parameters that the direct way obeys.

The router sees to methods, and the direct way wants a content type anyway.
"""

FIELDS: Final = 100  # unknown ones that a body may have besides
# As pydantic has it.
EXTRA: Final = {"type": UNKNOWN, "msg": "Extra inputs are not permitted", "input": None}


# Parsed, once and in one way.


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
            415 if it is compressed or says that it is not UTF-8, 400 if it is not UTF-8
            or nested too deeply.
        json.JSONDecodeError
            It is no JSON.
        """
        if not hasattr(self, "_document"):
            if not self.is_evident:
                self._refuse_encodings()
            self._document = parse(await self.body())
        return self._document

    def _refuse_encodings(self) -> None:
        named = self.headers.getlist("content-encoding")
        codings = [each for each in named if each.lower() != "identity"]
        if codings:
            detail = (
                "send the body as it is, without Content-Encoding: "
                "this service unpacks nothing"
            )
            raise HTTPException(415, detail, {"Accept-Encoding": "identity"})
        content_type = _read_content_type(self.headers.get("content-type", ""))
        # get_content_charset says of a charset that it cannot read that there is none.
        is_named = content_type.get_param("charset") is not None
        if is_named and content_type.get_content_charset() not in UTF_8:
            raise HTTPException(
                415, "send JSON as UTF-8, and no other charset in Content-Type"
            )


def parse(body: bytes) -> Any:
    """Parse JSON in UTF-8, as RFC 8259 has it between systems.

    A byte order mark is overlooked. A key that is repeated has its last value. NaN and
    Infinity are read, so that a field can refuse them by name; an integer of more
    digits than Python reads is infinite for the same reason.

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

    >>> is_json("application/vnd.crm+json; charset=utf-8")
    True
    >>> is_json("text/plain"), is_json("")
    (False, False)
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


# Answered.


class JsonRoute(APIRoute):
    """A route that parses JSON by `parse`, and answers directly if it can.

    It can if there is nothing to it but its endpoint. The arguments are those of
    `APIRoute`.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._declared: dict[str, Any] | None = options
        super().__init__(path, endpoint, **options)
        self._declared = None

    def get_route_handler(self) -> Handler:
        """Return what answers.

        FastAPI asks again for each router that includes the route and adds to it.
        """
        framework = super().get_route_handler()
        if self._declared is None:
            understood = None
        else:
            understood = self._understand(self._declared)

        async def handle(request: Request) -> Response:
            if not isinstance(request, JsonRequest):
                request = JsonRequest(request.scope, request.receive)
            if understood is None or not self._may_be_direct(request):
                return await framework(request)
            return await self._answer(request, understood, framework)

        return handle

    def _understand(self, declared: dict[str, Any]) -> "_Understood | None":
        """Find what the direct way has to do.

        None if anything is declared that it does not know.
        """
        if self.dependencies or not all(_is_plain(*each) for each in declared.items()):
            return None
        return _understand_endpoint(self)

    def _may_be_direct(self, request: JsonRequest) -> bool:
        overridden = getattr(
            self.dependency_overrides_provider, "dependency_overrides", None
        )
        is_traced = get_telemetry_data() is not None
        return request.is_evident and not overridden and not is_traced

    async def _answer(
        self, request: Request, understood: "_Understood", framework: Handler
    ) -> Response:
        try:
            document = await request.json()
        except Exception:  # noqa: BLE001 - it fails there again, and FastAPI says why
            return await framework(request)
        values = {
            name: await provide(request)
            for name, provide in understood.provided.items()
        }
        try:
            body = understood.model.validate_python(document, from_attributes=True)
        except ValidationError as error:
            faults = [
                {**fault, "loc": ("body", *fault["loc"])}
                for fault in error.errors(include_url=False)
            ]
            place = self._place(request)
            raise RequestValidationError(
                faults, body=document, endpoint_ctx=place
            ) from error
        answer = await understood.endpoint(**values, **{understood.body_name: body})
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
        return {
            **_source(self.endpoint),
            "path": f"{request.method} {mounted_at}{self.path_format}",
        }


class _Understood(NamedTuple):
    """What a route does: its endpoint, its parameters and its body.

    `provided` holds for each parameter what provides it from the request.
    """

    endpoint: Callable[..., Awaitable[Any]]
    provided: dict[str, Callable[[Request], Awaitable[Any]]]
    body_name: str
    model: TypeAdapter[Any]


def _is_plain(name: str, value: Any) -> bool:
    """Tell whether the direct way may be taken with this parameter of the route.

    It may if the parameter has no effect on answers, or one that the direct way obeys.
    """
    if name in DOCUMENTATION or name in OBEYED:
        return True
    if name not in PLAIN:
        return False
    default = PLAIN[name]
    return type(value) is type(default) and value == default


def _understand_endpoint(route: APIRoute) -> _Understood | None:
    """Understand an endpoint that takes one model.

    Beside it the endpoint may take the request, or what comes of that alone.
    """
    call = route.dependant.call
    field = route.body_field
    if call is None or field is None or route.response_field is None:
        return None
    types = _types(call)
    providers = {name: _provider(annotation) for name, annotation in types.items()}
    provided = {
        name: provide for name, provide in providers.items() if provide is not None
    }
    # FastAPI calls one dependency once, for both parameters.
    if len(set(provided.values())) < len(provided):
        return None
    bodies = [name for name in types if name not in provided]
    if len(bodies) != 1:
        return None
    (body_name,) = bodies
    model = _model(types[body_name])
    info = field.field_info
    is_whole_body = route.dependant.body_params == [field]  # and not a field of it
    is_plain_body = type(info) is Body and info.annotation is model
    if model is None or not is_whole_body or not is_plain_body or info.metadata:
        return None
    return _Understood(call, provided, body_name, TypeAdapter(model))


async def _itself(request: Request) -> Request:
    return request


def _provider(annotation: Any) -> Callable[[Request], Awaitable[Any]] | None:
    """Return what makes a parameter of the request; None if nothing does."""
    if annotation is Request:
        return _itself
    _, *marks = _type_and_marks(annotation)
    if len(marks) != 1 or type(marks[0]) is not Depends:
        return None
    call: Any = marks[0].dependency
    is_plain = marks[0] == Depends(call) and list(_types(call).values()) == [Request]
    return call if is_plain else None


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a body that is declared by the model alone.

    A `Body` may document it. None if it is declared otherwise.
    """
    model, *marks = _type_and_marks(annotation)
    is_model = isinstance(model, type) and issubclass(model, BaseModel)
    is_plain = all(type(mark) is Body for mark in marks)
    return model if is_model and is_plain else None


def _type_and_marks(annotation: Any) -> Sequence[Any]:
    """Return a type, and then what `Annotated` says about it."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)
    return [annotation]


@cache
def _source(function: Callable[..., Any]) -> EndpointContext:
    try:
        _, line = inspect.getsourcelines(function)
    except OSError:  # it was typed in, or its file is gone
        return {}
    return {
        "function": function.__name__,
        "file": inspect.getfile(function),
        "line": line,
    }


def _types(function: Any) -> dict[str, Any]:
    """Return the types of what a plain coroutine function requires.

    There are none for any other callable.
    """
    is_bare = inspect.isfunction(function) and inspect.unwrap(function) is function
    if not is_bare or not inspect.iscoroutinefunction(function):
        return {}
    parameters = inspect.signature(function).parameters.values()
    is_plain = all(
        each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty
        for each in parameters
    )
    return {each.name: each.annotation for each in parameters} if is_plain else {}


# Bounded.


class ServiceRoute(JsonRoute):
    """A route whose body is bounded before it is validated, whoever declared it.

    The arguments are those of `APIRoute`.
    """

    def get_route_handler(self) -> Handler:
        """Return what checks the body, and then answers."""
        answer = super().get_route_handler()
        bounds = find_bounds(self.body_field)
        if bounds is None:
            return answer

        async def handle(request: Request) -> Response:
            parsing = JsonRequest(request.scope, request.receive)
            await bounds.check(parsing)
            return await answer(parsing)

        return handle


class BodyBounds(NamedTuple):
    """What a route's body may hold."""

    fields: int | None
    """At most so many in the body and in each row; None if it may hold any.

    Unknown fields count too.
    """
    rows: Mapping[str, frozenset[str] | None]
    """Field that lists rows → a row's fields; None if a row may have others."""
    columns: frozenset[str] = frozenset()
    """Fields that hold rows as columns."""

    async def check(self, request: JsonRequest) -> None:
        """Refuse a body that is no JSON, or that holds too much.

        Too much is too many fields or rows, or rows of too many fields.

        Raises
        ------
        HTTPException
            415: it is no JSON.
        BatchTooLargeError
            There are more rows than `serving.max_batch_rows`, or the body or a row has
            more than `fields`.
        RequestValidationError
            More fields of listed rows are unknown than an answer names. Nothing else is
            looked for: each fault costs as much as a good field.
        """
        if not request.is_evident and not is_json(
            request.headers.get("content-type", "")
        ):
            raise HTTPException(
                415, "send JSON, and say so: Content-Type: application/json"
            )
        body = await _document(request)
        if not isinstance(body, dict):
            return
        listed = {
            name: body[name] for name in self.rows if isinstance(body.get(name), list)
        }
        tables = [
            body[name] for name in self.columns if isinstance(body.get(name), dict)
        ]
        cells = chain.from_iterable(map(dict.values, tables))
        state: ServiceState = request.scope[SERVICE]
        limit = state.serving.max_batch_rows
        if any(
            isinstance(rows, list) and len(rows) > limit
            for rows in chain(listed.values(), cells)
        ):
            msg = f"a batch holds at most {limit} rows; send several"
            raise BatchTooLargeError(msg)
        unusual = [
            name for name, rows in listed.items() if not self._are_known(name, rows)
        ]
        rows = chain.from_iterable(listed[name] for name in unusual)
        self._refuse_wide(body, *tables, *rows)
        for name in unusual:
            self._refuse_unknown(name, listed[name])

    def _are_known(self, name: str, rows: Sequence[Any]) -> bool:
        """Tell quickly whether all rows have known fields alone, as nearly always."""
        known = self.rows[name]
        if known is None:
            return False
        try:
            return all(map(known.issuperset, rows))
        except TypeError:  # one is no row
            return False

    def _refuse_wide(self, *held: Any) -> None:
        most = self.fields
        if most is not None and any(
            isinstance(each, dict) and len(each) > most for each in held
        ):
            msg = (
                f"the body and each row in it have at most {most} fields, "
                "unknown ones included"
            )
            raise BatchTooLargeError(msg)

    def _refuse_unknown(self, name: str, rows: Sequence[Any]) -> None:
        known = self.rows[name]
        if known is None:
            return
        unknown = list(islice(_unknown_fields(rows, known), MOST_FAULTS + 1))
        if len(unknown) > MOST_FAULTS:
            faults = [
                {**EXTRA, "loc": ("body", name, number, field)}
                for number, field in unknown
            ]
            raise RequestValidationError(faults)


def find_bounds(field: Any) -> BodyBounds | None:
    """Derive the bounds from a route's body; None if the route has no JSON body."""
    body = None if field is None else field.field_info
    if (
        not isinstance(body, Body)
        or isinstance(body, Form)
        or not is_json(body.media_type)
    ):
        return None
    models = _models(body.annotation)
    if len(models) != 1:  # any JSON, or one of several models
        return BodyBounds(None, {})
    (model,) = models
    columns = {
        name: _models(*get_args(each.annotation))
        for name, each in model.model_fields.items()
        if FROM_COLUMNS in each.metadata
    }
    lists = {name: each for name, each in model.model_fields.items() if _is_list(each)}
    listed = {name: _models(*get_args(each.annotation)) for name, each in lists.items()}
    rows = {name: several for name, several in listed.items() if several}
    known = {name: _known_fields(several) for name, several in rows.items()}
    tables = frozenset(columns)
    takes_any = any(_known_fields(each) is None for each in columns.values())
    if _known_fields(models) is None or None in known.values() or takes_any:
        return BodyBounds(None, known, tables)
    everything = [model, *chain(*rows.values(), *columns.values())]
    most = max(len(each.model_fields) for each in everything)
    return BodyBounds(2 * most + FIELDS, known, tables)


def _is_list(field: FieldInfo) -> bool:
    is_sequence = get_origin(field.annotation) in {list, Sequence}
    return is_sequence and FROM_COLUMNS not in field.metadata


def _models(annotation: Any) -> list[type[BaseModel]]:
    """List the models that a row may be."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _models(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return [model for each in get_args(annotation) for model in _models(each)]
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return [annotation] if is_model else []


def _known_fields(models: Sequence[type[BaseModel]]) -> frozenset[str] | None:
    """Name what a row may hold; None if one of the models takes anything."""
    if any(model.model_config.get("extra") != "forbid" for model in models):
        return None
    fields = [each for model in models for each in model.model_fields.items()]
    return frozenset(field.alias or name for name, field in fields)


async def _document(request: JsonRequest) -> Any:
    """Parse the body; of what cannot be read FastAPI tells, when it reads it again."""
    try:
        return await request.json() if await request.body() else None
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, it fails there in the same way
        return None


def _unknown_fields(
    rows: Sequence[Any], known: frozenset[str]
) -> Iterator[tuple[int, str]]:
    for number, row in enumerate(rows):
        if isinstance(row, dict) and not known.issuperset(row):
            yield from ((number, field) for field in row if field not in known)
