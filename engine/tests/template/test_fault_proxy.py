"""Idle connections and slow heads end at the proxy, whose work they are.

Others are answered meanwhile.
"""

import contextlib
import resource
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from fronts import Front, configured_keys, haproxy, make_secrets
from hostile import BODY, HEAD, Server, held, read, started

pytestmark = [
    pytest.mark.fault,
    pytest.mark.posix,
    pytest.mark.needs("haproxy", "openssl"),
]

SECONDS = {  # shorter, so that a test can wait for them
    "timeout http-request 10s": "timeout http-request 3s",
    "timeout http-keep-alive 65s": "timeout http-keep-alive 3s",
    "timeout client 35s": "timeout client 4s",
}
BEHIND = 20  # connections that the proxy may have to the service, and files of a log
SLOW, KEPT = 200, 100


class Crowd(NamedTuple):
    """A service behind the proxy, and the key to ask it."""

    server: Server
    front: Front
    key: bytes


@pytest.fixture
def crowd(trained: Path, tmp_path: Path) -> Iterator[Crowd]:
    """Start a service that never loses its patience, so that the proxy does."""
    secrets = make_secrets(tmp_path / "secrets")
    key = b"X-API-Key: " + (secrets / "caller.key").read_bytes() + b"\r\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHURN_API_KEYS", configured_keys(secrets))
        with (
            started(trained, tmp_path / "project", patience=3600) as server,
            haproxy(secrets, f"127.0.0.1:{server.port}", SECONDS) as front,
        ):
            yield Crowd(server, front, key)


def begin(connection: ssl.SSLSocket, sent: bytes) -> bytes:
    """Ask, and read how the answer begins; the connection is kept."""
    connection.sendall(sent)
    return connection.recv(12)


@pytest.mark.slow
def test_thousands_of_idle_connections_and_slow_heads_end_at_the_proxy(crowd: Crowd):
    idle = min(3_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SLOW - KEPT - 300)
    whole = HEAD + crowd.key + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY

    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(crowd.front.connect_plain()) for _ in range(idle)]
        slow = [stack.enter_context(crowd.front.connect()) for _ in range(SLOW)]
        for connection in slow:
            connection.sendall(HEAD)
        kept = [stack.enter_context(crowd.front.connect()) for _ in range(KEPT)]
        answers = Counter(begin(connection, whole) for connection in kept)
        behind = held(crowd.server.pid) - crowd.server.idle
        refusals = Counter(read(connection)[:12] for connection in slow)
        ends = Counter(read(connection) for connection in silent)
        # ends when the connection does
        rest = [read(connection) for connection in kept]
    after, _ = crowd.front.ask("/ready")

    assert answers == {b"HTTP/1.1 200": KEPT}
    assert refusals == {b"HTTP/1.1 408": SLOW}
    assert ends == {b"": idle}
    assert not any(b"HTTP/1.1 " in each for each in rest)
    assert (behind < BEHIND, after) == (True, 200)
