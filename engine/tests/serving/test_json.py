"""JsonRoute answers as FastAPI does, whatever a route declares.

JSON is read by one parser.
"""

import functools
import inspect
import json
import math
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import fastapi.routing
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    Security,
)
from fastapi.datastructures import Default
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from fields import fields
from own import CONTRACT, ID
from skewless.serving.json_route import JsonRoute, parse
from skewless.testing import payloads

SMALL = {"max_body_bytes": 20_000, "max_batch_rows": 5}
QUIET = {"log_level": "warning"}
MOST_FIELDS = 2 * len(CONTRACT.record.model_fields) + 100
OWN = ("prediction_id", "latency_ms", "request_id")
HOSTILE = [
    None,
    True,
    1e400,
    -0.0,
    4.0,
    "4",
    "",
    "\ud800",
    "\x00",
    [],
    {},
    10**30,
    float("nan"),
    1e-320,
    "é" * 99,
]
TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "text/plain",
    "",
]
JSON = {"content-type": "application/json"}


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int
    weight: Annotated[float, Field(ge=0)] = 1.0
    name: Annotated[str | None, Field(alias="called")] = None


class Emptied(Thing):
    @model_validator(mode="before")
    @classmethod
    def empty(cls, fields: Any) -> Any:
        """Take a field out of what was sent, as many do."""
        return (
            {"size": fields.pop("size"), "other": 1}
            if isinstance(fields, dict) and "size" in fields
            else fields
        )


class Seen(BaseModel):
    size: int
    doubled: float
    note: Annotated[str | None, Field(alias="remark")] = None


async def look(request: Request, thing: Thing) -> Seen:
    return Seen(
        size=thing.size,
        doubled=thing.weight * 2,
        remark=request.headers.get("x-remark"),
    )


async def remark(request: Request) -> str | None:
    return request.headers.get("x-remark")


async def look_with_help(
    thing: Thing, said: Annotated[str | None, Depends(remark)]
) -> Seen:
    return Seen(size=thing.size, doubled=thing.weight * 2, remark=said)


async def count_up(request: Request) -> int:
    request.state.asked = getattr(request.state, "asked", 0) + 1
    return request.state.asked


async def of_the_same_twice(
    thing: Thing,
    one: Annotated[int, Depends(count_up)],
    other: Annotated[int, Depends(count_up)],
) -> Seen:
    return Seen(size=one, doubled=other)


async def of_the_same_never_twice(
    thing: Thing,
    one: Annotated[int, Depends(count_up)],
    other: Annotated[int, Depends(count_up, use_cache=False)],
) -> Seen:
    return Seen(size=one, doubled=other)


async def document_only(
    request: Request, thing: Annotated[Thing, Body(examples=[{"size": 1}])]
) -> Seen:
    return await look(request, thing)


async def deny(request: Request) -> None:
    raise HTTPException(403, "denied")


async def pass_some(request: Request) -> None:
    if "x-pass" not in request.headers:
        raise HTTPException(401, "say please", {"WWW-Authenticate": "Please"})


def synchronous(request: Request) -> None:
    raise HTTPException(403, "denied by a thread")


async def yielding(request: Request):
    request.state.order = ["opened"]
    yield
    assert request.state.order == ["opened"]


async def of_others(_: Annotated[None, Depends(deny)]) -> None: ...


async def of_a_query(token: str) -> None: ...


class Denies:
    async def __call__(self, request: Request) -> None:
        raise HTTPException(403, "denied by an object")


UTF_8 = {"content-type": "application/json; charset=utf-8"}
PASSING = {**JSON, "x-pass": "1"}
REQUESTS: list[tuple[str, bytes, dict[str, str]]] = [
    *(
        ("/look", content, kind)
        for kind in (JSON, PASSING)
        for content in (
            b'{"size": 3}',
            b'{"size": "3", "called": "x"}',
            b'{"size": "x", "weight": -1, "other": 2}',
            b'{"thing": {"size": 3}}',
            b'{"thing": {"size": 3}, "factor": 2}',
            b'{"size": 1, "size": 2}',
            b"null",
            b"[3]",
            b'{"size": 3',
            b"",
        )
    ),
    ("/look", b'{"size": 3}', {**PASSING, "x-remark": "seen"}),
    ("/look", b'{"size": 3}', UTF_8),
    ("/look", b'{"size": "x"}', UTF_8),
    ("/look", b'{"size": 3', UTF_8),
    ("/look", b'{"size": 3}', {"content-type": "text/plain"}),
    (
        "/look",
        b"size=3&weight=2",
        {"content-type": "application/x-www-form-urlencoded"},
    ),
    ("/look", b'{"size": 3}', {"content-type": "application/vnd.x+json"}),
    ("/look", b'{"size": 3}', {}),
    ("/look?factor=2&token=t", b'{"size": 3}', PASSING),
]


