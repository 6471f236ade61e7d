"""SIGTERM → the service answers on for a while, asks callers to leave, then stops."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from skewless.serving.state import ServiceState

# systemd signals every process, and then the supervisor signals its workers once more.
ECHO_SECONDS = 2.0


@contextlib.contextmanager
def drained(
    state: ServiceState, seconds: float, tell: Callable[[], None]
) -> Iterator[None]:
    """Set `state.draining` at SIGTERM, and let the server stop `seconds` later.

    Load balancers see /ready fail and send no more; callers with open connections are
    told to close them. `tell` is called when that begins. Ctrl-C, and a second SIGTERM
    that is no echo of the first, stop at once.
    """
    # Only in the main thread can signals be caught.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    stop: Any = signal.getsignal(signal.SIGTERM)
    echo_until = 0.0

    def drain(number: int, frame: FrameType | None) -> None:
        nonlocal echo_until
        if state.draining and time.monotonic() < echo_until:
            return
        if state.draining or not seconds:
            stop(number, frame)
            return
        # First: an echo that finds it unset would stop the service at once.
        echo_until = time.monotonic() + ECHO_SECONDS
        state.draining = True
        # Not here and now: what a signal interrupts may hold a lock.
        loop.call_soon_threadsafe(tell)
        loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, frame)

    signal.signal(signal.SIGTERM, drain)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
