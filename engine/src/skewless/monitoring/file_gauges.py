"""A file that a job writes → gauges that the service shows.

The service reads the file at each scrape, so nothing here needs pandas or scipy, and
whatever becomes of the file, no scrape fails or waits.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Generic, TypeVar

from prometheus_client import Metric
from prometheus_client.registry import Collector

MOST_BYTES: Final = 1024 * 1024  # of a file; what is found of one column takes 300
READING: Final = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
)
"""Wait for no pipe and follow no link; Windows knows neither."""
FiguresT = TypeVar("FiguresT")


class FileGauges(Collector, Generic[FiguresT]):
    """The figures of a file as metrics.

    There are none while there is no file of at most 1 MB, or none that can be read.

    Parameters
    ----------
    path
        The file.
    parse
        What it holds → the figures; a ValueError if it holds something else.
    show
        The figures → the metrics.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], FiguresT],
        show: Callable[[FiguresT], Iterable[Metric]],
    ) -> None:
        self._path = path
        self._parse = parse
        self._show = show
        self._read_at: int | None = None
        self._figures: FiguresT | None = None

    def collect(self) -> Iterator[Metric]:
        """Look whether there are new figures, and return the newest."""
        try:
            found = self._path.lstat()
            if found.st_mtime_ns != self._read_at:
                is_small = stat.S_ISREG(found.st_mode) and found.st_size <= MOST_BYTES
                self._figures = self._parse(_read(self._path)) if is_small else None
                self._read_at = found.st_mtime_ns
        except (OSError, ValueError):
            # Pydantic's are ValueErrors; a scrape goes on without.
            self._figures = self._read_at = None
        if self._figures is not None:
            yield from self._show(self._figures)


def _read(path: Path) -> bytes:
    """Read what was a small file a moment ago; if it is a pipe now, do not wait."""
    with open(
        path, "rb", buffering=0, opener=lambda name, _: os.open(name, READING)
    ) as file:
        return file.read(MOST_BYTES)