def handle_invalid(request: Request, error: RequestValidationError) -> Response:
    """Answer with all that an owner's handler can see of an error."""
    seen = {"errors": error.errors(), "body": error.body, "text": str(error)}
    return JSONResponse(json.loads(json.dumps(seen, default=repr)), 422)


def answers(
    route_class: type[APIRoute], declare: Callable[[FastAPI, type[APIRoute]], None]
) -> list[Any]:
    """Ask an application with one route whatever may be asked of it."""
    app = FastAPI()
    app.add_exception_handler(RequestValidationError, handle_invalid)
    app.router.route_class = route_class
    declare(app, route_class)
    with TestClient(app, raise_server_exceptions=False) as client:
        asked = [("POST", *request) for request in REQUESTS] + [("PUT", *REQUESTS[0])]
        given = [
            client.request(method, path, content=content, headers=headers)
            for method, path, content, headers in asked
        ]
        document = client.get("/openapi.json").json()
    return [
        document,
        *(
            (answer.status_code, dict(answer.headers), answer.content)
            for answer in given
        ),
    ]


PARAMETERS: dict[str, list[Any]] = {
    "response_model": [None, dict[str, Any], Thing, Seen],
    "status_code": [201, 418],
    "tags": [["things"]],
    "dependencies": [
        [Depends(deny)],
        [Depends(pass_some)],
        [Depends(pass_some), Depends(pass_some, use_cache=False)],
        [Depends(pass_some, scope="function")],
        [Depends(pass_some, max_concurrency=1)],
        [Security(deny, scopes=["things"])],
        [Depends(synchronous)],
        [Depends(yielding)],
        [Depends(of_others)],
        [Depends(of_a_query)],
        [Depends(Denies())],
        [Depends(functools.partial(pass_some))],
        [Security(APIKeyHeader(name="X-Key", auto_error=False))],
        [Security(APIKeyHeader(name="X-Key"))],
    ],
    "summary": ["Look"],
    "description": ["Look at a thing"],
    "response_description": ["It was seen"],
    "responses": [{409: {"description": "Conflict"}}],
    "deprecated": [True],
    "name": ["looking"],
    "methods": [["PUT"], ["POST", "PUT"]],
    "operation_id": ["look_at_it"],
    "response_model_include": [{"size"}],
    "response_model_exclude": [{"size"}],
    "response_model_by_alias": [False],
    "response_model_exclude_unset": [True],
    "response_model_exclude_defaults": [True],
    "response_model_exclude_none": [True],
    "include_in_schema": [False],
    "response_class": [PlainTextResponse, JSONResponse, Default(PlainTextResponse)],
    "dependency_overrides_provider": [None],
    "callbacks": [APIRouter().routes],
    "openapi_extra": [{"x-own": 1}],
    "generate_unique_id_function": [lambda route: f"own_{route.name}"],
    "strict_content_type": [False],
    "max_body_size": [5, 1_000],
    "form_limits": [{"max_fields": 1}],
}
DECLARED = [(name, value) for name, values in PARAMETERS.items() for value in values]


def test_the_parameters_below_are_all_that_a_route_takes():
    assert {"path", "endpoint", *PARAMETERS} == inspect.signature(
        APIRoute
    ).parameters.keys()


# warnings of FastAPI, about what some of these values mean to its document
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "included", [False, True], ids=["on the application", "on a router"]
)
@pytest.mark.parametrize(("name", "value"), DECLARED)
@pytest.mark.slow
def test_whatever_a_route_declares_holds_on_every_request(
    name: str, value: Any, *, included: bool
):
    def declare(app: FastAPI, route_class: type[APIRoute]) -> None:
        router = APIRouter(route_class=route_class) if included else app.router
        options = {"methods": ["POST"], name: value}
        if name == "dependency_overrides_provider":
            router.routes.append(route_class("/look", look, **options))
        else:
            router.add_api_route("/look", look, **options)
        if included:
            app.include_router(router)

    assert answers(JsonRoute, declare) == answers(APIRoute, declare)


