"""FastAPI's route with one JSON parser, and a direct way for some routes.

The direct way is for routes that are understood completely. FastAPI resolves
dependencies, opens exit stacks and parses the content type for every request: most of
what a prediction costs. A route that declares none of what that is for can do without.
The rule is written the other way round: everything that a route may declare leads to
FastAPI's own handler, except what is named here, so that a parameter of a newer FastAPI
does too. Both have FastAPI's routing, middleware and exception handlers.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

from fastapi import Request, Response
from fastapi.exceptions import EndpointContext, RequestValidationError
from fastapi.params import Body, Depends
from fastapi.routing import APIRoute, serialize_response
from fastapi.telemetry import get_telemetry_data
from pydantic import BaseModel, TypeAdapter, ValidationError

from skewless.serving.json_request import JSON, JsonRequest

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
        understood = (
            None if self._declared is None else self._understand(self._declared)
        )

        async def handle(request: Request) -> Response:
            parsing = (
                request
                if isinstance(request, JsonRequest)
                else JsonRequest(request.scope, request.receive)
            )
            if understood is None or not self._may_be_direct(parsing):
                return await framework(parsing)
            return await self._answer(parsing, understood, framework)

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
    known = name in DOCUMENTATION or name in OBEYED
    return known or (
        name in PLAIN and type(value) is type(PLAIN[name]) and value == PLAIN[name]
    )


def _understand_endpoint(route: APIRoute) -> _Understood | None:
    """Understand an endpoint that takes one model.

    Beside it the endpoint may take the request, or what comes of that alone.
    """
    call, field = route.dependant.call, route.body_field
    types = _types(call)
    providers = {name: _provider(annotation) for name, annotation in types.items()}
    bodies = {
        name: _model(types[name])
        for name, provide in providers.items()
        if provide is None
    }
    if (
        call is None
        or len(bodies) != 1
        or field is None
        or route.response_field is None
    ):
        return None
    ((body, model),) = bodies.items()
    is_whole_body = route.dependant.body_params == [field]  # and not a field of it
    is_plain_body = (
        type(field.field_info) is Body and field.field_info.annotation is model
    )
    if (
        model is None
        or not is_whole_body
        or not is_plain_body
        or field.field_info.metadata
    ):
        return None
    provided = {
        name: provide for name, provide in providers.items() if provide is not None
    }
    # FastAPI calls one dependency once, for both parameters.
    if len(set(provided.values())) < len(provided):
        return None
    return _Understood(call, provided, body, TypeAdapter(model))


async def _itself(request: Request) -> Request:
    return request


def _provider(annotation: Any) -> Callable[[Request], Awaitable[Any]] | None:
    """Return what makes a parameter of the request; None if nothing does."""
    if annotation is Request:
        return _itself
    _, *marks = (
        get_args(annotation) if get_origin(annotation) is Annotated else [annotation]
    )
    if len(marks) != 1 or type(marks[0]) is not Depends:
        return None
    call: Any = marks[0].dependency
    is_plain = marks[0] == Depends(call) and list(_types(call).values()) == [Request]
    return call if is_plain else None


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a body that is declared by the model alone.

    A `Body` may document it. None if it is declared otherwise.
    """
    model, *others = (
        get_args(annotation) if get_origin(annotation) is Annotated else [annotation]
    )
    is_model = isinstance(model, type) and issubclass(model, BaseModel)
    return model if is_model and all(type(each) is Body for each in others) else None


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
