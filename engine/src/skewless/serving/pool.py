"""Long work → a few threads beside the event loop, each call with a deadline.

A thread that hangs cannot be ended, only left behind: it keeps its place in the pool,
so that no more of them than the pool holds can ever exist, and being a daemon it does
not keep the process from ending.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from skewless.core.errors import DeadlineError


class Pool:
    """At most `threads` calls at once, while the others wait.

    All of them give up after `seconds`.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        self._free = asyncio.Semaphore(threads)
        self._seconds = seconds

    async def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Call in a thread; raise what it raises.

        Raises
        ------
        DeadlineError
            No thread became free, or the call did not end in time.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Any] = loop.create_future()
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
                call = partial(self._call, loop, outcome, partial(work, *arguments))
                self._start(call)
                return await outcome
        except TimeoutError:
            msg = (
                f"no answer within {self._seconds:g} seconds; "
                "try again later, or send fewer records"
            )
            raise DeadlineError(msg) from None

    def _start(self, call: Callable[[], None]) -> None:
        try:
            threading.Thread(target=call, daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            self._free.release()
            raise

    def _call(
        self,
        loop: asyncio.AbstractEventLoop,
        outcome: asyncio.Future[Any],
        work: Callable[[], Any],
    ) -> None:
        result = None
        failure = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised again where awaited
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(self._finish, outcome, result, failure)

    def _finish(
        self, outcome: asyncio.Future[Any], result: Any, failure: BaseException | None
    ) -> None:
        self._free.release()
        if outcome.done():  # nobody waits any more
            return
        if failure is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(failure)
