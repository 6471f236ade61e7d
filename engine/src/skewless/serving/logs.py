"""What happens → one JSON object per line on standard error.

A thread that nobody waits for writes the lines.
"""

import atexit
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import TypeAdapter
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from skewless.core.background import BackgroundWriter

MOST_LINES = 10_000  # that may wait for a slow reader
FLUSH_SECONDS = 0.05
# Bytes that a pipe takes whole on Linux: so no worker's line cuts another's.
MOST_AT_ONCE = 4096
FOREIGN: Final = ("uvicorn", "asyncio", "skewless")
EVENT: Final = TypeAdapter(dict[str, Any]).serializer


class _Lines:
    """What structlog writes to: every level alike, a line for the background writer."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self.debug = self.info = self.warning = self.error = put


class _Forward(logging.Handler):
    """What web server and event loop say by the standard library.

    It is passed on without values: a first line, no trace.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._forward(record)
        except Exception:  # noqa: BLE001 - no log line may end a process
            self.handleError(record)

    def _forward(self, record: logging.LogRecord) -> None:
        failure = record.exc_info[1] if record.exc_info else None
        facts = describe(failure) if failure else {}
        said, _, _ = record.getMessage().strip().partition("\n")
        self._log.log(record.levelno, said, logger=record.name, **facts)


def open_log(
    level: str, lost: Callable[[int], None]
) -> tuple[FilteringBoundLogger, Callable[[], None]]:
    """Start logging; return the log and how to close it."""

    def write(lines: list[bytes]) -> None:
        try:
            for piece in _pieces(lines):
                sys.stderr.write(piece.decode())
                sys.stderr.flush()
        except (OSError, ValueError):  # nobody reads any more
            lost(len(lines))

    writer = BackgroundWriter[bytes](
        write, lost, most=MOST_LINES, seconds=FLUSH_SECONDS
    )
    atexit.register(writer.close)  # what a process says last says why it ends
    log: FilteringBoundLogger = structlog.wrap_logger(
        _Lines(writer.put),
        processors=[_stamp, _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    ).bind()
    for foreign in map(logging.getLogger, FOREIGN):
        foreign.handlers = [_Forward(log)]
        foreign.propagate = False
        foreign.setLevel(level.upper())
    return log, writer.close


def describe(error: BaseException) -> dict[str, Any]:
    """Say what an error is and where it came from, without its message.

    The message may hold what a caller sent.
    """
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "places": places[-8:]}


def _pieces(lines: list[bytes]) -> Iterator[bytes]:
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > MOST_AT_ONCE:
            yield piece
            piece = b""
        piece += line
    yield piece


def _stamp(_logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
    return {
        "time": event.pop("time", None) or datetime.now(UTC),
        "level": level,
        **event,
    }


def _render(_logger: WrappedLogger, _level: str, event: EventDict) -> bytes:
    return EVENT.to_json(event, ensure_ascii=True) + b"\n"
