"""The model is changed while the service answers, and nobody notices.

What is refused changes nothing.
"""

import gc
import shutil
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from churn_service.schema import Customer
from logged import logged
from own import CONTRACT, PROJECT
from scraped import read
from skewless.core.config_file import load_config
from skewless.core.contract import Columns
from skewless.core.errors import ArtifactNotFoundError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.artifact import ONNX
from skewless.models.predict import Predictor, load_predictor
from skewless.registry.registry import EVENTS
from skewless.serving.access import new_key
from skewless.serving.fallback import VERSION
from skewless.serving.follow import find_models as models
from skewless.serving.model import INLINE_ROWS
from skewless.serving.service import Service
from steady import until
from versions import put, train

ELSEWHERE = ("192.0.2.7", 50_000)
# a batch that a thread answers
BATCH = {"customers": [CONTRACT.example()] * (INLINE_ROWS + 1)}


@pytest.fixture(scope="module")
def two(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """Return a project, its production version and another; do not change it."""
    folder = tmp_path_factory.mktemp("two") / "project"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("predictions"))
    other, first = train(folder, model={"max_iter": 5}), train(folder)
    put(folder, first)
    return folder, first, other


@pytest.fixture
def own(two: tuple[Path, str, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(two[0], tmp_path / "own"))


@pytest.fixture
def first(two: tuple[Path, str, str]) -> str:
    return two[1]


@pytest.fixture
def other(two: tuple[Path, str, str]) -> str:
    return two[2]


@pytest.fixture
def service(own: Path, build: Callable[..., Service]) -> Service:
    """Return a service that finds its models as production does.

    It looks when it is told to.
    """
    config = load_config(own / "config.yaml", PROJECT)
    found = models(Workspace(PROJECT, config, own, Settings(_env_file=None)))
    return build(
        found.load, wanted=found.wanted, root=own, serving={"poll_seconds": 3600}
    )


def ask_to_reload(client: TestClient, **headers: str):
    return client.post(
        "/admin/reload", headers={"content-type": "application/json", **headers}
    )


def reload(client: TestClient, **headers: str) -> int:
    return ask_to_reload(client, **headers).status_code


def answering(client: TestClient) -> str:
    return client.post("/predict", json=CONTRACT.example()).json()["model_version"]


def metric(client: TestClient, name: str) -> dict[tuple[str, ...], float]:
    return read(client.get("/metrics").text).get(name, {})


def made_up(
    version: str, like: Predictor, before: Callable[[], Any] = lambda: None
) -> Predictor:
    """Make a model that does something before it answers like another."""

    def probabilities(customers: Columns) -> np.ndarray:
        before()
        return like.probabilities(customers)

    return Predictor(replace(like.source, version=version), CONTRACT, probabilities)


@pytest.mark.slow
def test_what_was_promoted_answers_from_the_next_look_on(
    own: Path, first: str, other: str, service: Service, connect
):
    (expected,) = load_predictor(own / "models" / other, PROJECT).predict(
        [Customer(**CONTRACT.example())]
    )

    with logged(connect(service)) as (client, lines):
        before = answering(client)
        put(own, other)
        unlooked = answering(client)
        looked = ask_to_reload(client)
        after = client.post("/predict", json=CONTRACT.example()).json()
        served, reloads = (
            metric(client, "model_info"),
            metric(client, "model_reloads_total"),
        )

    (told,) = [line for line in lines if line["event"] == "the model answers"]
    assert (before, unlooked) == (first, first)
    assert (looked.status_code, looked.json()["model_version"]) == (200, other)
    assert (after["model_version"], after["churn_probability"]) == (
        other,
        expected.probability,
    )
    assert (served, reloads) == ({(first,): 0, (other,): 1}, {("changed",): 1})
    assert (told["level"], told["model_version"], told["before"]) == (
        "info",
        other,
        first,
    )


@pytest.mark.slow
def test_a_look_that_finds_nothing_new_opens_nothing(service: Service, connect):
    with connect(service) as client:
        before = service.state.predictor
        statuses = [reload(client) for _ in range(3)]
        after, reloads = service.state.predictor, metric(client, "model_reloads_total")

    assert (statuses, after is before, reloads) == ([200] * 3, True, {})


def test_a_pinned_version_is_not_left_whatever_is_promoted(
    own: Path, first: str, other: str, build, connect
):
    config = load_config(own / "config.yaml", PROJECT)
    put(own, other)
    pinned = models(
        Workspace(PROJECT, config, own, Settings(_env_file=None, version=first))
    )

    with connect(build(pinned.load, wanted=pinned.wanted, root=own)) as client:
        before, status, after = answering(client), reload(client), answering(client)

    assert (before, status, after) == (first, 200, first)


def damaged(models: Path, version: str) -> None:
    (models / version / ONNX).write_bytes(b"")


def absent(models: Path, version: str) -> None:
    shutil.rmtree(models / version)


def undecided(models: Path, _version: str) -> None:
    max((models / EVENTS).glob("*.json")).write_text("{")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("spoil", "wanted", "said"),
    [
        (damaged, True, f"{ONNX}: its SHA-256 is not the one"),
        (absent, True, "no such model version"),
        (undecided, False, "is no event"),
    ],
    ids=["damaged", "absent", "log of events"],
)
@pytest.mark.slow
def test_what_is_refused_changes_nothing_until_it_is_mended(
    own: Path,
    first: str,
    other: str,
    service: Service,
    connect,
    spoil,
    said: str,
    *,
    wanted: bool,
):
    put(own, other)
    whole = shutil.copytree(own / "models", own / "whole")
    put(own, first)

    with logged(connect(service)) as (client, lines):
        answering(client)
        put(own, other)
        spoil(own / "models", other)
        refusals = [ask_to_reload(client) for _ in range(3)]
        ready, meanwhile = client.get("/ready"), answering(client)
        counted, served = (
            metric(client, "model_reloads_total"),
            metric(client, "model_info"),
        )
        shutil.rmtree(own / "models")
        whole.rename(own / "models")
        mended, after = reload(client), answering(client)
        ready_after = client.get("/ready").json()

    (told,) = [line for line in lines if line["event"] == "no model"]
    refused = other if wanted else "unknown"
    assert {refusal.status_code for refusal in refusals} == {409}
    assert (
        refusals[0]
        .json()["detail"]
        .startswith(f"{refused} is refused, {first} answers on")
    )
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert (ready.json()["refused_version"], ready.json()["model_version"]) == (
        refused,
        first,
    )
    assert (meanwhile, counted, served) == (first, {("refused",): 3}, {(first,): 1})
    assert (told["level"], told["wanted"], told["answering"]) == (
        "warning",
        other if wanted else None,
        first,
    )
    assert said in told["reason"]
    assert (mended, after, ready_after["refused_version"]) == (200, other, None)


