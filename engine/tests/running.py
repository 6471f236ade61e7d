"""Start real server processes and ask them over HTTP."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

COMMAND = [sys.executable, "-W", "error", "-m", "churn_service", "serve"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url: str, body: object = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=10) as answer:  # noqa: S310 - loopback
            return json.load(answer)
    except HTTPError as error:
        error.close()  # it holds the connection, which would be found open in some later test
        raise


def workers(server: int) -> set[int]:
    """Name the processes that answer for a server."""
    found = set()
    for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):  # it has just left
            found |= {int(pid)} if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes() else set()
    return found


@contextlib.contextmanager
def serving(
    folder: Path, *words: str, command: list[str] = COMMAND
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start a server, wait until it is ready, and end it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [*command, "--port", str(port), *words], cwd=folder, stdout=subprocess.PIPE, text=True
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
