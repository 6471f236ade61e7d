"""Any registered version answers as itself and is loaded once.

It leaves when others need its place.
"""

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings

from churn_service.features import add_features
from churn_service.schema import Customer
from logged import logged, requests
from own import CONTRACT, PROJECT, said
from scraped import read
from skewless.core.checkout import Checkout
from skewless.core.config_file import load_config
from skewless.core.project import Project
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models import artifact
from skewless.models.artifact import ONNX
from skewless.models.predict import Predictor, load_predictor
from skewless.registry.events import Decided
from skewless.registry.registry import Registry
from skewless.serving.access import new_key
from skewless.serving.follow import find_models as models
from skewless.serving.pool import Pool
from skewless.serving.versions import GROWTH, MEGABYTE, Versions
from skewless.testing import payloads
from skewless.training import pipeline
from steady import configure

KEY, LINE = new_key("crm", "predict")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEMPLATE = "/models/{name}/predict"
A, B, C = (f"0.0.{number}-00000000" for number in range(3))
UNKNOWN = [
    "0.9.9-00000000",
    "production",  # nothing is
    "no-such-version",
    "fallback:baseline",
    "%2e%2e",
    "%7Bname%7D",
    "0.1.0-1a2b3c4d%0a",
    "1" * 300 + ".0.0-00000000",
    "x" * 3000,
]


class Two(NamedTuple):
    """A project with two versions.

    The first is served, and in staging; the second is the newest.
    """

    project: Path
    first: str
    second: str

    @property
    def models(self) -> Path:
        return self.project / "models"


@pytest.fixture(scope="module")
def two(trained: Path, tmp_path_factory: pytest.TempPathFactory, run) -> Two:
    own = Path(shutil.copytree(trained, tmp_path_factory.mktemp("two") / "project"))
    registry = Registry(own / "models")
    (first,) = registry.versions()
    configure(own, "model", max_iter=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "read_checkout", lambda _: Checkout("clean", COMMIT))
        assert run(own, "train").returncode == 0
    (second,) = set(registry.versions()) - {first}
    registry.record(
        Decided(kind="promote", version=first, alias="staging", who="test"),
        registry.events(),
    )
    return Two(own, first, second)


@pytest.fixture
def own_two(two: Two, tmp_path: Path) -> Two:
    """Return a copy that the test may damage."""
    return two._replace(project=Path(shutil.copytree(two.project, tmp_path / "own")))


@pytest.fixture(scope="module")
def over(build, connect) -> Callable[..., TestClient]:
    """Return a client of a service over a registry, made as a worker makes it."""

    def client(two: Two, project: Project = PROJECT) -> TestClient:
        config = load_config(two.project / "config.yaml", project)
        settings = Settings(_env_file=None, version=two.first)
        source = models(Workspace(project, config, two.project, settings))
        return connect(
            build(
                source.load,
                wanted=source.wanted,
                open_version=source.open,
                resolve=source.resolve,
            )
        )

    return client


@pytest.fixture(scope="module")
def asking(over, two: Two) -> Iterator[TestClient]:
    with over(two) as client:
        yield client


def ask(client: TestClient, name: str, body: Any = None, **options: Any):
    return client.post(
        f"/models/{name}/predict",
        json=CONTRACT.example() if body is None else body,
        **options,
    )


def named(predictor: Predictor, version: str) -> Predictor:
    """Return a model of another name, which takes a little more than a megabyte."""
    found = Predictor(
        replace(predictor.source, version=version), CONTRACT, predictor.probabilities
    )
    found.model_bytes = MEGABYTE // GROWTH
    return found


