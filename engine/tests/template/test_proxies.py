"""The proxies that are shipped or shown let pass only what is public.

That holds however it is spelled.
"""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import BaseRoute, Mount, Route
from yaml import safe_load_all

from fronts import Front, haproxy, make_secrets, nginx
from shipped import PLAIN, find
from skewless.serving.guard import ADMIN

pytestmark = [pytest.mark.posix, pytest.mark.needs("openssl")]

# FastAPI's own, for an OAuth that is not used
NOT_PUBLIC = (*ADMIN, "/docs/oauth2-redirect")
MARK = "X-Marked: yes"  # what a test sends; not a proxy's own check
SPELLINGS = [
    "/%6detrics",
    "/v1/%6detrics",
    "/%76%31/metrics",
    "/%73tats",
    "/%61dmin/reload",
    "/admin%2freload",
    "/metrics%0a",
    "/metrics%0A",
    "/metrics%20",
    "/metrics%00",
    "/metrics/",
    "/metrics;x",
    "/metrics?x=/predict",
    "/metrics#/predict",
    "//metrics",
    "/./metrics",
    "/%2e/metrics",
    "/v1/../metrics",
    "/v1//metrics",
    "/v1/./metrics",
    "/predict/../metrics",
    "/predict/%2e%2e/metrics",
    "/predict%2f..%2fmetrics",
    "/models/../metrics",
    "/models/x/../../metrics",
    "/models/..%2f..%2fmetrics%00/predict",
    "/static-offline-docs/../metrics",
    "/static-offline-docs/%2e%2e/stats",
    "\\metrics",
    "http://localhost/metrics",
    "http://localhost/%6detrics",
    "http://localhost?/predict/../metrics",
]


class Behind(NamedTuple):
    """What stands behind a proxy, and the targets it was asked for."""

    front: Front
    asked: list[str]

    def reached_by(self, target: str, method: str = "GET") -> list[str]:
        """Ask for a target; return what came through."""
        self.asked.clear()
        status, _ = self.front.ask(target, method, MARK)
        assert status in ({200} if self.asked else {400, 404}), target
        return [*self.asked]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(haproxy, marks=pytest.mark.needs("haproxy"), id="haproxy"),
        pytest.param(nginx, marks=pytest.mark.needs("nginx"), id="nginx"),
    ],
)
def behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Behind]:
    asked: list[str] = []

    class Recorder(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if self.headers["X-Marked"]:
                asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_HEAD = answer  # noqa: N815 - http.server's own names

        def log_message(self, *_: object) -> None:
            pass

    secrets = make_secrets(tmp_path_factory.mktemp("proxies") / "secrets")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Recorder))
        Thread(target=server.serve_forever).start()
        stack.callback(server.shutdown)
        yield Behind(
            stack.enter_context(
                request.param(secrets, f"127.0.0.1:{server.server_port}")
            ),
            asked,
        )


def paths(routes: list[BaseRoute]) -> Iterator[str]:
    """Return a path of every route, with values where it takes any."""
    for route in routes:
        if isinstance(route, Mount):
            yield f"{route.path}/swagger-ui-bundle.js"
        elif isinstance(route, Route):
            yield re.sub(r"\{\w+\}", "1.2.3-0a1b2c3d", route.path)


# what proxies pass once
DOCUMENTATION = ("/docs", "/redoc", "/openapi.json", "/static-offline-docs")


def is_public(path: str) -> bool:
    return path.removeprefix("/v1") not in NOT_PUBLIC


@pytest.fixture(scope="module")
def routes(build) -> list[str]:
    contract: FastAPI = build().app
    found = {*paths(contract.routes)}
    return sorted(
        found | {f"/v1{path}" for path in found if not path.startswith(DOCUMENTATION)}
    )


@pytest.mark.slow
def test_every_route_passes_if_it_is_public_and_only_then(
    behind: Behind, routes: list[str]
):
    passed = {path for path in routes if behind.reached_by(path, "POST") == [path]}

    assert passed == {path for path in routes if is_public(path)}
    assert {"/metrics", "/v1/stats", "/v1/admin/reload"} <= {*routes} - passed
    assert {
        "/predict",
        "/v1/model",
        "/docs",
        "/models/1.2.3-0a1b2c3d/predict",
    } <= passed


@pytest.mark.parametrize("alias", ["newest", "staging", "production"])
@pytest.mark.slow
def test_an_alias_passes_as_a_version_does(behind: Behind, alias: str):
    assert behind.reached_by(f"/models/{alias}/predict", "POST") == [
        f"/models/{alias}/predict"
    ]


@pytest.mark.parametrize("target", SPELLINGS)
def test_another_spelling_of_what_is_not_public_does_not_pass(
    behind: Behind, target: str
):
    assert behind.reached_by(target) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    path=st.sampled_from([prefix + path for path in ADMIN for prefix in ("", "/v1")]),
    before=st.sampled_from(["", "/.", "/x/..", "/%2e", "/"]),
    behind_it=st.sampled_from(
        ["", "%0a", "%0d", "/", ";", "?predict", "#predict", "/."]
    ),
    encoded=st.sets(st.integers(0, 15)),
)
@pytest.mark.slow
def test_no_encoding_of_what_is_not_public_passes(
    behind: Behind, path: str, before: str, behind_it: str, encoded: set[int]
):
    written = "".join(
        f"%{ord(sign):02x}" if place in encoded and place else sign
        for place, sign in enumerate(path)
    )

    assert behind.reached_by(before + written + behind_it) == []


@pytest.mark.needs("curl")
@pytest.mark.slow
def test_http_2_is_no_way_around(behind: Behind):
    """curl asks by HTTP/2 where the proxy speaks it."""
    url = f"https://localhost:{behind.front.port}"
    targets = [
        target for target in SPELLINGS if target.startswith("/") and "#" not in target
    ]
    words = [
        "curl",
        "--insecure",
        "--http2",
        "--path-as-is",
        "--silent",
        "--output",
        "/dev/null",
    ]
    behind.asked.clear()

    for target in (*targets, "/metrics", "/model"):
        subprocess.run([*words, "--header", MARK, url + target], check=False)

    assert behind.asked == ["/model"]


def test_the_ingress_names_every_public_route_and_no_other(routes: list[str]):
    documents = [
        document for path in PLAIN for document in safe_load_all(path.read_text())
    ]
    (ingress,) = find(documents, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    named = [(each["path"], each["pathType"]) for each in rule["http"]["paths"]]

    def passes(path: str) -> bool:
        """Match as the Ingress' specification says: whole, or by the first segments."""
        return any(
            path == allowed or (kind == "Prefix" and path.startswith(f"{allowed}/"))
            for allowed, kind in named
        )

    assert {path for path in routes if passes(path)} == {
        path for path in routes if is_public(path)
    }
    assert not any(
        passes(target)
        for target in ("/", "//metrics", "/%6detrics", "/v1/%6detrics", "/admin")
    )