# What follows is declared by an endpoint's signature or its body.


async def plain(request: Request, thing: Thing) -> Seen:
    return await look(request, thing)


async def of_a_path_and_query(
    request: Request, thing: Thing, factor: Annotated[int, Query()] = 1
) -> Seen:
    return Seen(size=thing.size * factor, doubled=0)


async def of_a_header(
    request: Request, thing: Thing, x_remark: Annotated[str, Header()]
) -> Seen:
    return Seen(size=thing.size, doubled=0, remark=x_remark)


async def of_a_cookie(
    request: Request, thing: Thing, crumb: Annotated[str, Cookie()] = "none"
) -> Seen:
    return Seen(size=thing.size, doubled=0, remark=crumb)


async def of_a_dependency(
    request: Request, thing: Thing, _: Annotated[None, Depends(pass_some)]
) -> Seen:
    return await look(request, thing)


async def with_a_dependency_by_default(
    request: Request, thing: Thing, _: None = Depends(deny)
) -> Seen:
    return await look(request, thing)


async def with_a_response(request: Request, thing: Thing, response: Response) -> Seen:
    response.status_code, response.headers["x-own"] = 202, "yes"
    return await look(request, thing)


async def with_a_task(request: Request, thing: Thing, tasks: BackgroundTasks) -> Seen:
    tasks.add_task(DONE.append, thing.size)
    return await look(request, thing)


async def embedded(request: Request, thing: Annotated[Thing, Body(embed=True)]) -> Seen:
    return await look(request, thing)


async def of_two(
    request: Request, thing: Thing, factor: Annotated[int, Body()]
) -> Seen:
    return Seen(size=thing.size * factor, doubled=0)


async def optional(request: Request, thing: Thing | None = None) -> Seen:
    return Seen(size=0, doubled=0) if thing is None else await look(request, thing)


async def nullable(request: Request, thing: Thing | None) -> Seen:
    return Seen(size=0, doubled=0) if thing is None else await look(request, thing)


async def strict(request: Request, thing: Annotated[Thing, Body(strict=True)]) -> Seen:
    return await look(request, thing)


async def of_a_model_that_changes_what_was_sent(
    request: Request, thing: Emptied
) -> Seen:
    return await look(request, thing)


def _doubled(thing: Thing) -> Thing:
    return Thing(size=thing.size * 2)


async def validated(
    request: Request, thing: Annotated[Thing, AfterValidator(_doubled)]
) -> Seen:
    return await look(request, thing)


async def of_a_query_model(request: Request, thing: Annotated[Thing, Query()]) -> Seen:
    return await look(request, thing)


async def of_any(request: Request, thing: Any = Body()) -> Seen:
    return Seen(size=0, doubled=0, remark=repr(thing))


async def of_bytes(request: Request) -> Seen:
    return Seen(size=len(await request.body()), doubled=0)


async def of_a_request_alone(request: Request) -> Seen:
    return Seen(size=0, doubled=0, remark=repr(await request.json()))


async def without_a_request(thing: Thing) -> Seen:
    return Seen(size=thing.size, doubled=0)


async def without_an_answer(request: Request, thing: Thing):
    return {"size": thing.size, "when": None}


async def of_nothing(request: Request, thing: Thing) -> None: ...


async def a_dictionary(request: Request, thing: Thing) -> Seen:
    return {"size": thing.size, "doubled": 1, "more": 2}  # type: ignore[return-value]


async def an_answer_that_breaks_its_model(request: Request, thing: Thing) -> Seen:
    return {"size": "x"}  # type: ignore[return-value]


async def another_model(request: Request, thing: Thing) -> Seen:
    return thing  # type: ignore[return-value]


async def a_response(request: Request, thing: Thing) -> Response:
    return PlainTextResponse("seen", 202, {"x-own": "yes"})


async def a_response_all_the_same(request: Request, thing: Thing) -> Seen:
    headers = {"x-own": "yes"}
    return PlainTextResponse("seen", 202, headers)  # type: ignore[return-value]


async def raising_http(request: Request, thing: Thing) -> Seen:
    raise HTTPException(418, {"why": "tea"}, {"x-own": "yes"})


async def raising_its_own(request: Request, thing: Thing) -> Seen:
    raise LookupError(thing.size)


async def crashing(request: Request, thing: Thing) -> Seen:
    raise ZeroDivisionError


