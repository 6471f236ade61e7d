"""Requests per caller and minute, counted by each process for itself.

A window begins with a caller's first request and ends a minute later, by a clock that
nobody sets.
"""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

SECONDS = 60


class Taken(NamedTuple):
    """What a caller has used of the window, and how long it still lasts."""

    used: int
    seconds_left: float


class Window(Protocol):
    """Where requests are counted."""

    async def take(self, caller: str, cost: int) -> Taken:
        """Count a request, refused or not."""

    async def close(self) -> None:
        """Give back what it holds."""


class MemoryWindow:
    """Counts of this process; holds one entry per caller that has a key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    async def take(self, caller: str, cost: int) -> Taken:
        """Count a request, refused or not."""
        now = self._clock()
        ends, used = self._windows.get(caller, (0.0, 0))
        if now >= ends:
            ends = now + SECONDS
            used = 0
        self._windows[caller] = ends, used + cost
        return Taken(used + cost, ends - now)

    async def close(self) -> None:
        """Give back nothing: it holds no more than memory."""
