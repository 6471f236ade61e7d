"""A release and its rollback, rehearsed for real; and what the proxy of the Compose file lets pass."""

import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPResponse, HTTPSConnection
from json import dumps
from pathlib import Path
from typing import NamedTuple

import pytest

from churn_service.contract import example
from conftest import ROOT
from running import free_port, serving
from shipped import COMPOSE
from steady import until


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("haproxy", "openssl")
def test_a_release_and_its_rollback_lose_no_request_and_leave_nothing_behind(tmp_path: Path):
    environment = os.environ | {  # noqa: TID251 - the child inherits ours
        "PYTHONPATH": str(ROOT / "src"),
        "TMPDIR": str(tmp_path),
        "CHURN_REGISTRY_URL": "s3://must-not-be-touched",
    }

    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/rehearse.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    before, _, killed = said.partition("== one of two processes is killed")
    lost = [int(number) for number in re.findall(r"failed: (\d+)", before)]
    answered = dict(re.findall(r"image (\d) answers on port|drained with 0, after ([\d,]+) answers", before))
    assert lost == [0] * 5
    assert {"1", "2"} <= answered.keys()
    assert len(set(re.findall(r"[\d,]+ by (\S+?)[,;]", before))) == 2
    assert int(re.search(r"(\d+) requests were lost", killed)[1]) <= 6  # one of each caller, at most
    assert "NOT SO" not in said
    assert not list(tmp_path.iterdir())


class Front(NamedTuple):
    """A proxy by the Compose file's own configuration, and the key of who may ask it."""

    port: int
    key: str
    trust: ssl.SSLContext

    def ask(self, path: str, **headers: str) -> HTTPResponse:
        """Ask about the example, over TLS; the answer's body is read."""
        with closing(HTTPSConnection("localhost", self.port, context=self.trust, timeout=20)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", path, dumps(example()), {"Content-Type": "application/json", **named})
            answer = connection.getresponse()
            answer.read()
            return answer


@pytest.fixture(scope="module")
def front(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder, port = tmp_path_factory.mktemp("front") / "secrets", free_port()
    subprocess.run([COMPOSE.parent / "secrets.sh", folder], check=True)
    keys = (folder / "service.env").read_text().splitlines()[0].partition("=")[2]
    trust = ssl.create_default_context(cafile=folder / "tls.crt")
    found = Front(port, (folder / "caller.key").read_text(), trust)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHURN_API_KEYS", keys)
        with serving(trained) as (url, _):
            addresses = {
                "LISTEN": f"127.0.0.1:{port}",
                "PROBE": f"127.0.0.1:{free_port()}",
                "CERTIFICATE": str(folder / "tls.pem"),
                "FIRST": url.removeprefix("http://"),
                "SECOND": f"127.0.0.1:{free_port()}",  # nobody
            }
            environment = os.environ | addresses  # noqa: TID251 - the child inherits ours
            words = ["haproxy", "-db", "-f", COMPOSE.parent / "haproxy.cfg"]
            with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) as proxy:
                until(lambda: is_listening(port), "the proxy listens")
                yield found
                proxy.terminate()


def is_listening(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.posix
@pytest.mark.needs("haproxy", "openssl")
def test_the_proxy_passes_who_has_a_key_and_takes_nobody_for_one_on_the_host(front: Front):
    answered = front.ask("/predict", X_API_Key=front.key)
    claims = {"X_Forwarded_For": "127.0.0.1", "Host": "127.0.0.1"}

    assert (answered.status, answered.getheader("Strict-Transport-Security")) == (200, "max-age=31536000")
    assert [front.ask("/predict", **said).status for said in ({}, claims)] == [401, 401]
    assert [front.ask(path, X_API_Key=front.key).status for path in ("/metrics", "/v1/stats")] == [404, 404]


@pytest.mark.posix
@pytest.mark.needs("haproxy", "openssl")
def test_a_process_that_is_not_there_costs_no_request(front: Front):
    assert {front.ask("/predict", X_API_Key=front.key).status for _ in range(20)} == {200}