def in_a_thread(request: Request, thing: Thing) -> Seen:
    return Seen(size=thing.size, doubled=0)


async def streaming(request: Request, thing: Thing):
    for number in range(thing.size):
        yield Seen(size=number, doubled=0)


async def keywords_only(*, request: Request, thing: Thing) -> Seen:
    return await look(request, thing)


async def text_annotations(request: "Request", thing: "Thing") -> "Seen":
    return await look(request, thing)


async def the_other_way_round(thing: Thing, request: Request) -> Seen:
    return await look(request, thing)


@functools.wraps(look)
async def wrapped(*arguments: Any, **named: Any) -> Seen:
    seen = await look(*arguments, **named)
    return seen.model_copy(update={"doubled": -1.0})


class Looks:
    async def __call__(self, request: Request, thing: Thing) -> Seen:
        return await look(request, thing)


DONE: list[int] = []
ENDPOINTS = [
    plain,
    document_only,
    look_with_help,
    of_the_same_twice,
    of_the_same_never_twice,
    of_a_path_and_query,
    of_a_header,
    of_a_cookie,
    of_a_dependency,
    with_a_dependency_by_default,
    with_a_response,
    with_a_task,
    embedded,
    of_two,
    optional,
    nullable,
    strict,
    of_a_model_that_changes_what_was_sent,
    validated,
    of_a_query_model,
    of_any,
    of_bytes,
    of_a_request_alone,
    without_a_request,
    without_an_answer,
    of_nothing,
    a_dictionary,
    an_answer_that_breaks_its_model,
    another_model,
    a_response,
    a_response_all_the_same,
    raising_http,
    raising_its_own,
    crashing,
    in_a_thread,
    streaming,
    keywords_only,
    text_annotations,
    the_other_way_round,
    wrapped,
    functools.partial(look),
    Looks(),
]


