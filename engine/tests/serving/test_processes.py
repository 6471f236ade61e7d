"""What callers see of a killed worker and of a stopping server, all under load."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile import held
from own import CONTRACT
from running import ask, serving, workers
from steady import JSON, Load, configure, until

pytestmark = [pytest.mark.fault, pytest.mark.posix]

TWO = ("--workers", "2")
BOTH = pytest.mark.parametrize("words", [(), TWO], ids=["one process", "two workers"])


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )


def is_younger(url: str, moment: float) -> bool:
    """Ask whoever answers whether it was started after a moment."""
    return ask(f"{url}/health")["uptime_seconds"] < time.monotonic() - moment


@contextlib.contextmanager
def connected(url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    with contextlib.closing(connection):
        connection.connect()
        yield connection


def status(url: str, path: str) -> int:
    """Ask on a new connection; 0 if none can be had any more."""
    try:
        with connected(url) as connection:
            connection.request("GET", path)
            with connection.getresponse() as answer:
                return answer.status
    except (OSError, http.client.HTTPException):
        return 0


@pytest.mark.slow
def test_a_killed_worker_takes_at_most_its_own_requests_with_it_and_comes_back(
    trained: Path,
):
    with serving(trained, *TWO) as (url, server):
        before = until(
            lambda: len(found := workers(server.pid)) == 2 and found, "two workers"
        )
        with Load(url, callers=6) as load:
            load.reach(200)
            victim = max(before, key=held)  # who has the most connections
            killed = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            until(lambda: is_younger(url, killed), "the new worker answers")
            load.reach(200)
            after = workers(server.pid)

    assert (len(after), victim in after) == (2, False)
    assert load.sent == len(load.answers) + len(load.reset)
    assert 1 <= len(load.reset) <= 6
    assert {answer.status for answer in load.answers} == {200}


@pytest.mark.parametrize(
    ("words", "everyone"),
    [((), False), pytest.param(TWO, False, marks=pytest.mark.slow), (TWO, True)],
    ids=["one process", "two workers", "two workers, each signalled too"],
)
@pytest.mark.slow
def test_sigterm_under_load_loses_no_request_of_callers_who_heed_ready(
    own: Path, words: tuple[str, ...], *, everyone: bool
):
    configure(own, "serving", drain_seconds=2)
    with serving(own, *words) as (url, server):
        with Load(url) as load:
            load.reach(100)
            for pid in (*(workers(server.pid) if everyone else ()), server.pid):
                os.kill(pid, signal.SIGTERM)
            until(lambda: status(url, "/ready") == 503, "load balancers are told")
            told = time.monotonic()
            until(lambda: time.monotonic() > told + 1, "half of the drain is over")
            halfway = status(url, "/ready")
        code = server.wait(30)

    assert (code, load.reset, load.sent) == (0, [], len(load.answers))
    assert {answer.status for answer in load.answers} == {200}
    assert not load.answers[0].closes
    late = [answer for answer in load.answers if answer.at > told]
    # one of each caller may have been on its way
    assert sum(not answer.closes for answer in late) <= 4
    assert len(late) > 100
    assert halfway == 503


@BOTH
@pytest.mark.slow
def test_who_is_connected_when_it_stops_may_still_ask(
    own: Path, words: tuple[str, ...]
):
    configure(own, "serving", drain_seconds=0)
    with serving(own, *words) as (url, server), connected(url) as early:
        until(lambda: ask(f"{url}/health"), "the server has seen the connection")
        server.terminate()
        until(lambda: status(url, "/health") == 0, "nobody new is let in")
        early.request("POST", "/predict", json.dumps(CONTRACT.example()), JSON)
        with early.getresponse() as answer:
            code = server.wait(30)

    assert (answer.status, code) == (200, 0)


@pytest.mark.slow
def test_a_large_batch_on_its_way_is_answered_before_it_stops(own: Path):
    rows = 20_000
    configure(own, "serving", max_batch_rows=rows, max_body_bytes=2**27)
    body = json.dumps({"customers": [CONTRACT.example()] * rows}).encode()
    with serving(own) as (url, server), connected(url) as connection:
        connection.putrequest("POST", "/predict/batch")
        for name, value in {**JSON, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body[:1000])
        until(lambda: ask(f"{url}/health"), "the server has seen its head")
        server.terminate()
        until(lambda: status(url, "/health") == 0, "nobody new is let in")
        connection.send(body[1000:])
        with connection.getresponse() as answer:
            got = json.load(answer)
        code = server.wait(30)

    assert (answer.status, answer.headers["connection"], got["batch_size"], code) == (
        200,
        "close",
        rows,
        0,
    )
