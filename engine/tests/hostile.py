"""Speak to a server in bytes, and count what it still holds afterwards."""

import contextlib
import http.client
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from own import CONTRACT
from running import serving
from steady import JSON, configure, until

PATIENCE = 0.5  # seconds that these servers give a caller
ROWS = 20_000
BODY = json.dumps(CONTRACT.example()).encode()
HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
# bytes; far more than a head may hold, or a system keeps for a reader
ENDLESS = 64 * 1024 * 1024


class Server(NamedTuple):
    """A server, and how many files and sockets it holds while nobody asks."""

    port: int
    pid: int
    idle: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def predict(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("POST", "/predict", BODY, JSON)
            with connection.getresponse() as answer:
                return answer.status


def held(pid: int) -> int:
    """Count what a process holds open, without its logs.

    They are open only now and then.
    """
    folder, count = Path(f"/proc/{pid}/fd"), 0
    for each in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += not each.readlink().name.endswith(".jsonl")
    return count


@contextlib.contextmanager
def started(
    trained: Path, folder: Path, *, patience: float = PATIENCE, **bounds: int
) -> Iterator[Server]:
    own = Path(shutil.copytree(trained, folder))
    configure(own, "serving", slow_client_seconds=patience, **bounds)
    with serving(own) as (url, process):
        looks: list[int] = []
        until(
            lambda: looks.append(held(process.pid)) or looks[-10:] == [looks[-1]] * 10,
            "quiet",
        )
        yield Server(int(url.rpartition(":")[2]), process.pid, looks[-1])


def read(connection: socket.socket) -> bytes:
    """Read to the end, whichever way it comes."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            received += part
    return bytes(received)


def ask(connection: socket.socket, *parts: bytes) -> bytes:
    with contextlib.suppress(ConnectionError):
        for part in parts:
            connection.sendall(part)
    return read(connection)


def asking(
    body: bytes, *headers: bytes, content_type: bytes = b"application/json"
) -> bytes:
    lines = [
        b"POST /predict HTTP/1.1",
        b"Host: localhost",
        b"Content-Type: " + content_type,
        *headers,
    ]
    lines += [b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"\r\n".join([*lines, b"", body])


def floods_the_head(connection: socket.socket) -> None:
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < ENDLESS:
            sent += connection.send(b"x" * 10_000 if sent else HEAD + b"X-Endless: ")
    assert sent < ENDLESS
