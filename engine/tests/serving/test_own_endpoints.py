"""What an owner adds to the application works as FastAPI documents it.

It does so behind the engine's layers.
"""

import contextlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import (
    APIRouter,
    Body,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    Response,
)
from fastapi.testclient import TestClient

from churn_service.project import project
from churn_service.schema import Customer
from own import CONTRACT, fresh_app
from running import ask, serving
from skewless.core.workspace import open_workspace
from skewless.serving import Model, ServedModel
from skewless.testing import connect, run_command

EXAMPLE = CONTRACT.example()
router = APIRouter(prefix="/team", tags=["team"])


async def with_a_ticket(x_ticket: Annotated[str | None, Header()] = None) -> str:
    if x_ticket is None:
        raise HTTPException(403, "bring a ticket")
    return x_ticket


Ticket = Annotated[str, Depends(with_a_ticket)]


@router.post("/scores")
async def score(
    customer: Customer, model: Model, ticket: Ticket
) -> dict[str, float | str]:
    answer = await model.predict(customer)
    return {"score": answer.probability, "ticket": ticket}


def extend(app: FastAPI) -> None:
    @app.post("/score", dependencies=[Depends(with_a_ticket)])
    async def scored(customer: Customer, model: Model) -> float:
        return (await model.predict(customer)).probability

    @app.get("/hello")
    async def hello() -> dict[str, str]:
        return {"said": "hello"}

    @app.post("/count")
    async def count(counted: dict[str, int]) -> int:
        return len(counted)

    @app.post("/shout")
    async def shout(text: Annotated[str, Body(media_type="text/plain")]) -> str:
        return text.upper()

    @app.middleware("http")
    async def mark(request: Request, call_next) -> Response:
        answer = await call_next(request)
        answer.headers["x-own"] = "yes"
        return answer

    app.include_router(router)