@pytest.mark.parametrize(
    "endpoint",
    ENDPOINTS,
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
@pytest.mark.slow
def test_whatever_an_endpoint_takes_or_gives_it_does_so_on_every_request(
    endpoint: Callable[..., Any],
):
    def declare(app: FastAPI, _: type[APIRoute]) -> None:
        app.add_api_route("/look", endpoint, methods=["POST"])
        app.add_exception_handler(
            LookupError, lambda _, error: JSONResponse({"lost": str(error)}, 410)
        )
        app.add_exception_handler(
            ResponseValidationError,
            lambda _, error: JSONResponse({"ours": str(error)}, 500),
        )

    DONE.clear()
    ours = answers(JsonRoute, declare)
    done = list(DONE)
    DONE.clear()

    assert ours == answers(APIRoute, declare)
    assert done == DONE


def with_middleware(app: FastAPI) -> None:
    @app.middleware("http")
    async def stamp(request: Request, go_on: Callable[..., Any]) -> Response:
        if request.headers.get("x-remark"):
            return PlainTextResponse("stopped", 420)
        response = await go_on(request)
        response.headers["x-stamp"] = "yes"
        return response


def with_an_override(app: FastAPI) -> None:
    app.dependency_overrides[pass_some] = lambda: None


def with_a_denying_override(app: FastAPI) -> None:
    app.dependency_overrides[pass_some] = synchronous_denial


def synchronous_denial() -> None:
    raise HTTPException(403, "overridden")


def with_a_handler_of_refusals(app: FastAPI) -> None:
    app.add_exception_handler(
        HTTPException, lambda _, error: JSONResponse({"own": error.detail}, 499)
    )


@pytest.mark.parametrize(
    "change",
    [
        with_middleware,
        with_an_override,
        with_a_denying_override,
        with_a_handler_of_refusals,
    ],
)
@pytest.mark.slow
def test_what_an_owner_changes_on_the_application_holds_on_every_request(
    change: Callable[[FastAPI], None],
):
    def declare(app: FastAPI, _: type[APIRoute]) -> None:
        app.add_api_route(
            "/look", look, methods=["POST"], dependencies=[Depends(pass_some)]
        )
        change(app)

    assert answers(JsonRoute, declare) == answers(APIRoute, declare)


@pytest.mark.parametrize(
    "on", ["the application", "the router", "the inclusion", "a router in a router"]
)
def test_a_dependency_holds_wherever_it_is_declared(on: str):
    def declared(where: str) -> dict[str, Any]:
        return {"dependencies": [Depends(deny)]} if on == where else {}

    app = FastAPI(**declared("the application"))
    app.router.route_class = JsonRoute
    router = APIRouter(route_class=JsonRoute, **declared("the router"))
    outer = APIRouter(route_class=JsonRoute, **declared("a router in a router"))
    app.add_api_route("/look", look, methods=["POST"])
    router.add_api_route("/look", look, methods=["POST"])
    outer.include_router(router, prefix="/inner")
    app.include_router(outer, prefix="/outer", **declared("the inclusion"))

    with TestClient(app) as client:
        statuses = {
            path: {client.post(path, json={"size": 1}).status_code for _ in range(2)}
            for path in ("/look", "/outer/inner/look")
        }

    assert statuses == {
        "/look": {403 if on == "the application" else 200},
        "/outer/inner/look": {403},
    }


def test_a_route_class_of_an_owners_own_may_build_on_this_one():
    class Stamped(JsonRoute):
        def get_route_handler(self):
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                answer = await inner(request)
                answer.headers["x-stamp"] = "yes"
                return answer

            return handle

    app = FastAPI()
    app.router.route_class = Stamped
    app.add_api_route("/look", look, methods=["POST"])
    with TestClient(app) as client:
        answer = client.post("/look", json={"size": 1})

    assert (answer.status_code, answer.headers["x-stamp"]) == (200, "yes")


def test_a_dependency_is_asked_once_for_each_request_be_it_valid_or_not():
    asked = []

    async def count(request: Request) -> None:
        asked.append(request.headers["content-type"])

    app = FastAPI()
    app.router.route_class = JsonRoute
    app.add_api_route(
        "/look", look, methods=["POST"], dependencies=[Depends(count), Depends(count)]
    )
    with TestClient(app) as client:
        for content in (b'{"size": 1}', b'{"size": "x"}', b"null"):
            client.post("/look", content=content, headers=JSON)

    assert len(asked) == 3


@pytest.mark.parametrize("content", [b'{"size": 1}', b'{"size": "x"}'])
def test_a_route_that_declares_nothing_is_answered_directly(
    monkeypatch, content: bytes
):
    """Else the tests above would compare FastAPI with itself."""
    solved = []
    solve = fastapi.routing.solve_dependencies

    def counting(**named: Any) -> Any:
        solved.append(named)
        return solve(**named)

    app = FastAPI()
    app.router.route_class = JsonRoute
    app.add_api_route("/look", look_with_help, methods=["POST"])
    monkeypatch.setattr(fastapi.routing, "solve_dependencies", counting)

    with TestClient(app) as client:
        answer = client.post("/look", content=content, headers={**JSON, "x-pass": "1"})

    assert (answer.status_code, len(solved)) == (422 if b"x" in content else 200, 0)


def test_a_parameter_that_is_not_known_leaves_the_route_to_fastapi(monkeypatch):
    class NewerRoute(APIRoute):
        def __init__(
            self, *arguments: Any, novelty: bool = False, **named: Any
        ) -> None:
            super().__init__(*arguments, **named)

    class NewerJsonRoute(JsonRoute, NewerRoute): ...

    solved = []
    solve = fastapi.routing.solve_dependencies
    monkeypatch.setattr(
        fastapi.routing,
        "solve_dependencies",
        lambda **named: solved.append(named) or solve(**named),
    )
    app = FastAPI()
    app.router.routes.append(
        NewerJsonRoute("/look", look, methods=["POST"], novelty=True)
    )
    with TestClient(app) as client:
        assert client.post("/look", json={"size": 1}).status_code == 200

    assert len(solved) == 1


# The service itself.

Clients = tuple[TestClient, TestClient]


@pytest.fixture(scope="module")
def clients(build, connect) -> Iterator[Clients]:
    """Connect to a service, and to one that leaves every request to FastAPI."""
    direct = build(serving=SMALL, environment=QUIET)
    framework = build(serving=SMALL, environment=QUIET)
    framework.app.dependency_overrides[deny] = deny  # of what no route asks for
    with connect(direct) as one, connect(framework) as two:
        yield one, two


def without_own(answer: Any) -> Any:
    """Leave out what differs between any two answers."""
    if isinstance(answer, dict):
        return {
            name: without_own(value)
            for name, value in answer.items()
            if name not in OWN
        }
    return (
        [without_own(each) for each in answer] if isinstance(answer, list) else answer
    )


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Records that are valid, or wrong in fields, values, duplicates or bytes."""
    record = draw(payloads(CONTRACT))
    names = [column.name for column in CONTRACT.columns]
    for _ in range(draw(st.integers(0, 2))):
        record[draw(st.sampled_from([*names, "unknown"]))] = draw(
            st.sampled_from(HOSTILE)
        )
    for name in draw(st.lists(st.sampled_from(names), max_size=1)):
        record.pop(name, None)
    text = json.dumps(
        record,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
    )
    if draw(st.integers(0, 4)) == 0:  # the same field again, with another value
        text = (
            text.rstrip().removesuffix("}")
            + f", {json.dumps(names[0])}: "
            + f"{json.dumps(draw(st.sampled_from(HOSTILE)))}}}"
        )
    if draw(st.booleans()):
        rows = draw(st.sampled_from([1, 2, SMALL["max_batch_rows"] + 1]))
        columns = {name: [value] * rows for name, value in record.items()}
        forms = [
            f'{{"customers": [{", ".join([text] * rows)}]}}',
            json.dumps({"columns": columns}),
        ]
        text = draw(st.sampled_from(forms))
    body = text.encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        position = draw(st.integers(0, len(body)))
        body = (
            body[:position]
            + draw(st.sampled_from([b"", b"\xff", b"{", b"0", b",", b"\x00"]))
            + body[position + 1 :]
        )
    return body


requests = st.tuples(
    st.sampled_from(
        ["/predict", "/predict/batch", "/v1/predict", "/v1/predict/batch", "/predict/"]
    ),
    bodies(),
    st.sampled_from(TYPES[:1] * 4 + TYPES),
    st.booleans(),
)


# Chance alone may draw neither.
RIGHT = ("/predict", json.dumps(CONTRACT.example()).encode(), TYPES[0], False)
WRONG = ("/predict", b"{}", TYPES[0], False)


def ask(
    client: TestClient, path: str, body: bytes, content_type: str, *, chunked: bool
):
    content = iter([body[:50], body[50:]]) if chunked else body
    answer = client.post(path, content=content, headers={"content-type": content_type})
    return (
        answer.status_code,
        answer.headers.get("content-type"),
        without_own(answer.json()),
    )


def compare(clients: Clients, examples: int) -> dict[int, int]:
    seen: dict[int, int] = {}

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(request=requests)
    @example(request=RIGHT)
    @example(request=WRONG)
    def check(request: tuple[str, bytes, str, bool]) -> None:
        path, body, content_type, chunked = request
        direct, framework = (
            ask(client, path, body, content_type, chunked=chunked) for client in clients
        )
        assert framework == direct
        seen[direct[0]] = seen.get(direct[0], 0) + 1

    check()
    return seen


def test_the_service_answers_as_fastapi_does(clients: Clients):
    seen = compare(clients, 60)

    assert {200, 422} <= seen.keys()


@pytest.mark.slow
def test_the_service_answers_as_fastapi_does_thousands_of_times(clients: Clients):
    seen = compare(clients, 1_000)

    assert sum(seen.values()) >= 1_000
    assert {200, 413, 415, 422} <= seen.keys()


# JSON.

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(document=documents, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
@pytest.mark.slow
def test_what_json_writes_is_read(
    document: Any, indent: int | None, *, ascii_only: bool
):
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()

    assert repr(parse(body)) == repr(document)


@given(body=st.binary(max_size=50))
def test_bytes_that_are_no_json_are_refused_and_others_are_what_they_say(body: bytes):
    try:
        expected = json.loads(body.decode().removeprefix("\ufeff"))
    except ValueError as error:
        refusal = (
            HTTPException
            if isinstance(error, UnicodeDecodeError)
            else json.JSONDecodeError
        )
        with pytest.raises(refusal):
            parse(body)
    else:
        assert repr(parse(body)) == repr(expected)


def test_a_byte_order_mark_is_overlooked_once():
    assert parse("\ufeff[1]".encode()) == [1]
    with pytest.raises(json.JSONDecodeError):
        parse("\ufeff\ufeff[1]".encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1" * 5000, math.inf),
        ("-" + "1" * 5000, -math.inf),
        ("1" * 5000 + ".5", math.inf),
        ("1e400", math.inf),
        ("Infinity", math.inf),
        ("1" * 4300, int("1" * 4300)),
    ],
)
def test_a_number_too_large_for_python_is_infinite(text: str, value: float):
    assert parse(f'{{"a": [{text}, 2]}}'.encode()) == {"a": [value, 2]}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_no_other_encoding_is_guessed(client: TestClient, encoding: str):
    text = json.dumps({**CONTRACT.example(), ID: "é"}, ensure_ascii=False)

    for content_type in (
        "application/json",
        "application/json; charset=utf-8",
        "application/x+json",
    ):
        answer = client.post(
            "/predict",
            content=text.encode(encoding),
            headers={"content-type": content_type},
        )
        assert answer.status_code in {400, 422}


@pytest.mark.parametrize(
    "body",
    [
        b'{"customers":[' + b",".join([b"{}"] * 300_000) + b"]}",
        b'{"customers":[' + b",".join([b"0"] * 450_000) + b"]}",
        b'{"customers":[{'
        + b",".join(b'"%d":1' % number for number in range(50_000))
        + b"}]}",
        b"{" + b",".join(b'"%d":1' % number for number in range(50_000)) + b"}",
    ],
    ids=["empty customers", "numbers", "unknown fields in a batch", "unknown fields"],
)
@pytest.mark.slow
def test_no_body_makes_the_service_list_very_many_faults(build, connect, body: bytes):
    """Each fault would cost a microsecond and a kilobyte.

    A body of the largest size would cost seconds and a gigabyte.
    """
    path = "/predict/batch" if b"customers" in body[:20] else "/predict"
    with connect(build(environment=QUIET)) as client:
        answer, most = measured(client, path, body)

    assert (answer.status_code, answer.json()["errors"]) == (413, [])
    assert most < 60 * 1024 * 1024


FIFTY_THOUSAND = b",".join(b'"%d":1' % number for number in range(50_000))


@pytest.mark.parametrize(
    "path", ["/predict", "/predict/batch", "/models/newest/predict"]
)
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=UTF-8"]
)
@pytest.mark.parametrize(
    "listed", [b"[]", b"1", json.dumps([CONTRACT.example()]).encode()]
)
@pytest.mark.slow
def test_fields_around_the_customers_count_as_theirs_do(
    client: TestClient, path: str, content_type: str, listed: bytes
):
    body = b'{"customers":%b,%b}' % (listed, FIFTY_THOUSAND)

    answer, most = measured(client, path, body, content_type)

    assert (answer.status_code, answer.json()["errors"]) == (413, [])
    assert f"at most {MOST_FIELDS} fields" in answer.json()["detail"]
    assert most < 60 * 1024 * 1024


@pytest.mark.parametrize(
    "value",
    [b"{%b}" % FIFTY_THOUSAND, b"[%b1]" % (b"1," * 300_000)],
    ids=["object", "list"],
)
@pytest.mark.parametrize(
    "name",
    # A table may have a column of its own called "customers" or "unknown".
    dict.fromkeys([*(column.name for column in fields()), ID, "unknown", "customers"]),
)
@pytest.mark.slow
def test_whatever_a_field_holds_is_one_fault(
    client: TestClient, name: str, value: bytes
):
    body = json.dumps({**CONTRACT.example(), name: "@"}).encode().replace(b'"@"', value)

    answer, most = measured(client, "/predict", body)

    assert (
        answer.status_code,
        [fault["field"] for fault in answer.json()["errors"]],
    ) == (422, [name])
    assert most < 60 * 1024 * 1024


def measured(
    client: TestClient, path: str, body: bytes, content_type: str = "application/json"
) -> tuple[Any, int]:
    """Ask, and return the answer and the most memory that was needed, in bytes."""
    tracemalloc.start()
    answer = client.post(path, content=body, headers={"content-type": content_type})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return answer, most


def test_of_very_many_unknown_fields_the_first_are_named_and_no_more_are_looked_for(
    client: TestClient,
):
    row = {f"x{number}": 1 for number in range(MOST_FIELDS)}
    body = json.dumps({"customers": [row] * (500_000 // len(json.dumps(row)))}).encode()

    answer, most = measured(client, "/predict/batch", body)

    faults = answer.json()["errors"]
    assert (answer.status_code, len(faults)) == (422, 100)
    assert faults[0] == {
        "field": "customers.0.x0",
        "rule": "extra_forbidden",
        "message": "Extra inputs are not permitted",
    }
    assert {fault["rule"] for fault in faults} == {"extra_forbidden"}
    # a fault would take a kilobyte, so all of them a hundred times the body
    assert most < 30 * len(body)
