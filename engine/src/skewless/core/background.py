"""Items → a sink, by a thread of its own.

Putting an item in never waits for a disk or a pipe.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
CLOSING_SECONDS = 5.0  # that a sink which hangs may delay the end
# weight written in one go: short, so that the event loop never waits long for the
# interpreter
SLICE = 64
# weight that is not left waiting: to write what was made just now costs a fraction
# (0011)
ENOUGH = 500


class BackgroundWriter(Generic[Item]):
    """A bounded queue and the thread that empties it.

    Parameters
    ----------
    write
        Takes items to where they belong, in order; what it raises on is lost.
    lost
        Told how much a full queue did not take, or an end did not wait for.
    most
        How much may wait, in the unit of `put`'s weight.
    seconds
        Items are written at the latest so long after they were put in; earlier if there
        are many.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], None],
        lost: Callable[[int], None],
        *,
        most: int,
        seconds: float,
    ) -> None:
        self._write = write
        self._lost = lost
        self._most = most
        self._seconds = seconds
        self._waiting: deque[tuple[Item, int]] = deque()
        self._weight = 0
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._enough = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, item: Item, weight: int = 1) -> None:
        """Hand an item over, or lose it; at once in either case."""
        with self._lock:
            fits = self._weight + weight <= self._most
            if fits:
                self._weight += weight
        if not fits:
            self._lost(weight)
            return
        self._waiting.append((item, weight))
        if not self._some.is_set():
            self._some.set()
        if self._weight >= ENOUGH:
            self._enough.set()

    def close(self) -> None:
        """Write what waits; what cannot be written in time is lost."""
        self._closing = True
        self._enough.set()
        self._some.set()
        self._thread.join(CLOSING_SECONDS)
        if self._weight:
            self._lost(self._weight)

    def _run(self) -> None:
        while not self._closing:
            self._some.wait()
            self._enough.wait(self._seconds)
            self._some.clear()
            self._enough.clear()
            self._empty()
        self._empty()

    def _empty(self) -> None:
        while self._waiting:
            items, weight = self._take()
            try:
                self._write(items)
            except Exception:  # noqa: BLE001 - else the thread ends and writes no more
                self._lost(weight)
            with self._lock:
                self._weight -= weight

    def _take(self) -> tuple[list[Item], int]:
        items: list[Item] = []
        together = 0
        while self._waiting and together < SLICE:
            item, weight = self._waiting.popleft()
            items.append(item)
            together += weight
        return items, together
