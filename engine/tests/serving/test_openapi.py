"""The OpenAPI document holds, whatever a client may send.

It is tried against the running application.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from own import CONTRACT, fresh_app
from skewless.serving.access import new_key
from skewless.serving.guard import ADMIN
from skewless.serving.service import Service

Build = Callable[..., Service]

DOCUMENT = fresh_app().openapi()
OPERATIONS = [
    (path, method)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if path not in ADMIN  # those need a caller on the host, which schemathesis is not
]
REQUESTS_WITH_A_BODY = [
    (path, method) for path, method in OPERATIONS if method == "post"
]
DATES = [column for column in CONTRACT.columns if column.kind == "date"]
# JSON Schema has no word for a date's bounds, and chance would hardly ever keep to them
if DATES:
    first = date.fromisoformat(max(column.minimum for column in DATES))
    last = date.fromisoformat(min(column.maximum for column in DATES))
    schemathesis.openapi.format(
        "date", st.dates(first, max(first, last)).map(date.isoformat)
    )
generously = settings(
    max_examples=100, deadline=None, suppress_health_check=list(HealthCheck)
)


def cut_to_one_length(body: Any) -> None:
    """Cut the columns of a batch to the shortest.

    JSON Schema has no word for lists that are equally long.
    """
    columns = body.get("columns") if isinstance(body, dict) else None
    if columns:
        rows = min(map(len, columns.values()))
        body["columns"] = {name: cells[:rows] for name, cells in columns.items()}


def check_every_case(
    build: Build, path: str, method: str, mode: GenerationMode
) -> set[int]:
    key, line = new_key("schemathesis", "predict")
    service = build(
        environment={"api_keys": line, "log_level": "warning"},
        serving={"rate_limit_per_minute": 10**9},
    )
    operation = schemathesis.openapi.from_asgi("/openapi.json", service.app)[path][
        method
    ]
    seen = set()

    @generously
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        if mode is GenerationMode.POSITIVE:
            cut_to_one_length(case.body)
        response = case.call(headers={"X-API-Key": key})
        # status, content type and body as declared, and no 5xx
        case.validate_response(response)
        seen.add(response.status_code)

    check()
    return seen


def test_the_document_names_every_road():
    assert {path for path, _ in OPERATIONS} >= {
        "/predict",
        "/predict/batch",
        "/model",
        "/health",
        "/ready",
    }


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@pytest.mark.slow
def test_what_the_document_allows_is_answered(build: Build, path: str, method: str):
    assert 200 in check_every_case(build, path, method, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("path", "method"), REQUESTS_WITH_A_BODY)
@pytest.mark.slow
def test_what_the_document_forbids_is_refused(build: Build, path: str, method: str):
    # 404: no such name
    refused = {400, 401, 413, 415, 422} | ({404} if "{" in path else set())

    assert check_every_case(build, path, method, GenerationMode.NEGATIVE) <= refused
