"""SIGTERM → the service answers on for a while and asks its callers to leave, then stops."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from starlette.datastructures import State


@contextlib.contextmanager
def drained(state: State, seconds: float) -> Iterator[None]:
    """Set `state.draining` at SIGTERM, and let the server stop `seconds` later.

    Load balancers see /ready fail and send no more; callers with open connections are told to close them.
    Ctrl-C, and a second SIGTERM, stop at once.
    """
    if threading.current_thread() is not threading.main_thread():  # only there can signals be caught
        yield
        return
    loop = asyncio.get_running_loop()
    stop: Any = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> None:
        if state.draining or not seconds:
            stop(number, frame)
            return
        state.draining = True
        loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, frame)

    signal.signal(signal.SIGTERM, drain)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
