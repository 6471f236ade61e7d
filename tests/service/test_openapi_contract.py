"""The OpenAPI document against the running application: whatever a client may send, the document holds."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from churn_service.api import create_app
from churn_service.config import load_config
from churn_service.predict import Predictor
from conftest import ROOT

SERVING = load_config(ROOT / "config.yaml").serving
DOCUMENT = create_app(lambda: None, SERVING).openapi()
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
REQUESTS_WITH_A_BODY = [(path, method) for path, method in OPERATIONS if method == "post"]
generously = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def check_every_case(predictor: Predictor, path: str, method: str, mode: GenerationMode) -> set[int]:
    app = create_app(lambda: predictor, SERVING)  # of its own: schemathesis starts and stops it
    operation = schemathesis.openapi.from_asgi("/openapi.json", app)[path][method]
    seen = set()

    @generously
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        response = case.call()
        case.validate_response(response)  # status, content type and body as declared, and no 5xx
        seen.add(response.status_code)

    check()
    return seen


def test_the_document_names_every_road():
    assert {path for path, _ in OPERATIONS} >= {"/predict", "/predict/batch", "/model", "/health", "/ready"}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_the_document_allows_is_answered(predictor: Predictor, path: str, method: str):
    assert 200 in check_every_case(predictor, path, method, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("path", "method"), REQUESTS_WITH_A_BODY)
def test_what_the_document_forbids_is_refused(predictor: Predictor, path: str, method: str):
    assert check_every_case(predictor, path, method, GenerationMode.NEGATIVE) <= {400, 413, 422}
