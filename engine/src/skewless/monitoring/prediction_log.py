"""Answers → JSON lines, with what privacy lets a line hold."""

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from math import floor, log10
from typing import Any, Final, Protocol

from pydantic import BaseModel, TypeAdapter

from skewless.core.answer import Answer, Answered, Answers
from skewless.core.errors import ConfigError
from skewless.core.record_columns import RecordColumns
from skewless.core.sections import Privacy
from skewless.core.settings import Settings

HASH_DIGITS = 32
SMALLEST_EXPONENT = -307  # of ten; a smaller power has lost digits, or is 0
FACTS: Final = TypeAdapter(dict[str, Any]).serializer
ANSWER: Final = TypeAdapter(Answer).serializer

MOST_ROWS: Final = 1_000  # in a line: what a reader has to hold at once
MOST_LINE_BYTES: Final = 8 * 1024 * 1024  # of a batch; a reader takes twice as many

Hide = Callable[[Any], Any]


class Noted(Protocol):
    """What the log has to know of a request."""

    @property
    def time(self) -> float:
        """Seconds since 1970."""

    @property
    def request_id(self) -> str:
        """Its id."""

    @property
    def route(self) -> str:
        """Where it was asked."""


class Lines(Protocol):
    """Where lines go: files, or a database."""

    def put(self, time: datetime, lines: bytes, count: int) -> None:
        """Take whole lines, at once; `count` is the number of rows in them."""

    def close(self) -> None:
        """Write what waits."""


class PredictionLog:
    """The log of one process.

    Parameters
    ----------
    log
        Where lines go.
    privacy
        Column → how a line holds it.
    settings
        Hold the key of the columns to hash.
    in_columns
        Whether the rows of a batch may share a line, in columns.

    Raises
    ------
    ConfigError
        A column is to be hashed and there is no key.
    """

    def __init__(
        self,
        log: Lines,
        privacy: Mapping[str, Privacy],
        settings: Settings,
        *,
        in_columns: bool = True,
    ) -> None:
        self._hide = hiding(privacy, settings)
        self._privacy = {name: way for name, way in privacy.items() if way != "keep"}
        self._log = log
        self._in_columns = in_columns

    def observe(self, note: Noted, answer: Answered) -> None:
        """Log the predictions of one request."""
        day = datetime.fromtimestamp(note.time, UTC)
        shared: dict[str, Any] = {
            "time": day,
            "request_id": note.request_id,
            "source": note.route,
            "threshold": answer.source.decision.threshold,
            "latency_ms": answer.latency_ms,
        }
        if self._privacy:
            shared["privacy"] = self._privacy
        # What is the same for all lines is written once.
        head = FACTS.to_json(shared)[:-1]
        if len(answer.answers) == 1 or not self._in_columns:
            lines = self._lines(head, answer)
        else:
            lines = self._lines_of_columns(head, answer)
        self._log.put(day, b"".join(lines), len(answer.answers))

    def close(self) -> None:
        """Write what waits."""
        self._log.close()

    def _lines(self, head: bytes, answer: Answered) -> Iterator[bytes]:
        """Write a line for each row."""
        for record, given in zip(answer.records, answer.answers, strict=True):
            yield b'%s,"record":%s,"answer":%s}\n' % (
                head,
                self._record(record),
                ANSWER.to_json(given),
            )

    def _lines_of_columns(self, head: bytes, answer: Answered) -> Iterator[bytes]:
        """Write lines of many rows, whose fields are lists."""
        for start in range(0, len(answer.answers), MOST_ROWS):
            rows = slice(start, start + MOST_ROWS)
            part = answer._replace(
                records=answer.records[rows], answers=answer.answers[rows]
            )
            yield from self._short_lines(head, part)

    def _short_lines(self, head: bytes, answer: Answered) -> Iterator[bytes]:
        """Write one line, or two of half the rows each if that is too long."""
        line = self._line_of_columns(head, answer)
        half = len(answer.answers) // 2
        if len(line) <= MOST_LINE_BYTES or not half:
            yield line
            return
        for rows in (slice(half), slice(half, None)):
            part = answer._replace(
                records=answer.records[rows], answers=answer.answers[rows]
            )
            yield from self._short_lines(head, part)

    def _line_of_columns(self, head: bytes, answer: Answered) -> bytes:
        answers = Answers.of(answer.answers, answer.source)
        said = {
            "model_version": answer.source.version,
            "trained_at": answer.source.trained_at,
            "probability": answers.probability,
            "decision": answers.decision,
            "tier": answers.tier,
            "prediction_id": answers.prediction_id,
        }
        return b'%s,"records":%s,"answers":%s}\n' % (
            head,
            FACTS.to_json(self._columns(answer.records)),
            FACTS.to_json(said),
        )

    def _columns(self, records: Sequence[BaseModel]) -> dict[str, list[Any]]:
        columns = {}
        for name, cells in RecordColumns.of(records).lists.items():
            hide = self._hide.get(name, keep)
            if hide is not None:
                columns[name] = cells if hide is keep else list(map(hide, cells))
        return columns

    def _record(self, record: BaseModel) -> bytes:
        if not self._hide:
            return record.__pydantic_serializer__.to_json(record)
        values = {
            name: value
            for name, value in record.__dict__.items()
            if name not in self._hide
        }
        hidden = {
            name: hide(getattr(record, name))
            for name, hide in self._hide.items()
            if hide is not None
        }
        return FACTS.to_json(values | hidden)


def hiding(
    privacy: Mapping[str, Privacy], settings: Settings
) -> dict[str, Hide | None]:
    """Return what to do with the columns that are not kept as they are; None drops one.

    Raises
    ------
    ConfigError
        A column is to be hashed and there is no key.
    """
    if "hash" in privacy.values() and settings.hash_key is None:
        variable = settings.variable("hash_key")
        msg = (
            f"monitoring.privacy hashes a column: set {variable} to a secret, "
            "or drop the column"
        )
        raise ConfigError(msg)
    key = settings.hash_key.get_secret_value().encode() if settings.hash_key else b""

    def keyed(value: Any) -> Any:
        return (
            None
            if value is None
            else hmac.digest(key, str(value).encode(), "sha256").hex()[:HASH_DIGITS]
        )

    ways: Final = {"drop": None, "hash": keyed, "bucket": bucket}
    return {name: ways[way] for name, way in privacy.items() if way != "keep"}


def keep(value: Any) -> Any:
    """Keep a value as it is."""
    return value


def bucket(value: Any) -> Any:
    """Keep the first digit of a number, and the year of a date.

    >>> bucket(247.5), bucket(48), bucket(-0.032), bucket(0), bucket(None)
    (200.0, 40, -0.04, 0, None)
    >>> bucket(date(2026, 5, 17)).isoformat()
    '2026-01-01'
    """
    if not value:
        return value
    if isinstance(value, date):
        return value.replace(month=1, day=1)
    exponent = max(floor(log10(abs(value))), SMALLEST_EXPONENT)
    # Rounded, as 0.3 / 0.1 is a little less than 3.
    digit = floor(round(value / 10.0**exponent, ndigits=9))
    return type(value)(float(f"{digit}e{exponent}"))
