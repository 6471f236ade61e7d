"""Lines → files, one per process and day, without anybody ever waiting for a disk.

A killed process loses at most what it had not written for `flush_seconds`; a full or
slow disk loses lines, which are counted. What is written stays readable: a line cut
short by either is ended before the next begins.
"""

import io
import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from skewless.core.background import BackgroundWriter

SHADOW = "shadow"  # folder of a challenger's lines in the prediction log's
MOST_WAITING = 100_000  # lines; each a few hundred bytes
MOST_BYTES = 256 * 1024 * 1024  # of a file; then the next begins
WARN_SECONDS = 10.0  # between two warnings

Report = tuple[Callable[[int], None], Callable[..., Any]]
"""Told how many lines were lost; and a function that warns."""


class LineLog:
    """The files of one process in a folder; `seconds` a line may wait in memory."""

    def __init__(self, folder: Path, seconds: float, report: Report) -> None:
        self._folder = folder
        self._process = process_name()
        self._lost, self._warn = report
        self._warned = -WARN_SECONDS
        self._part = 0
        self._writer = BackgroundWriter[tuple[datetime, bytes, int]](
            self._write,
            partial(self.report_lost, reason="too slow a disk"),
            most=MOST_WAITING,
            seconds=seconds,
        )

    def put(self, time: datetime, lines: bytes, count: int) -> None:
        """Hand whole lines over, with their number of rows.

        All are lost if too much waits.
        """
        self._writer.put((time, lines, count), weight=count)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def _write(self, parts: list[tuple[datetime, bytes, int]]) -> None:
        """Write to the day's file; say how many rows did not go there."""
        for day, group in itertools.groupby(parts, key=lambda part: part[0].date()):
            together = list(group)
            written, reason = 0, "disk full"
            try:
                written = self._append(b"".join(part[1] for part in together), day)
            except OSError as error:
                reason = error.strerror or type(error).__name__
            if missing := _rows_beyond(written, together):
                self.report_lost(missing, reason)

    def report_lost(self, rows: int, reason: str) -> None:
        """Count rows that are kept nowhere, and warn of them now and then."""
        self._lost(rows)
        if time.monotonic() - self._warned >= WARN_SECONDS:
            self._warned = time.monotonic()
            self._warn("the prediction log loses lines", rows=rows, reason=reason)

    def _append(self, data: bytes, day: date) -> int:
        """Append to the day's file; return how many bytes are on it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{day.isoformat()}.{self._process}.{self._part:03}.jsonl"
        with open(path, "ab+", buffering=0, opener=private) as file:
            size = file.seek(0, os.SEEK_END)
            if size and last_byte(file) != b"\n":
                file.write(b"\n")  # ends the line that a full disk cut short
            written = file.write(data)
        if size + written > MOST_BYTES:
            self._part += 1
        return written


def _rows_beyond(written: int, parts: list[tuple[datetime, bytes, int]]) -> int:
    """Count the rows of parts that are not whole within the first bytes."""
    ends = itertools.accumulate(len(lines) for _, lines, _ in parts)
    return sum(
        count for end, (_, _, count) in zip(ends, parts, strict=True) if end > written
    )


def process_name() -> str:
    """Name this process as no other is named, on no host."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def private(path: str, flags: int) -> int:
    """Open a file that only its owner can read."""
    return os.open(path, flags, 0o600)


def last_byte(file: io.FileIO) -> bytes:
    """Read the last byte of a file that is not empty."""
    file.seek(-1, os.SEEK_END)
    return file.read(1)
