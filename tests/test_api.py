"""The HTTP contract: what is answered, and what is refused.

All endpoints agree about a customer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from skewless.notebook import load_predictor
from skewless.testing import connect, open_workspace, payloads

from churn_service.api import (
    Prediction,
    app,
)
from churn_service.project import project
from churn_service.schema import Customer

CONTRACT = project.contract
EXAMPLE = CONTRACT.example()
LAST_DIGITS = 1e-6  # trees answer the same to the last bit, a linear model nearly


@pytest.fixture(scope="module")
def client(trained: Path) -> Iterator[TestClient]:
    with connect(app, open_workspace(project, trained / "config.yaml")) as started:
        yield started


@given(customers=st.lists(payloads(CONTRACT), min_size=1, max_size=5))
def test_one_by_one_in_a_batch_of_either_form_and_in_python_the_answer_is_the_same(
    customers: list[dict[str, Any]], client: TestClient, version: Path
):
    here = load_predictor(version, project).predict(
        [Customer(**customer) for customer in customers]
    )

    alone = [client.post("/predict", json=each).json() for each in customers]
    sent = {"customers": customers}
    batch = client.post("/predict/batch", json=sent).json()
    columns = {
        name: [customer.get(name) for customer in customers]
        for name in Customer.model_fields
    }
    lists = client.post("/predict/batch", json={"columns": columns}).json()

    expected = pytest.approx([each.probability for each in here], abs=LAST_DIGITS)
    assert [answer["churn_probability"] for answer in alone] == expected
    assert [answer["churn_probability"] for answer in batch["predictions"]] == expected
    assert lists["predictions"]["churn_probability"] == expected
    assert batch["batch_size"] == lists["batch_size"] == len(customers)


def test_an_answer_has_every_field_and_names_its_model(
    client: TestClient, version: Path
):
    answer = client.post("/predict", json=EXAMPLE).json()

    assert answer.keys() == set(Prediction.__dataclass_fields__)
    assert answer["model_version"] == version.name


@pytest.mark.parametrize(
    ("customer", "field"),
    [
        (EXAMPLE | {"no_such_field": 1}, "no_such_field"),
        (
            {CONTRACT.id: "c-1"},
            next(column.name for column in CONTRACT.columns if not column.nullable),
        ),
        (EXAMPLE | {CONTRACT.columns[0].name: {}}, CONTRACT.columns[0].name),
    ],
    ids=["unknown", "missing", "wrong"],
)
def test_a_field_that_breaks_the_contract_is_named(
    client: TestClient, customer: dict[str, Any], field: str
):
    answer = client.post("/predict", json=customer)

    assert (answer.status_code, answer.headers["content-type"]) == (
        422,
        "application/problem+json",
    )
    assert field in [fault["field"] for fault in answer.json()["errors"]]


def test_the_service_is_ready_and_describes_its_model(
    client: TestClient, version: Path
):
    assert client.get("/ready").json()["model_version"] == version.name
    assert [field["name"] for field in client.get("/model").json()["fields"]] == [
        column.name for column in CONTRACT.columns
    ]


def test_the_documentation_shows_the_record_with_an_example(client: TestClient):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    shown = schemas["Customer"]

    assert shown["properties"].keys() == Customer.model_fields.keys()
    assert client.post("/predict", json=shown["examples"][0]).status_code == 200
