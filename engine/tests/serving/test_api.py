"""The HTTP contract: answers, refusals, and what neither ever says."""

import gzip
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_service.schema import Customer
from fields import fields, wrong
from own import CONTRACT, ID, said
from skewless.core.contract import Column
from skewless.core.record import NO_CONTROLS
from skewless.models.predict import Predictor
from skewless.testing import payloads

SMALL = {"max_body_bytes": 100_000, "max_batch_rows": 3}
REQUIRED = fields(nullable=False)
JSON = {"content-type": "application/json"}


def without_id(prediction: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in prediction.items() if name != "prediction_id"
    }


@settings(max_examples=50)
@given(batch=st.lists(payloads(CONTRACT), min_size=1, max_size=6))
def test_single_batch_and_notebook_give_the_same_answer_bit_for_bit(
    batch: list[dict[str, Any]], client: TestClient, predictor: Predictor
):
    decisions = predictor.predict([Customer(**payload) for payload in batch])
    expected = [said(decision) for decision in decisions]

    together = client.post("/predict/batch", json={"customers": batch}).json()
    alone = [client.post("/predict", json=payload).json() for payload in batch]

    source = {
        "model_version": predictor.version,
        "trained_at": predictor.source.trained_at,
    }
    assert [without_id(each) for each in alone] == [each | source for each in expected]
    assert [without_id(each) for each in together["predictions"]] == [
        without_id(each) for each in alone
    ]
    assert together["batch_size"] == len(batch)
    assert together["latency_ms"] > 0


def test_every_prediction_has_an_id_of_its_own(client: TestClient):
    answers = client.post(
        "/predict/batch", json={"customers": [CONTRACT.example()] * 50}
    ).json()["predictions"]

    assert len({answer["prediction_id"] for answer in answers}) == 50


@pytest.mark.parametrize(
    "path", ["/predict", "/predict/batch", "/model", "/health", "/ready"]
)
def test_every_road_is_also_there_under_v1(client: TestClient, path: str):
    body = {
        "/predict": CONTRACT.example(),
        "/predict/batch": {"customers": [CONTRACT.example()]},
    }.get(path)
    ask = client.get if body is None else client.post
    options = {} if body is None else {"json": body}

    plain, versioned = ask(path, **options), ask(f"/v1{path}", **options)

    assert plain.status_code == versioned.status_code == 200
    assert plain.json().keys() == versioned.json().keys()


BELOW, ABOVE = "one below the lowest", "one above the highest"
WRONG = {
    "integer": [
        ("12", "int_type"),
        (True, "int_type"),
        (12.5, "int_type"),
        (None, "int_type"),
        ([], "int_type"),
        (BELOW, "greater_than_equal"),
        (ABOVE, "less_than_equal"),
        (10**400, "less_than_equal"),
    ],
    "number": [
        (float("nan"), "finite_number"),
        (float("inf"), "finite_number"),
        (float("-inf"), "finite_number"),
        ("1.5", "float_type"),
        (BELOW, "greater_than_equal"),
        (ABOVE, "less_than_equal"),
    ],
    "boolean": [("true", "bool_type"), (1, "bool_type"), (None, "bool_type")],
    "category": [
        ("no-such-category", "literal_error"),
        (1, "literal_error"),
        (None, "literal_error"),
    ],
}
WRONG_VALUES = [
    (column, value, rule)
    for kind, cases in WRONG.items()
    for column in fields(kind, nullable=False)[:1]
    for value, rule in cases
]


@pytest.mark.parametrize(("column", "value", "rule"), WRONG_VALUES)
def test_a_wrong_value_is_a_422_that_names_field_and_rule_but_not_the_value(
    client: TestClient, column: Column, value: Any, rule: str
):
    if value in (BELOW, ABOVE):
        value = int(column.minimum) - 1 if value == BELOW else int(column.maximum) + 1
    body = json.dumps(CONTRACT.example() | {column.name: value})

    answer = client.post("/predict", content=body, headers=JSON)

    (fault,) = answer.json()["errors"]
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (fault["field"], fault["rule"]) == (column.name, rule)
    assert "no-such-category" not in answer.text
    assert "00000000000" not in answer.text


def test_a_whole_number_written_as_a_float_is_that_number(client: TestClient):
    """pandas writes 4.0 where other rows miss the value.

    JSON Schema takes it for an integer.
    """
    as_floats = {
        name: float(value) if type(value) is int else value
        for name, value in CONTRACT.example().items()
    }

    plain, floats = (
        client.post("/predict", json=CONTRACT.example()),
        client.post("/predict", json=as_floats),
    )

    assert plain.json()["churn_probability"] == floats.json()["churn_probability"]


