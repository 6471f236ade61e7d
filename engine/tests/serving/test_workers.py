"""Several workers are counted as one service, whatever becomes of them."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from own import CONTRACT
from running import ask, serving, workers
from scraped import read

HEAD = (
    b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
)
HALF = HEAD + b"content-length: 9\r\n\r\n{"


def metric(url: str, name: str, *labels: str) -> float:
    with urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
        return read(answer.read().decode()).get(name, {}).get(labels, 0)


def eventually(look: Callable[[], Any], expected: Any, seconds: float = 20) -> Any:
    """Look until it is as expected or time is up.

    Workers count what they did a moment later.
    """
    deadline = time.monotonic() + seconds
    while (found := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@contextmanager
def half_asked(url: str, count: int) -> Iterator[None]:
    """Hold so many requests whose bodies do not end."""
    with ExitStack() as held:
        for _ in range(count):
            place = urlsplit(url)
            held.enter_context(
                socket.create_connection((place.hostname, place.port))
            ).sendall(HALF)
        yield


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_all_workers_killed_at_once_are_all_replaced(trained: Path):
    with serving(trained, "--workers", "2") as (url, server):
        there = workers(server.pid)
        for worker in there:
            os.kill(worker, signal.SIGKILL)
        replaced = eventually(lambda: len(workers(server.pid) - there), 2)
        version = ask(f"{url}/predict", CONTRACT.example())["model_version"]

    assert (len(there), replaced) == (2, 2)
    assert version


@pytest.mark.posix
@pytest.mark.slow
def test_a_killed_worker_takes_no_count_with_it_and_leaves_nothing_in_flight(
    trained: Path, capfd: pytest.CaptureFixture[str]
):
    with serving(trained, "--workers", "2") as (url, server):

        def predicted() -> float:
            return metric(url, "http_request_duration_seconds_count", "/predict", "200")

        def in_flight() -> float:
            return metric(url, "http_requests_in_flight")

        first = ask(f"{url}/stats")
        for _ in range(50):
            ask(f"{url}/predict", CONTRACT.example())
        before = eventually(predicted, 50)
        there = workers(server.pid)
        with half_asked(url, 8):
            busy = eventually(in_flight, 9)
            os.kill(min(there), signal.SIGKILL)
            replaced = eventually(lambda: len(workers(server.pid) - there), 1)
        for _ in range(30):
            ask(f"{url}/predict", CONTRACT.example())
        after, idle = eventually(predicted, 80), eventually(in_flight, 1)
        last = ask(f"{url}/stats")

    assert (len(there), replaced) == (2, 1)
    (told,) = [
        line
        for line in capfd.readouterr().err.splitlines()
        if "takes its place" in line
    ]
    assert '"level":"error"' in told
    assert str(min(there)) in told
    assert (before, after) == (50, 80)
    assert (busy, idle) == (9, 1)  # one is the one that asks
    assert (first["predictions"], sum(last["predictions"].values())) == ({}, 80)
    assert last["routes"]["/predict"]["requests"] >= 80
