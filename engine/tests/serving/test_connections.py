"""Whoever is refused can read why, and others are served.

The service refuses bodies, endless heads and too many connections.
"""

import contextlib
import http.client
import json
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile import (
    BODY,
    WHOLE,
    Server,
    ask,
    asking,
    floods_the_head,
    held,
    read,
    started,
)
from steady import JSON, until

pytestmark = [pytest.mark.fault, pytest.mark.posix]

MOST = 30  # connections


@pytest.fixture(scope="module")
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("connections") / "project"
    bounds = {"max_connections": MOST, "max_body_bytes": 2**24}
    with started(trained, folder, **bounds) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [("/predict", "", 413), ("/predict", "wrong", 401), ("/nothing", "", 404)],
)
@pytest.mark.slow
def test_who_reads_only_after_sending_all_of_a_refused_body_reads_the_refusal(
    server: Server, path: str, key: str, status: int
):
    body = b" " * (2**24 + 1 if status == 413 else 2**23)
    headers = JSON | ({"X-API-Key": key} if key else {})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    with contextlib.closing(connection):
        connection.request("POST", path, body, headers)
        first = connection.getresponse()
        refusal = json.load(first)
        connection.request("POST", "/predict", BODY, JSON)
        with connection.getresponse() as second:
            after = second.status

    assert (first.status, refusal["status"], after) == (status, status, 200)


@pytest.mark.slow
def test_after_a_refused_body_the_head_is_still_bounded(server: Server):
    with server.connect() as connection:
        connection.sendall(
            asking(b" " * 100, b"X-API-Key: wrong").replace(
                b"Connection: close\r\n", b""
            )
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
        floods_the_head(connection)


def test_more_connections_than_allowed_are_refused_and_take_nobodys_place(
    server: Server,
):
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(server.connect()) for _ in range(MOST)]
        surplus = [stack.enter_context(server.connect()) for _ in range(3 * MOST)]
        refusals = [read(connection) for connection in surplus]
        served = [ask(connection, asking(BODY)) for connection in kept]
        freed = server.predict()

    heads = [refusal.partition(b"\r\n\r\n")[0] for refusal in refusals]
    assert all(
        head.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in head
        for head in heads
    )
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in served)
    assert freed == 200
    assert json.loads(refusals[0].partition(b"\r\n\r\n")[2])["status"] == 503
    until(lambda: held(server.pid) <= server.idle, "every connection is gone")


def test_a_probe_that_is_one_connection_too_many_is_told_that_the_process_lives(
    server: Server,
):
    probe = asking(b"").replace(b"POST /predict", b"GET /health")
    with contextlib.ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(server.connect())
        refused = ask(stack.enter_context(server.connect()), probe)

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert json.loads(refused.partition(b"\r\n\r\n")[2])["detail"] == (
        "too many connections; the process lives"
    )
    until(lambda: held(server.pid) <= server.idle, "every connection is gone")


def begins(connection: socket.socket) -> bytes:
    """Read what has come so far."""
    connection.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        return connection.recv(12)
    return b"waits"


@pytest.mark.slow
def test_ten_thousand_connections_leave_the_probes_alone(trained: Path, tmp_path: Path):
    most, chunk = 2000, 500
    chunks = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1000) // chunk
    probe = asking(b"").replace(b"POST /predict", b"GET /health")

    with started(
        trained, tmp_path / "own", patience=120, max_connections=most
    ) as server:
        with contextlib.ExitStack() as stack:
            callers, probes = [], []
            for number in range(chunks):
                callers += [stack.enter_context(server.connect()) for _ in range(chunk)]
                probes.append(ask(callers[number], probe)[:12])
            assert callers[-1].recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503"
            first = Counter(begins(caller) for caller in callers[chunks + 1 :])
            asked = ask(
                callers[chunks],
                WHOLE.replace(
                    b"Host: localhost", b"Host: localhost\r\nConnection: close"
                ),
            )
        until(lambda: held(server.pid) <= server.idle, "every connection is gone")

    assert Counter(probes) == {b"HTTP/1.1 200": chunks}
    assert first.keys() == {b"waits", b"HTTP/1.1 503"}
    assert most - chunks - 1 <= first[b"waits"] <= most
    assert asked.startswith(b"HTTP/1.1 200")