@pytest.mark.parametrize("column", REQUIRED, ids=lambda column: column.name)
def test_a_missing_field_is_named(client: TestClient, column: Column):
    body = {
        name: value for name, value in CONTRACT.example().items() if name != column.name
    }

    (fault,) = client.post("/predict", json=body).json()["errors"]

    assert (fault["field"], fault["rule"]) == (column.name, "missing")


def test_an_unknown_field_is_refused_and_its_name_shortened(client: TestClient):
    answer = client.post("/predict", json=CONTRACT.example() | {"x" * 500: "secret"})

    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["field"], fault["rule"]) == (
        422,
        "x" * 64,
        "extra_forbidden",
    )
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "control", [r"\u0000", r"\n", r"\u001b[31m", r"\u007f", r"\u0085", r"\ud800"]
)
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8"]
)
def test_an_id_with_a_control_character_is_a_422_that_does_not_repeat_it(
    client: TestClient, control: str, content_type: str
):
    one = json.dumps(CONTRACT.example() | {ID: "c-1?"}).replace("?", control)
    headers = {"Content-Type": content_type}

    single = client.post("/predict", content=one, headers=headers)
    batch = client.post(
        "/predict/batch", content=f'{{"customers": [{one}]}}', headers=headers
    )

    for answer, field in ((single, ID), (batch, f"customers.0.{ID}")):
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["field"]) == (422, field)
        assert "c-1" not in answer.text


@pytest.mark.parametrize("name", [r"\ud800", r"\u0000", r"\u001b[31m"])
def test_a_field_whose_name_is_no_text_is_a_422(client: TestClient, name: str):
    answer = client.post(
        "/predict",
        content=f'{json.dumps(CONTRACT.example())[:-1]}, "{name}": 1}}',
        headers=JSON,
    )

    assert answer.status_code == 422


def test_the_document_tells_what_an_id_may_hold(client: TestClient):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]

    (text, _) = schemas[Customer.__name__]["properties"][ID]["anyOf"]

    assert text["pattern"] == NO_CONTROLS.pattern


def test_a_fault_in_a_batch_names_the_customer(client: TestClient):
    (column, *_) = CONTRACT.columns
    bad = CONTRACT.example() | {column.name: wrong(column)}

    answer = client.post(
        "/predict/batch",
        json={"customers": [CONTRACT.example(), CONTRACT.example(), bad]},
    )

    assert [fault["field"] for fault in answer.json()["errors"]] == [
        f"customers.2.{column.name}"
    ]


@pytest.mark.parametrize(
    "body", [{}, {"customers": []}, {"customers": {}}, {"customers": [1]}, [], 1, "x"]
)
def test_a_batch_of_another_shape_is_refused(client: TestClient, body: Any):
    assert client.post("/predict/batch", json=body).status_code == 422


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b'{"a": 1,}', 422),
        (b"null", 422),
        (b"[" * 100_000, 400),
        (b"\xff\xfe\x00", 400),
        (b"1" * 5000, 422),
    ],
)
def test_a_broken_body_is_refused_and_nothing_of_it_repeated(
    client: TestClient, content: bytes, status: int
):
    answer = client.post("/predict", content=content, headers=JSON)

    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert len(answer.content) < 1500


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", ""]
)
def test_a_body_of_another_type_is_refused(client: TestClient, content_type: str):
    answer = client.post(
        "/predict",
        content=json.dumps(CONTRACT.example()),
        headers={"content-type": content_type},
    )

    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "application/vnd.crm+json", "Application/JSON"],
)
def test_json_may_be_named_in_every_way_there_is(client: TestClient, content_type: str):
    answer = client.post(
        "/predict",
        content=json.dumps(CONTRACT.example()),
        headers={"content-type": content_type},
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip"])
@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8"]
)
def test_a_compressed_body_is_a_415_that_names_the_header(
    client: TestClient, path: str, coding: str, content_type: str
):
    body = gzip.compress(json.dumps(CONTRACT.example()).encode())
    headers = {"content-type": content_type, "content-encoding": coding}

    answer = client.post(path, content=body, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (
        415,
        "application/problem+json",
    )
    assert "Content-Encoding" in answer.json()["detail"]
    assert answer.headers["accept-encoding"] == "identity"


def test_a_body_that_says_it_is_not_compressed_is_answered(client: TestClient):
    headers = JSON | {"content-encoding": "identity"}

    assert (
        client.post(
            "/predict", content=json.dumps(CONTRACT.example()), headers=headers
        ).status_code
        == 200
    )


@pytest.mark.parametrize(
    "charset", ["utf-16", "latin-1", '"iso-8859-1"', "utf-7", "nonsense", "us-ascii"]
)
def test_another_charset_than_utf_8_is_a_415_that_says_so(
    client: TestClient, charset: str
):
    headers = {"content-type": f"application/json; charset={charset}"}

    answer = client.post(
        "/predict", content=json.dumps(CONTRACT.example()), headers=headers
    )

    assert answer.status_code == 415
    assert "UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize(
    "parameter", [b"charset=\xff", b"charset*=utf-8''%ff", b"charset*=foo", b"charset="]
)
@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_charset_that_nobody_can_read_is_not_taken_for_utf_8(
    client: TestClient, path: str, parameter: bytes
):
    headers = {b"content-type": b"application/json; " + parameter}
    document = (
        CONTRACT.example()
        if path == "/predict"
        else {"customers": [CONTRACT.example()]}
    )

    answer = client.post(path, content=json.dumps(document), headers=headers)

    assert (answer.status_code, "send JSON as UTF-8" in answer.json()["detail"]) == (
        415,
        True,
    )