@pytest.fixture(scope="module")
def copied(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the trained project, as what is asked here is logged."""
    folder = tmp_path_factory.mktemp("asked") / "project"
    return Path(shutil.copytree(trained, folder))


@pytest.fixture(scope="module")
def client(copied: Path) -> Iterator[TestClient]:
    app = fresh_app()
    extend(app)
    with connect(app, open_workspace(project, copied / "config.yaml")) as started:
        yield started


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("path", ["/score", "/team/scores"])
@pytest.mark.slow
def test_a_dependency_that_an_owner_declares_holds(
    client: TestClient, path: str, prefix: str
):
    denied = client.post(prefix + path, json=EXAMPLE)
    admitted = client.post(prefix + path, json=EXAMPLE, headers={"X-Ticket": "7"})

    assert (denied.status_code, denied.json()["detail"]) == (403, "bring a ticket")
    assert denied.headers["content-type"] == "application/problem+json"
    assert admitted.status_code == 200


def test_an_own_endpoint_answers_as_the_service_does(client: TestClient):
    service = client.post("/predict", json=EXAMPLE).json()["churn_probability"]

    own = client.post("/team/scores", json=EXAMPLE, headers={"X-Ticket": "7"}).json()

    assert own == {"score": service, "ticket": "7"}


def test_own_endpoints_are_found_first_and_in_their_order(copied: Path):
    app = fresh_app()

    async def nothing() -> None:
        """Answer nothing."""

    for path in ("/fixed", "/health", "/after", "/{any}", "/late"):
        app.get(path)(nothing)
    before = [route.path for route in app.router.routes]
    with connect(app, open_workspace(project, copied / "config.yaml")):
        after = [route.path for route in app.router.routes]

    moved = ["/predict", "/predict/batch", "/fixed"]
    assert after == moved + [path for path in before if path not in moved]


@pytest.mark.parametrize("path", ["/health", "/model", "/metrics", "/docs"])
def test_no_own_endpoint_takes_a_path_of_the_engine(path: str, copied: Path):
    app = fresh_app()

    @app.get(path)
    @app.get("/{anything}")
    async def other() -> str:
        return "other"

    with connect(app, open_workspace(project, copied / "config.yaml")) as client:
        assert client.get(path).text != '"other"'


def test_a_body_is_bounded_whoever_declared_it(client: TestClient):
    wide = EXAMPLE | {f"x{number}": 1 for number in range(10_000)}
    ticket = {"X-Ticket": "7"}

    assert client.post("/score", json=wide, headers=ticket).status_code == 413
    assert (
        client.post("/score", content=json.dumps(EXAMPLE), headers=ticket).status_code
        == 415
    )


def test_a_body_that_may_hold_anything_has_no_other_bound_than_its_size(
    client: TestClient,
):
    many = {f"x{number}": 1 for number in range(10_000)}
    text = client.post(
        "/shout", content="hello", headers={"Content-Type": "text/plain"}
    )

    assert client.post("/count", json=many).json() == 10_000
    assert (text.status_code, text.json()) == (200, "HELLO")


def test_a_request_of_an_own_endpoint_has_an_id_and_counts_under_its_path(
    client: TestClient,
):
    answer = client.get("/hello", headers={"X-Request-ID": "mine"})
    metrics = client.get("/metrics").text

    assert (answer.json(), answer.headers["x-request-id"], answer.headers["x-own"]) == (
        {"said": "hello"},
        "mine",
        "yes",
    )
    assert 'route="/hello",status="200"' in metrics


@pytest.mark.posix
@pytest.mark.slow
def test_uvicorn_serves_the_application_by_its_import_string(
    copied: Path, version: Path
):
    command = [sys.executable, "-W", "error", "-m", "uvicorn", "churn_service.api:app"]

    with serving(copied, command=command) as (url, _):
        answer = ask(f"{url}/predict", EXAMPLE)

    assert answer["model_version"] == version.name


def test_an_application_that_has_not_started_says_so():
    answer = TestClient(fresh_app()).get("/health")

    assert (answer.status_code, answer.json()["detail"]) == (
        503,
        "the service has not started",
    )


@pytest.mark.parametrize("app", [None, "churn_service.absent:app"])
def test_a_project_without_an_application_is_told_so(copied: Path, app: str | None):
    done = run_command(replace(project, app=app), copied, "serve")

    assert (done.returncode, "churn-service has no service: " in done.stderr) == (
        2,
        True,
    )
    assert [line for line in done.stderr.splitlines() if "Traceback" in line] == []


def test_the_model_can_be_replaced_for_a_test_as_any_dependency(copied: Path):
    class Fixed(ServedModel):
        def __init__(self) -> None: ...

        async def predict(self, _record: Customer):
            raise HTTPException(418, "a teapot")

    from skewless.serving.model import served_model

    app = fresh_app()
    app.dependency_overrides[served_model] = Fixed
    with connect(app, open_workspace(project, copied / "config.yaml")) as client:
        assert client.post("/predict", json=EXAMPLE).status_code == 418


def test_a_service_that_is_mounted_answers_as_its_own(copied: Path):
    work = open_workspace(project, copied / "config.yaml")
    inner, beside = fresh_app(), fresh_app()
    connect(inner, work)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield  # and hands nothing on

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/churn", inner)
    inner.mount("/beside", beside)
    with TestClient(outer, "http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        answer = client.post("/churn/predict", json=EXAMPLE)
        other = client.get("/churn/beside/health")

    assert answer.status_code == 200
    # One that has not started never answers with the model of another.
    assert (other.status_code, other.json()["detail"]) == (
        503,
        "the service has not started",
    )


def test_what_an_owner_calls_service_is_the_owners_and_a_crash_of_theirs_a_problem(
    copied: Path,
):
    app = fresh_app()

    @app.middleware("http")
    async def own(request: Request, call_next) -> Response:
        request.state.service = "billing"
        if request.url.path == "/crash":
            raise RuntimeError
        return await call_next(request)

    with connect(app, open_workspace(project, copied / "config.yaml")) as client:
        health = client.get("/health")
        crash = client.get("/crash")

    assert health.json()["model_loaded"]
    assert (crash.status_code, crash.headers["content-type"]) == (
        500,
        "application/problem+json",
    )


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_probe_that_is_asked_otherwise_names_get(copied: Path, path: str):
    work = open_workspace(project, copied / "config.yaml")
    with connect(fresh_app(), work) as client:
        answer = client.post(path)

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
