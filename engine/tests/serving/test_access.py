"""Who may ask what over HTTP: with a key, on the host, behind a proxy, elsewhere."""

import hashlib

import pytest
from fastapi.testclient import TestClient

from logged import logged, requests
from own import CONTRACT

ELSEWHERE = ("192.0.2.7", 50_000)


def line(name: str, key: str, scope: str) -> str:
    return f"{name}:{hashlib.sha256(key.encode()).hexdigest()}:{scope}"


PREDICT, ADMIN, NEW = "key-of-crm", "key-of-ops", "new-key-of-crm"
KEYS = {
    "api_keys": ",".join([line("crm", PREDICT, "predict"), line("ops", ADMIN, "admin")])
}
ROTATED = {
    "api_keys": ",".join([line("crm", PREDICT, "predict"), line("crm", NEW, "predict")])
}
OPEN = [
    "/health",
    "/ready",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/static-offline-docs/swagger-ui.css",
]
BODIES = {
    "/predict": CONTRACT.example(),
    "/predict/batch": {"customers": [CONTRACT.example()]},
}


def status(
    client: TestClient, path: str, key: str | None = None, **headers: str
) -> int:
    body = BODIES.get(path.removeprefix("/v1"))
    sent = headers if key is None else headers | {"X-API-Key": key}
    return client.request(
        "POST" if body else "GET", path, json=body, headers=sent
    ).status_code


@pytest.fixture(scope="module")
def elsewhere(build, connect):
    with connect(build(environment=KEYS), ELSEWHERE) as client:
        yield client


@pytest.fixture(scope="module")
def on_host(build, connect):
    with connect(build(environment=KEYS)) as client:
        yield client


def test_old_and_new_key_both_work_and_share_one_rate_limit(build, connect):
    with connect(
        build(environment=ROTATED, serving={"rate_limit_per_minute": 2})
    ) as client:
        statuses = [
            status(client, "/model", key) for key in (PREDICT, NEW, PREDICT, NEW)
        ]

    assert statuses == [200, 200, 429, 429]


def test_the_log_tells_an_old_key_from_a_new_one_and_shows_neither(build, connect):
    with logged(connect(build(environment=ROTATED))) as (client, lines):
        for key in (PREDICT, NEW):
            status(client, "/model", key)

    shown = [entry.rpartition(":")[0][:12] for entry in ROTATED["api_keys"].split(",")]
    assert [each["caller"] for each in requests(lines)] == shown


@pytest.mark.parametrize(
    "path", ["/predict", "/predict/batch", "/model", "/metrics", "/stats", "/nothing"]
)
@pytest.mark.parametrize(
    "key", [None, "", "wrong", PREDICT + "x", KEYS["api_keys"], "key-of-crm\x80"]
)
def test_without_a_right_key_the_answer_is_a_401(
    elsewhere: TestClient, path: str, key: str | None
):
    headers = {} if key is None else {"X-API-Key": key.encode("latin-1")}

    answer = elsewhere.request(
        "POST" if path in BODIES else "GET", path, headers=headers
    )

    assert answer.status_code == answer.json()["status"] == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("ApiKey ")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "path", ["/predict", "/predict/batch", "/model", "/v1/predict"]
)
def test_both_scopes_may_predict(elsewhere: TestClient, path: str):
    assert [status(elsewhere, path, key) for key in (PREDICT, ADMIN)] == [200, 200]


@pytest.mark.parametrize(
    "path", ["/metrics", "/stats", "/v1/metrics", "/v1/stats", "/%6detrics"]
)
def test_only_an_admin_reads_what_the_service_counted(elsewhere: TestClient, path: str):
    assert [status(elsewhere, path, key) for key in (PREDICT, ADMIN)] == [403, 200]


@pytest.mark.parametrize(
    "path",
    [
        "/metrics%0a",
        "/v1/stats%0A",
        "/metrics/",
        "/Metrics",
        "/metrics;",
        "/v1/v1/stats",
    ],
)
def test_no_other_way_to_write_a_path_leads_there(elsewhere: TestClient, path: str):
    """The router's patterns overlook a newline after the path; the guard must not."""
    assert status(elsewhere, path, PREDICT) in {403, 404}


@pytest.mark.parametrize(
    "path", ["/static-offline-docs/../metrics", "/static-offline-docs/%2e%2e/stats"]
)
def test_no_way_leads_out_of_what_is_open(elsewhere: TestClient, path: str):
    assert status(elsewhere, path) in {401, 404}


@pytest.mark.parametrize(
    "keys", [(PREDICT, "wrong"), ("wrong", PREDICT), (PREDICT, PREDICT)]
)
def test_several_keys_in_one_request_are_no_key(
    elsewhere: TestClient, keys: tuple[str, ...]
):
    answer = elsewhere.get("/model", headers=[("X-API-Key", key) for key in keys])

    assert answer.status_code == 401
    assert answer.json()["detail"] == "send X-API-Key once"


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_documentation_are_open_to_all(elsewhere: TestClient, path: str):
    assert status(elsewhere, path) == 200


@pytest.mark.parametrize("path", ["/predict", "/model"])
def test_with_keys_even_a_caller_on_the_host_needs_one_to_predict(
    on_host: TestClient, path: str
):
    assert [status(on_host, path), status(on_host, path, PREDICT)] == [401, 200]


@pytest.mark.parametrize("path", ["/metrics", "/stats"])
def test_a_caller_on_the_host_reads_metrics_without_a_key(
    on_host: TestClient, path: str
):
    assert status(on_host, path) == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
@pytest.mark.parametrize("value", ["192.0.2.7", "127.0.0.1", ""])
def test_what_a_proxy_passes_on_does_not_come_from_the_host(
    client: TestClient, header: str, value: str
):
    statuses = [
        status(client, path, **{header: value})
        for path in ("/predict", "/metrics", "/stats")
    ]

    assert statuses == [401, 401, 401]
    assert status(client, "/predict") == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", 200),
        ("127.8.8.8", 200),
        ("::1", 200),
        ("192.0.2.7", 401),
        ("::", 401),
    ],
)
def test_without_keys_only_callers_on_the_host_are_answered(
    build, connect, host: str, expected: int
):
    with connect(build(), (host, 1)) as client:
        assert [status(client, path) for path in ("/predict", "/metrics")] == [
            expected,
            expected,
        ]


def test_anonymous_callers_are_answered_if_somebody_allowed_it_but_read_no_metrics(
    build, connect
):
    with connect(build(environment={"allow_anonymous": True}), ELSEWHERE) as client:
        statuses = [
            status(client, path)
            for path in ("/predict", "/metrics", "/stats", "/metrics%0a")
        ]

    assert statuses == [200, 401, 401, 401]


def test_with_keys_leave_for_anonymous_callers_opens_nothing(build, connect):
    with connect(
        build(environment=KEYS | {"allow_anonymous": True}), ELSEWHERE
    ) as client:
        assert [status(client, "/predict"), status(client, "/predict", PREDICT)] == [
            401,
            200,
        ]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_a_caller_on_the_host_may_use_any_of_its_names(build, connect, name: str):
    with connect(build()) as client:
        assert client.get("/model", headers={"Host": name}).status_code == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", ""]
)
def test_a_web_page_whose_name_was_made_to_lead_here_is_not_on_the_host(
    build, connect, name: str
):
    with connect(build()) as client:
        statuses = [
            client.get(path, headers={"Host": name}).status_code
            for path in ("/model", "/metrics")
        ]

    assert statuses == [401, 401]
