"""Limits: requests per minute, requests that wait, bytes of a body."""

import asyncio
import itertools
import json
import math
from functools import partial

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from own import CONTRACT
from skewless.serving import service as composition
from skewless.serving.access import new_key
from skewless.serving.rate_window import SECONDS, MemoryWindow

KEY, LINE = new_key("crm", "predict")
OTHER, OTHER_LINE = new_key("shop", "predict")
JSON = {"content-type": "application/json"}
KEYS = {"api_keys": f"{LINE},{OTHER_LINE}"}
WITH_KEY = {"X-API-Key": KEY}
BATCH = {"customers": [CONTRACT.example()] * 5}


async def ask(asgi, method: str, path: str, receive) -> tuple[int, bytes | None]:
    """Ask with a body that `receive` sends when it likes.

    Returns the status, and when to come back.
    """
    sent, place = [], ("127.0.0.1", 1)
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "client": place,
        "server": place,
        "state": {},
    }
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope |= {"headers": headers, "query_string": b"", "http_version": "1.1"}

    async def send(message):
        sent.append(message)

    await asgi(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]).get(b"retry-after")


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 100), st.sampled_from("ab"), st.integers(0, 9)),
        max_size=30,
    )
)
@pytest.mark.slow
def test_a_window_holds_what_was_taken_since_it_began_and_lasts_a_minute(
    steps: list[tuple[int, str, int]],
):
    time = [0]
    window, begun, used = (
        MemoryWindow(lambda: time[0]),
        dict.fromkeys("ab", -math.inf),
        dict.fromkeys("ab", 0),
    )

    for seconds, caller, cost in steps:
        time[0] += seconds
        if time[0] >= begun[caller] + SECONDS:
            begun[caller], used[caller] = time[0], 0
        used[caller] += cost
        taken = asyncio.run(window.take(caller, cost))
        assert taken.used == used[caller]
        assert taken.seconds_left == begun[caller] + SECONDS - time[0]
        assert 0 < taken.seconds_left <= SECONDS


def test_the_answers_count_down_to_a_429_and_a_minute_later_it_begins_anew(
    build, connect, monkeypatch
):
    time = [1000.0]
    monkeypatch.setattr(
        composition, "MemoryWindow", partial(MemoryWindow, lambda: time[0])
    )

    with connect(
        build(environment=KEYS, serving={"rate_limit_per_minute": 2})
    ) as client:
        answers = []
        for seconds in (0, 10, 20, 29.5, 1):
            time[0] += seconds
            answers.append(
                client.post("/predict", json=CONTRACT.example(), headers=WITH_KEY)
            )

    left = [
        '"minute";r=1;t=60',
        '"minute";r=0;t=50',
        '"minute";r=0;t=30',
        '"minute";r=0;t=1',
        '"minute";r=1;t=60',
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 200]
    assert [answer.headers["ratelimit"] for answer in answers] == left
    assert [answer.headers.get("retry-after") for answer in answers] == [
        None,
        None,
        "30",
        "1",
        None,
    ]


def test_a_429_is_a_problem_that_names_the_limit(build, connect):
    with connect(
        build(environment=KEYS, serving={"rate_limit_per_minute": 1})
    ) as client:
        _, refused = (client.get("/model", headers=WITH_KEY) for _ in range(2))
        other = client.get("/model", headers={"X-API-Key": OTHER})

    assert (refused.status_code, refused.headers["content-type"]) == (
        429,
        "application/problem+json",
    )
    assert refused.headers["ratelimit-policy"] == '"minute";q=1;w=60'
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("by", "left"), [("request", ["r=7", "r=6"]), ("row", ["r=3", "r=2"])]
)
def test_a_batch_costs_one_or_its_rows(build, connect, by: str, left: list[str]):
    limits = {"rate_limit_per_minute": 9, "rate_limit_by": by}

    with connect(build(environment=KEYS, serving=limits)) as client:
        client.post("/predict/batch", json=BATCH, headers=WITH_KEY)
        singles = [
            client.post("/predict", json=CONTRACT.example(), headers=WITH_KEY)
            for _ in range(2)
        ]

    assert [answer.headers["ratelimit"].split(";")[1] for answer in singles] == left