class Opened:
    """Opens versions that look alike, and remembers which; `release` lets it go on."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.names: list[str] = []
        self.begun, self.release = threading.Event(), threading.Event()
        self.release.set()

    def __call__(self, version: str) -> Predictor:
        self.names.append(version)
        self.begun.set()
        assert self.release.wait(20)
        return named(self._predictor, version)


@pytest.fixture
def opened(predictor: Predictor) -> Opened:
    return Opened(predictor)


@pytest.fixture(scope="module")
def alone(two: Two) -> list[Predictor]:
    return [
        load_predictor(two.models / version, PROJECT)
        for version in (two.first, two.second)
    ]


@settings(max_examples=40)
@given(payload=payloads(CONTRACT))
@pytest.mark.slow
def test_each_version_answers_as_itself_bit_for_bit(
    asking: TestClient, alone: list[Predictor], payload: dict[str, Any]
):
    for predictor in alone:
        (expected,) = predictor.predict([Customer(**payload)])

        answer = ask(asking, predictor.version, payload).json()

        source = {
            "model_version": predictor.version,
            "trained_at": predictor.source.trained_at,
        }
        assert answer == said(expected) | source | {
            "prediction_id": answer["prediction_id"]
        }


@pytest.mark.slow
def test_a_version_counts_by_the_size_of_its_file(alone: list[Predictor], two: Two):
    sizes = [(two.models / each.version / ONNX).stat().st_size for each in alone]

    assert [each.model_bytes for each in alone] == sizes


def test_the_two_versions_differ_and_the_plain_road_is_that_of_the_one_that_serves(
    asking: TestClient, two: Two
):
    plain, first = (
        asking.post("/predict", json=CONTRACT.example()).json(),
        ask(asking, two.first).json(),
    )
    second = asking.post(
        f"/v1/models/{two.second}/predict", json=CONTRACT.example()
    ).json()

    assert (
        plain["churn_probability"]
        == first["churn_probability"]
        != second["churn_probability"]
    )
    assert [each["model_version"] for each in (plain, first, second)] == [
        two.first,
        two.first,
        two.second,
    ]


def test_an_alias_stands_for_whatever_holds_it(asking: TestClient, two: Two):
    answers = [
        ask(asking, name).json()["model_version"] for name in ("newest", "staging")
    ]

    assert answers == [two.second, two.first]


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_name_that_leads_to_no_version_is_a_404_that_does_not_repeat_it(
    asking: TestClient, name: str
):
    answer = ask(asking, name)

    assert (answer.status_code, answer.headers["content-type"]) == (
        404,
        "application/problem+json",
    )
    assert "newest, staging, production or a version" in answer.json()["detail"]
    assert name == "production" or name not in answer.text


def test_a_wrong_record_is_a_422_as_on_every_road(asking: TestClient, two: Two):
    answer = ask(asking, two.second, {"no_such_field": 1})

    assert (answer.status_code, bool(answer.json()["errors"])) == (422, True)


def test_a_damaged_version_is_a_409_until_it_is_restored(over, own_two: Two):
    path = own_two.models / own_two.second / ONNX
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])

    with logged(over(own_two)) as (client, lines):
        refused, serving = (
            ask(client, "newest"),
            client.post("/predict", json=CONTRACT.example()),
        )
        path.write_bytes(whole)
        restored = ask(client, "newest")

    assert (refused.status_code, refused.headers["content-type"]) == (
        409,
        "application/problem+json",
    )
    assert refused.json()["detail"] == "newest is refused; the log says why"
    assert [serving.json()["model_version"], restored.json()["model_version"]] == list(
        own_two[1:]
    )
    (warned,) = [line for line in lines if line["event"] == "no version"]
    assert (warned["level"], warned["request_id"]) == (
        "warning",
        refused.json()["request_id"],
    )
    assert f"{own_two.second}/{ONNX}" in warned["reason"]


@pytest.mark.fault
def test_a_version_that_cannot_be_read_now_is_a_503_with_when_to_ask_again(
    over, own_two: Two, monkeypatch: pytest.MonkeyPatch
):
    def fail(folder: Path, _name: str) -> bytes:
        raise OSError(5, "Input/output error", str(folder))

    with logged(over(own_two)) as (client, lines), monkeypatch.context() as patch:
        patch.setattr(artifact, "read_file", fail)
        refused = ask(client, own_two.second)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert str(own_two.models) not in refused.text
    assert [
        "Input/output error" in line["reason"]
        for line in lines
        if line["event"] == "no version"
    ] == [True]


def spoiled(*_: object) -> Any:
    msg = "library text"
    raise RuntimeError(msg)


CHANGES = {
    "formula": lambda *args: {
        name: made * 0 for name, made in add_features(*args).items()
    }
}


@pytest.mark.parametrize(
    "change", [*CHANGES.values(), spoiled], ids=[*CHANGES, "crash"]
)
def test_a_version_that_does_not_fit_the_code_is_a_409_that_names_its_commit(
    over, two: Two, change: Callable[..., Any]
):
    code = [add_features]

    def add_latest(*args: Any) -> Any:
        return code[-1](*args)

    with over(two, replace(PROJECT, features=add_latest)) as client:
        code.append(change)
        answer = ask(client, two.second)

    assert answer.status_code == 409
    assert answer.json()["detail"] == (
        f"{two.second} does not fit this code; the commit that can serve it: {COMMIT}"
    )


def test_a_damaged_log_of_events_refuses_aliases_and_no_version(over, own_two: Two):
    with over(own_two) as client:
        (own_two.models / "events" / "00000001.json").unlink()
        answers = [ask(client, name) for name in ("newest", own_two.second)]

    assert [answer.status_code for answer in answers] == [409, 200]
    assert str(own_two.models) not in answers[0].text


def beside(predictor: Predictor, megabytes: int) -> SimpleNamespace:
    """Return the state of an application that serves a model."""
    serving = SimpleNamespace(models_megabytes=megabytes)
    state = SimpleNamespace(predictor=predictor, pool=Pool(4, 20), serving=serving)
    state.loaded = lambda: state.predictor
    return state


def test_many_who_ask_for_the_same_version_at_once_load_it_once(
    predictor: Predictor, opened: Opened
):
    async def play() -> list[Predictor]:
        source = SimpleNamespace(open=opened, resolve=lambda _: A)
        versions = Versions(beside(predictor, 64), source)
        opened.release.clear()
        asked = [
            asyncio.create_task(versions.find(name)) for name in (A, A, A, "newest", B)
        ]
        await asyncio.to_thread(opened.begun.wait, 20)
        asked[0].cancel()
        opened.release.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asked[0]
        return await asyncio.gather(*asked[1:])

    *same, other = asyncio.run(play())

    assert sorted(opened.names) == [A, B]
    assert {id(found) for found in same} == {id(same[0])}
    assert (same[0].version, other.version) == (A, B)


def test_whoever_was_asked_least_recently_leaves_when_memory_is_used_up(
    build, connect, opened: Opened
):
    # room for two
    with connect(build(open_version=opened, serving={"models_megabytes": 3})) as client:
        answers = [
            ask(client, name).json()["model_version"]
            for name in (A, B, A, C, A, C, B, A)
        ]

    assert answers == [A, B, A, C, A, C, B, A]
    assert opened.names == [A, B, C, B, A]


@pytest.mark.parametrize("megabytes", [0, 1])
def test_what_there_is_no_room_for_answers_and_is_not_kept(
    build, connect, opened: Opened, megabytes: int
):
    with connect(
        build(open_version=opened, serving={"models_megabytes": megabytes})
    ) as client:
        statuses = [ask(client, A).status_code for _ in range(3)]

    assert (statuses, opened.names) == ([200] * 3, [A] * 3)


def test_the_model_that_serves_is_never_loaded_a_second_time(
    build, connect, opened: Opened, predictor: Predictor
):
    with connect(build(open_version=opened, serving={"models_megabytes": 0})) as client:
        answers = [
            ask(client, name)
            for name in (predictor.version, A, "production", B, predictor.version)
        ]

    assert [answer.status_code for answer in answers] == [200] * 5
    assert opened.names == [A, B]


def test_a_kept_version_that_begins_to_serve_gives_its_place_to_others(
    predictor: Predictor, opened: Opened
):
    async def play() -> tuple[list[Predictor], Predictor]:
        state = beside(predictor, 3)  # room for two
        versions = Versions(state, SimpleNamespace(open=opened))
        for name in (A, B):
            await versions.find(name)
        state.predictor = named(predictor, A)
        return [await versions.find(name) for name in (A, C, B, A)], state.predictor

    found, serving = asyncio.run(play())

    assert (found[0] is serving, found[-1] is serving) == (True, True)
    assert opened.names == [A, B, C]


def test_a_load_that_takes_long_delays_no_probe_and_no_other_prediction(
    build, connect, opened: Opened
):
    opened.release.clear()
    with connect(build(open_version=opened)) as client, ThreadPoolExecutor() as threads:
        slow = threads.submit(ask, client, A)
        assert opened.begun.wait(20)
        meanwhile = [
            client.get("/health"),
            client.get("/ready"),
            client.post("/predict", json=CONTRACT.example()),
        ]
        answered_in_between = not slow.done()
        opened.release.set()
        answer = slow.result(20)

    assert [each.status_code for each in meanwhile] == [200] * 3
    assert answered_in_between
    assert (answer.status_code, answer.json()["model_version"]) == (200, A)


def test_a_load_that_hangs_is_a_503_and_the_next_one_is_tried_again(
    build, connect, opened: Opened
):
    opened.release.clear()
    with connect(
        build(open_version=opened, serving={"deadline_seconds": 0.2})
    ) as client:
        late = ask(client, A)
        opened.release.set()
        after = ask(client, A)

    assert (late.status_code, late.headers["retry-after"], after.status_code) == (
        503,
        "1",
        200,
    )


def test_before_the_model_is_loaded_no_version_answers(build, connect):
    assert ask(connect(build()), A).status_code == 503


def test_the_guard_asks_for_a_key_and_counts_requests_whatever_is_asked_for(
    build, connect, opened: Opened
):
    service = build(
        open_version=opened,
        environment={"api_keys": LINE},
        serving={"rate_limit_per_minute": 2},
    )
    with connect(service) as client:
        unknown = [
            ask(client, name).status_code
            for name in (A, "metrics", "%2e%2e%2fhealth", "health%0a")
        ]
        known = [
            ask(client, name, headers={"X-API-Key": KEY}).status_code
            for name in (A, "no-such", A)
        ]

    assert unknown == [401] * 4
    assert known == [200, 404, 429]


def test_metrics_and_log_lines_hold_the_template_and_only_versions_there_are(
    over, two: Two
):
    with logged(over(two)) as (client, lines):
        for name in (two.second, "newest", *UNKNOWN):
            ask(client, name)
        client.post(f"/v1/models/{two.second}/predict", content=b"x" * 2**21)
        ask(client, two.second, headers={"Host": "elsewhere.example"})
        client.get(f"/models/{two.second}/predict")
        counted = read(client.get("/metrics").text)

    ours = {"200": 2, "404": len(UNKNOWN), "401": 1, "405": 1, "413": 1}
    assert counted["http_request_duration_seconds_count"] == {
        (TEMPLATE, status): count for status, count in ours.items()
    }
    assert {version for _, version in counted["model_predictions_total"]} == {
        two.second
    }
    answered = [
        line
        for line in requests(lines)
        if line["status"] == 200 and line["route"] != "/metrics"
    ]
    assert [(line["route"], line["model_version"]) for line in answered] == [
        (TEMPLATE, two.second)
    ] * 2
    assert "no-such-version" not in str(lines)
