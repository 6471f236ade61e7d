"""Which web pages may call: none, or those of the configured origins."""

import pytest
from fastapi.testclient import TestClient

from own import CONTRACT
from skewless.serving.access import new_key

KEY, LINE = new_key("crm", "predict")
KEYS, WITH_KEY = {"api_keys": LINE}, {"X-API-Key": KEY}
ORIGIN = "https://crm.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-api-key,content-type",
}


def test_no_web_page_may_call_unless_configured(client: TestClient):
    preflight = client.options("/predict", headers=PREFLIGHT | {"Origin": ORIGIN})
    answer = client.post(
        "/predict", json=CONTRACT.example(), headers={"Origin": ORIGIN}
    )

    assert preflight.status_code == 405
    assert not [
        name
        for name in (*preflight.headers, *answer.headers)
        if name.startswith("access-control")
    ]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(ORIGIN, True), (ORIGIN + ".evil.test", False), ("null", False)],
)
def test_pages_of_a_configured_origin_may_call_and_no_others(
    build,
    connect,
    origin: str,
    allowed: bool,  # noqa: FBT001 - parametrized
):
    with connect(
        build(environment=KEYS, serving={"cors_origins": (ORIGIN,)})
    ) as client:
        preflight = client.options("/predict", headers=PREFLIGHT | {"Origin": origin})
        answer = client.post(
            "/predict", json=CONTRACT.example(), headers=WITH_KEY | {"Origin": origin}
        )
        refused = client.post(
            "/predict", json=CONTRACT.example(), headers={"Origin": origin}
        )

    told = [
        each.headers.get("access-control-allow-origin")
        for each in (preflight, answer, refused)
    ]
    assert [preflight.status_code, answer.status_code, refused.status_code] == [
        200 if allowed else 400,
        200,
        401,
    ]
    assert told == ([origin] * 3 if allowed else [None] * 3)
    assert "access-control-allow-credentials" not in preflight.headers