@pytest.mark.parametrize("charset", ["UTF-8", '"utf-8"', "utf8"])
def test_utf_8_may_be_said_in_every_way_there_is(client: TestClient, charset: str):
    headers = {"content-type": f"application/json; version=1; charset={charset}"}

    assert (
        client.post(
            "/predict", content=json.dumps(CONTRACT.example()), headers=headers
        ).status_code
        == 200
    )


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=UTF-8"]
)
@pytest.mark.parametrize(
    "number",
    ["1" * 5000, "-" + "1" * 5000, "1" * 5000 + ".0", "1e5000", "NaN", "-Infinity"],
)
@pytest.mark.parametrize(
    "column",
    [*fields("integer")[:1], *fields("number")[:1]],
    ids=lambda column: column.kind,
)
def test_a_number_of_very_many_digits_is_a_422_that_names_the_field(
    client: TestClient, column: Column, number: str, content_type: str
):
    one = json.dumps(CONTRACT.example() | {column.name: "?"}).replace('"?"', number)
    headers = {"content-type": content_type}

    single = client.post("/predict", content=one, headers=headers)
    batch = client.post(
        "/predict/batch",
        content=f'{{"customers": [{json.dumps(CONTRACT.example())}, {one}]}}',
        headers=headers,
    )

    for answer, field in ((single, column.name), (batch, f"customers.1.{column.name}")):
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["field"]) == (422, field)
        assert "11111" not in answer.text


def test_more_customers_than_a_batch_holds_are_refused_with_the_limit(build, connect):
    with connect(build(serving=SMALL)) as client:
        most = client.post(
            "/predict/batch", json={"customers": [CONTRACT.example()] * 3}
        )
        more = client.post(
            "/predict/batch", json={"customers": [CONTRACT.example()] * 4}
        )

    assert most.status_code == 200
    assert (more.status_code, "at most 3" in more.json()["detail"]) == (413, True)


def test_too_large_a_batch_is_refused_before_its_customers_are_looked_at(
    build, connect
):
    with connect(build(serving=SMALL)) as client:
        answer = client.post("/predict/batch", json={"customers": [{}] * 20_000})

    assert (answer.status_code, answer.json()["errors"]) == (413, [])


def test_too_large_a_body_is_refused(build, connect):
    with connect(build(serving=SMALL)) as client:
        announced = client.post("/predict", content=b" " * 100_001, headers=JSON)
        streamed = client.post(
            "/predict", content=iter([b" " * 60_000] * 2), headers=JSON
        )

    for answer in (announced, streamed):
        assert (answer.status_code, answer.headers["content-type"]) == (
            413,
            "application/problem+json",
        )


def test_an_announced_length_of_very_many_digits_is_refused(client: TestClient):
    answer = client.post(
        "/predict", content=b"{}", headers=JSON | {"content-length": "0" * 5000 + "2"}
    )

    assert (answer.status_code, answer.headers["content-type"]) == (
        413,
        "application/problem+json",
    )


