"""Rate limits are shared through Redis, and no answer depends on it.

There is one count for all.
"""

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from own import CONTRACT
from running import free_port
from skewless.core.errors import ConfigError
from skewless.core.url import Url
from skewless.serving import redis_window
from skewless.serving.redis_window import RedisWindow

PATIENT = 20.0  # seconds: where a test is slow it is the machine, not Redis
Redis = tuple[str, subprocess.Popen]


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """Start a Redis that keeps nothing; return its URL and its process."""
    monkeypatch.setattr(redis_window, "PATIENCE_SECONDS", PATIENT)
    port = free_port()
    words = [
        "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert any("Ready to accept connections" in line for line in server.stdout)
        yield f"redis://127.0.0.1:{port}/0", server
    finally:
        server.kill()
        server.communicate(timeout=30)


def with_windows(
    url: str, count: int, work: Callable[..., Awaitable[Any]]
) -> tuple[Any, list[Exception]]:
    """Run a test's work on as many windows as there would be processes.

    Returns its result and what failed.
    """
    failures: list[Exception] = []

    async def run() -> Any:
        windows = [
            RedisWindow(Url(url), failures.append, variable="OWN_REDIS_URL")
            for _ in range(count)
        ]
        try:
            return await work(*windows)
        finally:
            for window in windows:
                await window.close()

    return asyncio.run(run()), failures


@pytest.mark.needs("redis-server")
def test_two_processes_share_one_count(redis: Redis):
    async def take(one: RedisWindow, other: RedisWindow):
        counts = [
            await window.take("crm", cost) for window in (one, other) for cost in (1, 5)
        ]
        return [*counts, await one.take("shop", 1)]

    taken, failures = with_windows(redis[0], 2, take)

    assert [each.used for each in taken] == [1, 6, 7, 12, 1]
    assert all(0 < each.seconds_left <= 60 for each in taken)
    assert failures == []


@pytest.mark.needs("redis-server")
def test_a_burst_larger_than_any_pool_of_connections_is_counted_whole(redis: Redis):
    async def take(one: RedisWindow, other: RedisWindow):
        return await asyncio.gather(
            *[window.take("crm", 1) for window in (one, other) for _ in range(200)]
        )

    taken, failures = with_windows(redis[0], 2, take)

    assert sorted(each.used for each in taken) == list(range(1, 401))
    assert failures == []


@pytest.mark.needs("redis-server")
def test_when_redis_goes_away_each_counts_for_itself_and_says_so_once(redis: Redis):
    url, server = redis

    async def take(window: RedisWindow):
        before = await window.take("crm", 7)
        server.kill()
        server.wait()
        return [
            before,
            *await asyncio.gather(*[window.take("crm", 1) for _ in range(20)]),
        ]

    (before, *after), failures = with_windows(url, 1, take)

    assert (before.used, sorted(each.used for each in after)) == (7, list(range(1, 21)))
    assert len(failures) == 1


@pytest.mark.posix
@pytest.mark.needs("redis-server")
def test_a_redis_that_hung_and_woke_up_counts_on_where_it_was(
    redis: Redis, monkeypatch
):
    monkeypatch.setattr(redis_window, "PAUSE_SECONDS", 0.0)
    url, server = redis

    async def take(window: RedisWindow):
        counts = [await window.take("crm", 1)]
        server.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(redis_window, "PATIENCE_SECONDS", 0.05)
        counts.append(await window.take("crm", 100))
        server.send_signal(signal.SIGCONT)
        monkeypatch.setattr(redis_window, "PATIENCE_SECONDS", PATIENT)
        return [*counts, await window.take("crm", 1), await window.take("shop", 1)]

    counts, failures = with_windows(url, 1, take)

    first, alone, again, other = (each.used for each in counts)
    assert (first, alone, other) == (1, 100, 1)
    assert again in {2, 102}  # whether it had read what it could not answer then
    assert [type(failure) for failure in failures] == [TimeoutError]


def connections(listening: socket.socket) -> int:
    """Count who has connected so far."""
    listening.settimeout(0)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            count += 1
    return count


def test_after_a_failure_redis_is_left_alone_for_a_while(monkeypatch):
    monkeypatch.setattr(redis_window, "PATIENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:

        async def take(window: RedisWindow):
            return [await window.take("crm", 1) for _ in range(20)]

        counts, failures = with_windows(
            f"redis://127.0.0.1:{silent.getsockname()[1]}", 1, take
        )
        asked = connections(silent)

    assert [each.used for each in counts] == list(range(1, 21))
    assert (asked, len(failures)) == (1, 1)


def test_without_a_redis_requests_are_answered_and_limited_all_the_same(build, connect):
    environment = {"redis_url": f"redis://127.0.0.1:{free_port()}"}

    with connect(
        build(environment=environment, serving={"rate_limit_anonymous": 3})
    ) as client:
        statuses = [
            client.post("/predict", json=CONTRACT.example()).status_code
            for _ in range(5)
        ]

    assert statuses == [200, 200, 200, 429, 429]


@pytest.mark.parametrize(
    "url",
    [
        "host:6379",
        "http://:secret@host",
        "redis://:secret@host:99999/0",
        "redis://h?secret=1",
    ],
)
def test_a_malformed_url_is_a_configuration_error_that_does_not_repeat_it(
    build, url: str
):
    with pytest.raises(ConfigError, match="SKEWLESS_REDIS_URL") as refused:
        build(environment={"redis_url": url})

    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__
