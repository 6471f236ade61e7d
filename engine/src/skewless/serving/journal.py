"""Finished requests → metrics, log lines and observers, many at a time.

Doing all this at once for each request would cost more than the prediction: the
processor's caches are cold each time. So a request leaves a note, and twenty times a
second the notes are worked off; the note of a batch at once, as it has many lines and
its rows are still in the caches.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from structlog.typing import FilteringBoundLogger

from skewless.core.answer import Answered
from skewless.serving.logs import describe
from skewless.serving.metrics import Meter

SECONDS: Final = 0.05
SLICE: Final = 100  # lines written before the event loop goes on: about a millisecond
PROBES: Final = ("/health", "/ready")  # lines of theirs would hide the others
OK: Final = 200
SERVER_ERROR: Final = 500


class Note(NamedTuple):
    """A finished request."""

    time: float
    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    caller: str | None
    trace: dict[str, str]
    answer: Answered | None
    refused: str | None = None


Observer = Callable[[Note, Answered], None]
"""Told of each answer."""


class Journal:
    """The notes of one process."""

    def __init__(
        self, meter: Meter, log: FilteringBoundLogger, observers: Sequence[Observer]
    ) -> None:
        self._meter = meter
        self._log = log
        self._observers = observers
        self._notes: deque[Note] = deque()
        self._open = 0
        self._due = False

    def begin(self) -> None:
        """Note that a request came in."""
        self._open += 1
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(SECONDS, self._work)

    def end(self, note: Note) -> None:
        """Note that a request is over."""
        self._open -= 1
        if note.answer is not None and len(note.answer.answers) > SLICE:
            self._write(note)
        else:
            self._notes.append(note)

    def flush(self) -> None:
        """Work off all notes now."""
        while self._notes:
            self._write(self._notes.popleft())
        self._meter.in_flight.set(self._open)

    def _work(self) -> None:
        """Work off some notes, and at least half of them.

        So never more than two turns' notes wait.
        """
        lines = 0
        half = len(self._notes) // 2
        while self._notes and (lines < SLICE or half > 0):
            note = self._notes.popleft()
            lines += len(note.answer.answers) if note.answer else 1
            half -= 1
            self._write(note)
        self._meter.in_flight.set(self._open)
        self._due = bool(self._notes or self._open)
        if self._due:
            pause = 0 if self._notes else SECONDS
            asyncio.get_running_loop().call_later(pause, self._work)

    def _write(self, note: Note) -> None:
        answer = note.answer
        self._meter.answered(
            note.route, note.status, seconds=note.seconds, answer=answer
        )
        facts: dict[str, Any] = {**note.trace}
        if note.refused:
            facts["refused"] = note.refused
        if answer is not None:
            facts |= _outcome(answer)
            for observe in self._observers:
                self._tell(observe, note, answer)
        self._log.log(
            _level(note),
            "request",
            time=datetime.fromtimestamp(note.time, UTC),
            request_id=note.request_id,
            method=note.method,
            route=note.route,
            status=note.status,
            latency_ms=round(note.seconds * 1000, 3),
            caller=note.caller,
            **facts,
        )

    def _tell(self, observe: Observer, note: Note, answer: Answered) -> None:
        try:
            observe(note, answer)
        except Exception as error:  # noqa: BLE001 - else this and later notes are lost
            self._log.error(
                "an answer was not observed",
                request_id=note.request_id,
                **describe(error),
            )


def _level(note: Note) -> int:
    """Tell how much a request matters to who runs the service.

    The service's own failures matter most, probes least.
    """
    if note.route in PROBES:
        return logging.DEBUG if note.status == OK else logging.INFO
    if note.status >= SERVER_ERROR:
        return logging.ERROR
    if note.answer is not None and note.answer.source.trained_at is None:
        return logging.WARNING
    return logging.INFO


def _outcome(answer: Answered) -> dict[str, Any]:
    """Say in a line who answered what: a tier, or for a batch how many rows."""
    if len(answer.answers) == 1:
        return {"model_version": answer.source.version, "tier": answer.answers[0].tier}
    return {"model_version": answer.source.version, "rows": len(answer.answers)}
