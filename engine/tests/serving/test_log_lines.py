"""What a log line holds, whatever callers send.

Also what neither a line nor an answer ever holds.
"""

import json
import logging
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fields import fields
from logged import logged, requests
from own import CONTRACT, ID
from skewless.models.predict import Predictor

SENT = "65.41592"  # what nobody may repeat; no time of day holds it
HOLDING = [
    column.name
    for column in fields("number")
    if column.bounds[0] <= float(SENT) <= column.bounds[1]
]
REVEALING = CONTRACT.example() | {ID: SENT} | dict.fromkeys(HOLDING, float(SENT))
JSON = {"content-type": "application/json"}
HEADERS = [
    "X-Request-ID",
    "traceparent",
    "User-Agent",
    "X-API-Key",
    "Content-Type",
    "X-Forwarded-For",
    "Cookie",
]
QUIET = {"suppress_health_check": list(HealthCheck), "deadline": None, "database": None}


def crashes(columns: Any) -> Any:
    msg = f"cannot compute {columns}"
    raise RuntimeError(msg)


def test_a_line_says_who_asked_what_and_how_it_went(
    build, connect, predictor: Predictor
):
    (first, *_) = CONTRACT.columns
    with logged(connect(build())) as (client, lines):
        tier = client.post("/predict", json=CONTRACT.example()).json()["risk_tier"]
        client.post("/predict/batch", json={"customers": [CONTRACT.example()] * 3})
        client.post("/v1/predict", json={first.name: []})

    single, batch, wrong = requests(lines)
    shared = {"level": "info", "method": "POST", "caller": "(anonymous)"}
    answered = {"status": 200, "model_version": predictor.version}
    assert (
        single.items()
        >= (shared | answered | {"route": "/predict", "tier": tier}).items()
    )
    assert (
        batch.items()
        >= (shared | answered | {"route": "/predict/batch", "rows": 3}).items()
    )
    assert wrong.items() >= (shared | {"route": "/predict", "status": 422}).items()
    assert re.match(rf"{first.name} \w+_(type|error)\b", wrong["refused"])
    assert all(line["latency_ms"] > 0 for line in (single, batch, wrong))
    assert single["time"] <= batch["time"] <= wrong["time"]


def test_a_line_tells_exactly_what_was_said_and_a_terminal_obeys_none_of_it(
    build, connect
):
    said = "a\x1b[1A\x9b2J\u202e\u2028b"
    with logged(connect(build())) as (_, lines):
        logging.getLogger("uvicorn").warning(said)

    assert said in [line["event"] for line in lines]


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"json": CONTRACT.example() | {SENT: 1}}, "extra_forbidden"),
        ({"content": b"{", "headers": JSON}, "body json_invalid"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, "send JSON"),
        (
            {"json": CONTRACT.example(), "headers": {"x-api-key": SENT}},
            "a key was sent, but none is configured",
        ),
    ],
)
def test_a_refusal_says_why_and_repeats_nothing(
    build, connect, asked: dict[str, Any], refused: str
):
    with logged(connect(build())) as (client, lines):
        client.post("/predict", **asked)

    (line,) = requests(lines)
    assert refused in line["refused"]
    assert SENT not in json.dumps(line)


@pytest.mark.parametrize(
    ("level", "shown"), [("info", []), ("debug", ["/health", "/ready", "/ready"])]
)
def test_probes_are_logged_for_debugging_only(
    build, connect, level: str, shown: list[str]
):
    with logged(connect(build(environment={"log_level": level}))) as (client, lines):
        for path in ("/health", "/ready", "/v1/ready"):
            client.get(path)

    assert [
        line["route"] for line in requests(lines) if line["level"] == "debug"
    ] == shown


@pytest.mark.slow
def test_a_refused_request_is_named_by_its_route_whichever_the_service_has(
    build, connect
):
    service = build()
    declared = [path for path in service.app.openapi()["paths"] if "{" not in path]

    elsewhere = ("192.0.2.7", 1)
    with logged(connect(service, elsewhere)) as (client, lines):
        statuses = {client.delete(path).status_code for path in declared}

    assert {"/predict", "/stats", "/admin/reload", "/outcomes"} <= set(declared)
    assert statuses <= {401, 405}  # the probes are for everybody
    assert sorted(line["route"] for line in requests(lines)) == sorted(declared)


