"""Pool and background writer when what they run hangs, fails or comes late."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from skewless.core import background
from skewless.core.background import BackgroundWriter
from skewless.core.errors import DeadlineError
from skewless.serving import pool
from skewless.serving.pool import Pool

pytestmark = pytest.mark.fault

SHORT = 0.05  # seconds
HANGS = """
import asyncio, threading
from skewless.core.errors import DeadlineError
from skewless.serving.pool import Pool
async def main():
    try:
        await Pool(1, 0.1).run(threading.Event().wait)
    except DeadlineError:
        print("ready", flush=True)
    await asyncio.Event().wait()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""


def test_calls_that_hang_keep_their_places_until_they_end_and_others_go_on():
    release, started = threading.Event(), []

    def hang() -> None:
        started.append(threading.current_thread())
        release.wait()

    async def play() -> tuple[list[Any], int, Any]:
        calls = Pool(2, SHORT)
        first = await asyncio.gather(
            *(calls.run(hang) for _ in range(5)), return_exceptions=True
        )
        hanging = sum(thread.is_alive() for thread in started)
        release.set()
        for thread in started:
            await asyncio.to_thread(thread.join, 20)
        return first, hanging, await calls.run(lambda: "goes on")

    failures, hanging, after = asyncio.run(play())

    assert [type(failure) for failure in failures] == [DeadlineError] * 5
    assert (hanging, len(started), after) == (2, 2, "goes on")


def test_a_free_place_is_used_beside_one_that_hangs():
    release = threading.Event()

    async def play() -> list[int]:
        calls = Pool(2, 20)
        hanging = asyncio.create_task(calls.run(release.wait))
        found = [await calls.run(lambda: 7) for _ in range(20)]
        release.set()
        await hanging
        return found

    assert asyncio.run(play()) == [7] * 20


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)], ids=repr
)
def test_what_a_call_raises_comes_through_and_its_place_is_free_again(
    error: BaseException,
):
    def fail() -> None:
        raise error

    async def play() -> tuple[BaseException, str]:
        calls = Pool(1, 20)
        try:
            await calls.run(fail)
        except type(error) as caught:
            return caught, await calls.run(lambda: "free")
        pytest.fail("nothing was raised")

    assert asyncio.run(play()) == (error, "free")


def test_when_the_system_gives_no_thread_the_place_is_free_again(monkeypatch):
    async def play() -> str:
        calls = Pool(1, 20)
        with monkeypatch.context() as patch:
            patch.setattr(pool.threading.Thread, "start", _no_thread)
            with pytest.raises(RuntimeError):
                await calls.run(lambda: None)
        return await calls.run(lambda: "free")

    assert asyncio.run(play()) == "free"


def _no_thread(_thread: threading.Thread) -> None:
    msg = "can't start new thread"
    raise RuntimeError(msg)


def test_a_call_that_ends_after_its_loop_is_closed_harms_nobody():
    release, threads = threading.Event(), []

    def hang() -> None:
        threads.append(threading.current_thread())
        release.wait()

    with pytest.raises(DeadlineError):
        asyncio.run(Pool(1, SHORT).run(hang))
    release.set()
    threads[0].join(20)

    assert not threads[0].is_alive()  # an exception in it would fail the test


@pytest.mark.posix
@pytest.mark.slow
def test_ctrl_c_ends_a_process_with_a_hanging_thread():
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS], stdout=subprocess.PIPE, text=True
    )
    with process:
        said = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        code = process.wait(20)

    assert (said, code) == ("ready\n", 0)


class Sink:
    """Where a background writer writes; closed, it hangs."""

    def __init__(self) -> None:
        self.open, self.called = threading.Event(), threading.Event()
        self.items: list[int] = []
        self.lost: list[int] = []

    def write(self, items: list[int]) -> None:
        self.called.set()
        self.open.wait()
        self.items += items


def test_a_working_sink_gets_everything_in_order():
    sink = Sink()
    sink.open.set()
    writer = BackgroundWriter[int](
        sink.write, sink.lost.append, most=100_000, seconds=0.001
    )

    for number in range(50_000):
        writer.put(number)
    writer.close()

    assert sink.items == list(range(50_000))
    assert sink.lost == []


def test_much_is_written_at_once_and_not_after_the_longest_wait():
    sink = Sink()
    sink.open.set()
    writer = BackgroundWriter[int](
        sink.write, sink.lost.append, most=100_000, seconds=3600
    )

    writer.put(1)
    assert not sink.called.wait(SHORT)
    writer.put(2, weight=background.ENOUGH)

    assert sink.called.wait(20)
    writer.close()
    assert sink.items == [1, 2]


def test_a_full_queue_loses_and_counts_and_never_blocks():
    sink = Sink()
    writer = BackgroundWriter[int](sink.write, sink.lost.append, most=10, seconds=0.001)

    for number in range(12):  # would block here for ever
        writer.put(number, weight=2)
    sink.open.set()
    writer.close()

    assert sink.items == [0, 1, 2, 3, 4]
    assert sink.lost == [2] * 7


def test_a_sink_that_hangs_delays_the_end_only_so_long_and_its_items_count_as_lost(
    monkeypatch,
):
    monkeypatch.setattr(background, "CLOSING_SECONDS", SHORT)
    sink = Sink()
    writer = BackgroundWriter[int](sink.write, sink.lost.append, most=10, seconds=0.001)
    writer.put(1)
    assert sink.called.wait(20)
    writer.put(2, weight=4)

    started = time.monotonic()
    writer.close()
    waited = time.monotonic() - started
    sink.open.set()

    assert sink.lost == [5]
    assert waited < background.CLOSING_SECONDS + 5