def test_a_refused_batch_costs_one_by_row_too(build, connect):
    limits = {"rate_limit_per_minute": 9, "rate_limit_by": "row"}

    with connect(build(environment=KEYS, serving=limits)) as client:
        client.post(
            "/predict/batch",
            json={"customers": [CONTRACT.example()] * 4 + [{"no_such_field": 1}]},
            headers=WITH_KEY,
        )
        answer = client.post("/predict", json=CONTRACT.example(), headers=WITH_KEY)

    assert answer.headers["ratelimit"].startswith('"minute";r=7;')


def test_callers_on_the_host_are_counted_only_if_configured(build, connect):
    with connect(build(serving={"rate_limit_per_minute": 1})) as client:
        free = [client.get("/model") for _ in range(3)]
    with connect(build(serving={"rate_limit_anonymous": 1})) as client:
        limited = [client.get("/model").status_code for _ in range(3)]

    assert [answer.status_code for answer in free] == [200, 200, 200]
    assert not any("ratelimit" in answer.headers for answer in free)
    assert limited == [200, 429, 429]


def test_anonymous_callers_from_anywhere_share_the_limit_of_one_key(build, connect):
    service = build(
        environment={"allow_anonymous": True}, serving={"rate_limit_per_minute": 2}
    )

    with connect(service, ("192.0.2.7", 1)) as one:
        statuses = [one.get("/model").status_code]
        other = connect(service, ("192.0.2.8", 1))
        statuses += [other.get("/model").status_code for _ in range(2)]

    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/health", "/docs"])
def test_probes_and_pages_are_never_limited(build, connect, path: str):
    with connect(build(serving={"rate_limit_anonymous": 1})) as client:
        assert [client.get(path).status_code for _ in range(5)] == [200] * 5


def test_while_too_many_wait_more_are_shed_but_probes_and_metrics_are_answered(
    build, connect
):
    service, body = (
        build(serving={"max_in_flight": 3}),
        json.dumps(CONTRACT.example()).encode(),
    )

    async def crowd():
        inside, leave = asyncio.Semaphore(0), asyncio.Event()

        async def slowly():
            inside.release()
            await leave.wait()
            return {"type": "http.request", "body": body}

        waiting = [
            asyncio.create_task(ask(service.app, "POST", "/predict", slowly))
            for _ in range(3)
        ]
        async with asyncio.timeout(20):
            for _ in waiting:
                await inside.acquire()
        shed = [
            await ask(service.app, "POST", path, None)
            for path in ("/predict", "/v1/predict/batch")
        ]
        shed += [
            await ask(service.app, "GET", path, None) for path in ("/model", "/nothing")
        ]
        roads = ("/health", "/ready", "/v1/health", "/metrics", "/stats")
        answered = [await ask(service.app, "GET", path, leave.wait) for path in roads]
        leave.set()
        return shed, answered, await asyncio.gather(*waiting)

    with connect(service) as client:
        shed, answered, waited = client.portal.call(crowd)
        after = client.post("/predict", json=CONTRACT.example())
        metrics = client.get("/metrics").text

    assert shed == [(503, b"1")] * 4
    assert (answered, waited, after.status_code) == (
        [(200, None)] * 5,
        [(200, None)] * 3,
        200,
    )
    assert "http_requests_shed_total 4.0" in metrics


@pytest.mark.parametrize(("headers", "expected"), [({}, 401), (WITH_KEY, 429)])
def test_what_is_refused_is_refused_before_its_body_is_read(
    build, headers: dict[str, str], expected: int
):
    reads = itertools.count()
    service = build(environment=KEYS, serving={"rate_limit_per_minute": 1})

    async def counting(scope, receive, send):
        async def counted():
            if scope["type"] == "http" and scope["method"] == "POST":
                next(reads)
            return await receive()

        await service.app(scope, counted, send)

    with TestClient(counting, client=("127.0.0.1", 1)) as client:
        client.get("/model", headers=headers)
        answer = client.post("/predict", json=CONTRACT.example(), headers=headers)

    assert (answer.status_code, next(reads)) == (expected, 0)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_be_as_large_as_configured_and_no_larger(
    build, connect, *, chunked: bool
):
    with connect(build(serving={"max_body_bytes": 5000})) as client:
        bodies = [b'"' + b"x" * (size - 2) + b'"' for size in (5000, 5001)]
        answers = [
            client.post(
                "/predict", content=iter([each]) if chunked else each, headers=JSON
            )
            for each in bodies
        ]

    assert [answer.status_code for answer in answers] == [422, 413]
    assert answers[1].headers["content-type"] == "application/problem+json"
    assert "5000 bytes" in answers[1].json()["detail"]