def test_the_list_of_faults_is_bounded(client: TestClient):
    wrong = {name: [] for name in CONTRACT.example()} | {
        f"x{number}": 1 for number in range(100)
    }

    answer = client.post("/predict", json=wrong)

    assert (answer.status_code, len(answer.json()["errors"])) == (422, 100)


def test_no_answer_repeats_the_host_that_was_named(client: TestClient):
    answer = client.post(
        "/predict/",
        json=CONTRACT.example(),
        headers={"host": "evil.example"},
        follow_redirects=False,
    )

    # a page whose name leads here is nobody on this host
    assert answer.status_code == 401
    assert "evil" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/model", "/ready"])
def test_before_the_model_is_loaded_everything_but_health_is_503(
    build, connect, path: str
):
    body = {
        "/predict": CONTRACT.example(),
        "/predict/batch": {"customers": [CONTRACT.example()]},
    }.get(path)
    service = build()

    with connect(service) as client:
        service.state.predictor = None
        answer = client.get(path) if body is None else client.post(path, json=body)
        health = client.get("/health").json()

    assert (answer.status_code, answer.headers["content-type"]) == (
        503,
        "application/problem+json",
    )
    assert (health["status"], health["model_loaded"], health["model_version"]) == (
        "ok",
        False,
        None,
    )


def test_the_model_is_loaded_once_however_many_requests_come(
    build, connect, predictor: Predictor
):
    loads = []

    with connect(build(lambda: loads.append(1) or predictor)) as client:
        for _ in range(5):
            client.post("/predict", json=CONTRACT.example())

    assert loads == [1]


def test_health_and_ready_name_the_version(client: TestClient, predictor: Predictor):
    health, ready = client.get("/health").json(), client.get("/ready").json()

    assert health.keys() == {
        "status",
        "model_loaded",
        "model_version",
        "uptime_seconds",
    }
    assert health["model_version"] == ready["model_version"] == predictor.version
    assert (
        client.get("/health").json()["uptime_seconds"] >= health["uptime_seconds"] >= 0
    )


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/ready"])
def test_a_probe_may_ask_for_the_head_alone(client: TestClient, path: str):
    answer = client.head(path)

    assert (answer.status_code, answer.content) == (200, b"")


def test_the_model_description_holds_the_contract_and_no_more(
    client: TestClient, predictor: Predictor
):
    described = client.get("/model").json()

    assert described.keys() == {"version", "trained_at", "fields", "threshold", "tiers"}
    assert [field["name"] for field in described["fields"]] == [
        column.name for column in CONTRACT.columns
    ]
    assert described["version"] == predictor.version
    assert list(described["tiers"]) == ["LOW", "MEDIUM", "HIGH"]


def test_a_crash_inside_is_a_500_that_tells_nothing_and_the_next_request_works(
    build, connect, predictor: Predictor
):
    broken = [True]

    def probabilities(columns):
        return 1 / 0 if broken else predictor.probabilities(columns)

    with connect(
        build(lambda: Predictor(predictor.source, CONTRACT, probabilities))
    ) as client:
        first = client.post("/predict", json=CONTRACT.example())
        broken.clear()
        second = client.post("/predict", json=CONTRACT.example())

    assert (first.status_code, first.headers["content-type"]) == (
        500,
        "application/problem+json",
    )
    assert "division" not in first.text
    assert second.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("GET", "/nothing", 404)]
)
def test_a_wrong_road_is_a_problem_too(
    client: TestClient, method: str, path: str, status: int
):
    answer = client.request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert answer.json()["status"] == status


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
@pytest.mark.slow
def test_the_documentation_opens_in_a_closed_network(client: TestClient, path: str):
    page = client.get(path)

    assert page.status_code == 200
    assert "https://" not in page.text
    assert client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_the_examples_in_the_documentation_work(client: TestClient):
    document = client.get("/openapi.json").json()

    (shown,) = document["components"]["schemas"][CONTRACT.record.__name__]["examples"]
    assert client.post("/predict", json=shown).status_code == 200
    assert (
        client.post("/predict/batch", json={"customers": [shown, shown]}).status_code
        == 200
    )


def test_the_documentation_derives_the_request_from_the_record(client: TestClient):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]

    assert schemas["Customer"]["properties"].keys() == Customer.model_fields.keys()
    assert schemas["Customer"]["additionalProperties"] is False
    assert "HTTPValidationError" not in schemas