def test_who_goes_back_to_what_answers_is_done_with_what_was_refused(
    own: Path, first: str, other: str, service: Service, connect
):
    damaged(own / "models", other)

    with logged(connect(service)) as (client, lines):
        statuses, refused = [], []
        for version in (other, first, other):
            put(own, version)
            statuses.append(reload(client))
            refused.append(client.get("/ready").json()["refused_version"])

    assert (statuses, refused) == ([409, 200, 409], [other, None, other])
    # it is told anew
    assert len([line for line in lines if line["event"] == "no model"]) == 2


@pytest.mark.fault
@pytest.mark.parametrize(
    "error", [ValueError("no pickle of ours"), MemoryError(), KeyError("x")], ids=repr
)
def test_whatever_opening_a_model_raises_the_looking_goes_on(
    build, connect, predictor: Predictor, error
):
    opened: list[Any] = [predictor, error, error, made_up("new", predictor)]

    def load() -> Predictor:
        found = opened.pop(0) if len(opened) > 1 else opened[0]
        if isinstance(found, Exception):
            raise found
        return found

    service = build(load, wanted=lambda: "new", serving={"poll_seconds": 0.01})
    with logged(connect(service)) as (client, lines):
        until(lambda: answering(client) == "new", "the good model answers")

    (told,) = [line for line in lines if line["event"] == "no model"]
    assert told["reason"].startswith(f"{type(error).__name__}: ")


def test_a_batch_in_flight_is_answered_by_the_model_that_began_it_alone(
    build, connect, predictor: Predictor
):
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(20)

    old, new = made_up("old", predictor, hold), made_up("new", predictor)
    held = [old]
    service = build(lambda: held[-1], wanted=lambda: held[-1].version)
    with connect(service) as client, ThreadPoolExecutor(1) as caller:
        batch = caller.submit(client.post, "/predict/batch", json=BATCH)
        assert begun.wait(20)
        held.append(new)
        status, after = reload(client), answering(client)
        go_on.set()
        answered = batch.result(20).json()["predictions"]

    assert (status, after) == (200, "new")
    assert {each["model_version"] for each in answered} == {"old"}
    assert len(answered) == len(BATCH["customers"])


def test_a_model_that_was_replaced_is_freed_without_the_garbage_collector(
    own: Path, other: str, service: Service, connect
):
    with connect(service) as client:
        answering(client)
        client.post("/predict/batch", json=BATCH)
        before = weakref.ref(service.state.predictor)
        put(own, other)
        gc.disable()
        try:
            status, after = reload(client), answering(client)
            freed = before() is None
        finally:
            gc.enable()

    assert (status, after, freed) == (200, other, True)


def test_while_there_is_no_model_the_baseline_answers_and_a_look_says_so(
    build, connect, predictor: Predictor
):
    found: list[Predictor] = []

    def load() -> Predictor:
        if not found:
            msg = "no model version yet"
            raise ArtifactNotFoundError(msg)
        return found[0]

    with connect(
        build(load, serving={"fallback": "baseline", "poll_seconds": 3600})
    ) as client:
        missing, before = ask_to_reload(client), answering(client)
        found.append(predictor)
        status, after = reload(client), answering(client)

    assert (missing.status_code, before) == (409, VERSION)
    assert f"{VERSION} answers on" in missing.json()["detail"]
    assert (status, after) == (200, predictor.version)


def test_elsewhere_a_look_needs_a_key_of_the_scope_admin(build, connect):
    made = {scope: new_key(f"{scope}-caller", scope) for scope in ("predict", "admin")}
    environment = {"api_keys": ",".join(line for _, line in made.values())}

    with connect(build(environment=environment), ELSEWHERE) as client:
        statuses = [
            reload(client),
            *(reload(client, **{"X-API-Key": key}) for key, _ in made.values()),
        ]

    assert statuses == [401, 403, 200]


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"],
)
def test_a_form_on_a_page_of_another_site_cannot_ask_for_a_reload(
    build, connect, content_type: str
):
    looks = []

    with connect(
        build(wanted=lambda: looks.append(1), serving={"poll_seconds": 3600})
    ) as client:
        answer = client.post("/admin/reload", headers={"content-type": content_type})
        bare = client.post("/admin/reload")

    assert (answer.status_code, bare.status_code, looks) == (415, 415, [])
    assert "application/json" in answer.json()["detail"]
