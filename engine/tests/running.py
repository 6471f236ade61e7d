"""Start real server processes and ask them over HTTP."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from conftest import ROOT

COMMAND = [sys.executable, "-W", "error", "-m", "churn_service", "serve"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url: str, body: object = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(url, data, headers)  # noqa: S310 - loopback
    try:
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return json.load(answer)
    except HTTPError as error:
        # it holds the connection, which would be found open in some later test
        error.close()
        raise


def rehearse(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the rehearsals in a folder, which is all it may write to."""
    environment = os.environ | {  # noqa: TID251 - the child inherits ours
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'engine/src'}",
        "TMPDIR": str(folder),
        "CHURN_REGISTRY_URL": "s3://must-not-be-touched",
    }
    command = [sys.executable, str(ROOT / "scripts" / script)]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def workers(server: int) -> set[int]:
    """Name the processes that answer for a server."""
    found = set()
    for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):  # it has just left
            found |= (
                {int(pid)}
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
                else set()
            )
    return found


@contextlib.contextmanager
def serving(
    folder: Path, *words: str, command: list[str] = COMMAND
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start a server, wait until it is ready, and end it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [*command, "--port", str(port), *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server never became ready"
            with contextlib.suppress(URLError, ConnectionError):
                ask(f"{url}/ready")
                break
            time.sleep(0.05)
        yield url, server
    finally:
        server.terminate()
        server.communicate(timeout=30)
