"""The short path and the framework's own road give the same answers, to anything."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import create_model

from churn_service.contract import columns
from churn_service.serving import app
from churn_service.short_path import ShortPath
from fields import fields
from strategies import payloads

SMALL = {"max_body_bytes": 20_000, "max_batch_rows": 5}
QUIET = {"log_level": "warning"}
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
TYPES = ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "text/plain", ""]


@pytest.fixture(scope="module")
def clients(build, connect) -> Iterator[tuple[TestClient, TestClient]]:
    short = build(serving=SMALL, environment=QUIET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "ShortPath", lambda inner, **_: inner)
        plain = build(serving=SMALL, environment=QUIET)
    with connect(short) as one, connect(plain) as two:
        yield one, two


def without_own(answer: Any) -> Any:
    """Leave out what differs between any two answers."""
    if isinstance(answer, dict):
        return {name: without_own(value) for name, value in answer.items() if name not in OWN}
    return [without_own(each) for each in answer] if isinstance(answer, list) else answer


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Valid records, and what can be wrong with them: fields, values, duplicates, bytes."""
    record = draw(payloads())
    names = [column.name for column in columns()]
    for _ in range(draw(st.integers(0, 2))):
        record[draw(st.sampled_from([*names, "unknown"]))] = draw(st.sampled_from(HOSTILE))
    for name in draw(st.lists(st.sampled_from(names), max_size=1)):
        record.pop(name, None)
    text = json.dumps(record, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    if draw(st.integers(0, 4)) == 0:  # the same field again, with another value
        text = (
            text.rstrip().removesuffix("}")
            + f", {json.dumps(names[0])}: {json.dumps(draw(st.sampled_from(HOSTILE)))}}}"
        )
    if draw(st.booleans()):
        text = f'{{"customers": [{", ".join([text] * draw(st.integers(1, 7)))}]}}'
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
    st.sampled_from(["/predict", "/predict/batch", "/v1/predict", "/v1/predict/batch", "/predict/"]),
    bodies(),
    st.sampled_from(TYPES[:1] * 4 + TYPES),
    st.booleans(),
)


def ask(client: TestClient, path: str, body: bytes, content_type: str, *, chunked: bool):
    content = iter([body[:50], body[50:]]) if chunked else body
    answer = client.post(path, content=content, headers={"content-type": content_type})
    return answer.status_code, answer.headers.get("content-type"), without_own(answer.json())


def compare(clients: tuple[TestClient, TestClient], examples: int) -> dict[int, int]:
    seen: dict[int, int] = {}

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(request=requests)
    def check(request: tuple[str, bytes, str, bool]) -> None:
        path, body, content_type, chunked = request
        short, plain = (ask(client, path, body, content_type, chunked=chunked) for client in clients)
        assert short == plain
        seen[short[0]] = seen.get(short[0], 0) + 1

    check()
    return seen


def test_both_roads_answer_alike(clients: tuple[TestClient, TestClient]):
    seen = compare(clients, 400)

    assert {200, 422, 413} <= seen.keys()


@pytest.mark.slow
def test_both_roads_answer_alike_ten_thousand_times(clients: tuple[TestClient, TestClient]):
    seen = compare(clients, 10_000)

    assert sum(seen.values()) >= 10_000
    assert min(seen[status] for status in (200, 413, 422)) > 100


@pytest.mark.parametrize(
    "body",
    [
        b'{"customers":[' + b",".join([b"{}"] * 300_000) + b"]}",
        b'{"customers":[' + b",".join([b"0"] * 450_000) + b"]}",
        b'{"customers":[{' + b",".join(b'"%d":1' % number for number in range(50_000)) + b"}]}",
        b"{" + b",".join(b'"%d":1' % number for number in range(50_000)) + b"}",
    ],
    ids=["empty customers", "numbers", "unknown fields in a batch", "unknown fields"],
)
def test_no_body_makes_the_service_list_very_many_faults(build, connect, body: bytes):
    """Each would cost a microsecond and a kilobyte: a body of the largest size, seconds and a gigabyte."""
    if b"[{}" in body and not fields(nullable=False):
        pytest.skip("the contract has no required field, so empty customers are no faults")
    path = "/predict/batch" if b"customers" in body[:20] else "/predict"
    with connect(build(environment=QUIET)) as client:
        tracemalloc.start()
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert (answer.status_code, answer.json()["errors"]) == (413, [])
    assert most < 60 * 1024 * 1024


def test_a_record_is_left_at_its_first_missing_field():
    """Each that is missing would be told beside a copy of the record: the wider the table, the dearer."""
    wide: Any = create_model("Wide", **{f"field_{number}": (int, ...) for number in range(100)})
    batch: Any = create_model("Batch", customers=(list[wide], ...))
    owner = FastAPI()

    @owner.post("/wide")
    async def take(_: Request, body: batch) -> int:
        return len(body.customers)

    (road,) = ShortPath(owner, owner)._roads.values()  # noqa: SLF001 - what is refused here is handed on
    with pytest.raises(KeyError):
        road.validate(b'{"customers":[{"unknown":1}]}')