@pytest.mark.slow
def test_whatever_callers_send_a_line_is_one_json_object_and_repeats_none_of_it(
    build, connect
):
    values = st.text(
        st.characters(codec="latin-1", exclude_characters="\0\r\n"), max_size=30
    )
    statuses = []

    @settings(max_examples=100, **QUIET)
    @given(
        path=st.text(max_size=30),
        value=values,
        body=st.binary(max_size=50),
        name=st.sampled_from(HEADERS),
    )
    def fuzz(path: str, value: str, body: bytes, name: str):
        headers = {name: f"owned by me {value}".encode("latin-1")}
        answer = client.post(
            "/" + quote(f"owned by me {path}"),
            content=b"owned by me" + body,
            headers=headers,
        )
        statuses.append(answer.status_code)
        assert "owned" not in answer.text + str(answer.headers)
        assert answer.headers["content-type"] == "application/problem+json"

    with logged(connect(build())) as (client, lines):
        fuzz()

    assert len(requests(lines)) == len(statuses) >= 100
    assert {line["route"] for line in requests(lines)} == {"unmatched"}
    assert "owned" not in json.dumps(lines)


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_crash_is_a_500_with_an_id_and_the_log_says_where_but_repeats_no_input(
    build, connect, predictor: Predictor, path: str
):
    body = REVEALING if path == "/predict" else {"customers": [REVEALING] * 2}

    with logged(
        connect(build(lambda: Predictor(predictor.source, CONTRACT, crashes)))
    ) as (client, lines):
        answer = client.post(path, json=body)

    (crash,) = [line for line in lines if line["event"] == "crashed"]
    (request,) = requests(lines)
    assert (answer.status_code, answer.headers["content-type"]) == (
        500,
        "application/problem+json",
    )
    assert answer.json()["request_id"] == crash["request_id"] == request["request_id"]
    assert (crash["level"], crash["error"], request["status"]) == (
        "error",
        "RuntimeError",
        500,
    )
    assert request["level"] == "error"
    assert [place for place in crash["places"] if place.endswith(" crashes")]
    assert SENT not in answer.text + json.dumps(lines)
    assert "cannot compute" not in answer.text + json.dumps(lines)


@pytest.mark.parametrize("limit", [1024, 2**20])
def test_neither_a_422_nor_a_413_repeats_a_value(build, connect, limit: int):
    wrong = [
        CONTRACT.example() | {column.name: f"not-{SENT}"} for column in CONTRACT.columns
    ]

    with logged(connect(build(serving={"max_body_bytes": limit}))) as (client, lines):
        answers = [
            client.post("/predict/batch", json={"customers": [*wrong, REVEALING]})
        ]
        answers += [
            client.post(
                "/predict", json=REVEALING | {CONTRACT.columns[0].name: f"{SENT}e99"}
            )
        ]
        answers += [
            client.post(
                "/predict",
                content=f'{{"{CONTRACT.columns[0].name}": {SENT},,}}',
                headers=JSON,
            )
        ]

    assert {answer.status_code for answer in answers} <= {413, 422}
    assert not [answer for answer in answers if SENT in answer.text]
    assert SENT not in json.dumps(lines)


def test_what_the_web_server_and_the_event_loop_say_comes_as_json_without_values(
    build, connect
):
    with logged(connect(build())) as (_, lines):
        for name in ("uvicorn.error", "asyncio"):
            try:
                raise ValueError(SENT)  # noqa: TRY301 - a message of somebody else's
            except ValueError as error:
                logging.getLogger(name).exception(
                    "Task failed\nfuture: <Task exception=%r>",
                    error,  # noqa: TRY401 - as asyncio does
                )

    said = [line for line in lines if line["event"] == "Task failed"]
    assert [(line["logger"], line["error"]) for line in said] == [
        ("uvicorn.error", "ValueError"),
        ("asyncio", "ValueError"),
    ]
    assert SENT not in json.dumps(lines)
