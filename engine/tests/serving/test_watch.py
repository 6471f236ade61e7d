"""Every answer holds an id, a trace and safe headers, whatever was asked.

The trace goes on in the log.
"""

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from logged import logged, requests
from own import CONTRACT
from running import serving
from skewless.models.predict import Predictor
from skewless.serving.access import new_key

MADE = re.compile(r"[0-9a-f]{32}")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KEY, LINE = new_key("crm", "predict")


@pytest.mark.parametrize(
    "proposed", ["a", "0", "A.b_c-9", "x" * 64, "0af76519-16cd-43dd-8448-eb211c80319c"]
)
def test_a_harmless_request_id_is_taken_over(build, connect, proposed: str):
    with logged(connect(build())) as (client, lines):
        answer = client.post(
            "/predict", json={"no_such_field": 1}, headers={"X-Request-ID": proposed}
        )

    assert answer.headers["x-request-id"] == answer.json()["request_id"] == proposed
    assert [line["request_id"] for line in requests(lines)] == [proposed]


@pytest.mark.parametrize(
    "proposed",
    [
        "",
        " ",
        "a b",
        "x" * 65,
        "é",
        'a"b',
        "a\nb",
        "a\r\nX-Evil: 1",
        "a\x00",
        "a\n",
        "{a}",
    ],
)
@pytest.mark.slow
def test_any_other_request_id_is_replaced(build, connect, proposed: str):
    with logged(connect(build())) as (client, lines):
        answer = client.get("/nothing", headers={"X-Request-ID": proposed.encode()})

    made = answer.headers["x-request-id"]
    assert MADE.fullmatch(made)
    assert [answer.json()["request_id"], requests(lines)[0]["request_id"]] == [
        made,
        made,
    ]
    assert "x-evil" not in answer.headers


def test_no_two_requests_have_the_same_id(client: TestClient):
    assert len({client.get("/health").headers["x-request-id"] for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("sent", "carried"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-00", (TRACE, SPAN)),
        (f"00-{TRACE.upper()}-{SPAN}-01", (None, None)),
        (f"00-{TRACE}-{SPAN}", (None, None)),
        (f"00-{TRACE}-{SPAN}-01-x", (None, None)),
        (f"00-{'0' * 32}-{SPAN}-01", (None, None)),
        (f"00-{TRACE}-{'0' * 16}-01", (None, None)),
        ("\n", (None, None)),
    ],
)
@pytest.mark.slow
def test_a_trace_is_carried_into_the_log_if_it_is_one(
    build, connect, sent: str, carried: tuple[Any, Any]
):
    with logged(connect(build())) as (client, lines):
        client.post("/predict", json=CONTRACT.example(), headers={"traceparent": sent})

    (line,) = requests(lines)
    assert (line.get("trace_id"), line.get("span_id")) == carried


def crashes(columns: Any) -> Any:
    raise RuntimeError(str(columns))


def test_every_answer_forbids_sniffing_and_keeping(
    build, connect, predictor: Predictor
):
    key, small = {"X-API-Key": KEY}, {"max_body_bytes": 1024}
    environment = {"api_keys": LINE}
    with connect(build(environment=environment, serving=small)) as client:
        good = client.post("/predict", json=CONTRACT.example(), headers=key)
        wrong = client.post("/predict", json={"no_such_field": 1}, headers=key)
        large = client.post("/predict", content=b"x" * 1025, headers=key)
        answers = [
            good,
            wrong,
            large,
            client.get("/model"),
            client.get("/nothing", headers=key),
        ]
        answers += [
            client.get("/predict", headers=key),
            client.get("/health"),
            client.get("/docs"),
        ]
    with connect(
        build(lambda: Predictor(predictor.source, CONTRACT, crashes))
    ) as client:
        answers.append(client.post("/predict", json=CONTRACT.example()))

    assert [answer.status_code for answer in answers] == [
        200,
        422,
        413,
        401,
        404,
        405,
        200,
        200,
        500,
    ]
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers.get_list("cache-control") == ["no-store"]
        assert len(answer.headers.get_list("x-request-id")) == 1


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_a_page_may_load_only_what_the_service_itself_holds(
    client: TestClient, path: str
):
    page = client.get(path)

    policy = dict(
        part.split(" ", 1)
        for part in page.headers["content-security-policy"].split("; ")
    )
    sources = {source for allowed in policy.values() for source in allowed.split()}
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'self'", "'none'")
    assert sources <= {"'self'", "'none'", "'unsafe-inline'", "data:", "blob:"}
    assert "content-security-policy" not in client.get("/health").headers


@pytest.mark.posix
@pytest.mark.slow
def test_a_real_server_does_not_say_what_it_is(trained: Path):
    with (
        serving(trained) as (url, _),
        urllib.request.urlopen(f"{url}/health") as answer,  # noqa: S310 - loopback
    ):
        names = {name.lower() for name in answer.headers}

    safe = {"x-request-id", "x-content-type-options", "cache-control"}
    assert names == safe | {"date", "connection", "content-length", "content-type"}
