"""Answers → JSON lines, with what privacy lets a line hold."""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from math import floor, log10
from typing import Any, Final, Protocol

from pydantic import BaseModel, TypeAdapter

from skewless.core.answer import Answer, Answered
from skewless.core.errors import ConfigError
from skewless.core.sections import Privacy
from skewless.core.settings import Settings

HASH_DIGITS = 32
SMALLEST_EXPONENT = -307  # of ten; a smaller power has lost digits, or is 0
FACTS: Final = TypeAdapter(dict[str, Any]).serializer
ANSWER: Final = TypeAdapter(Answer).serializer

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
        """Take whole lines, at once."""

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

    Raises
    ------
    ConfigError
        A column is to be hashed and there is no key.
    """

    def __init__(
        self, log: Lines, privacy: Mapping[str, Privacy], settings: Settings
    ) -> None:
        self._hide = hiding(privacy, settings)
        self._log = log

    def observe(self, note: Noted, answer: Answered) -> None:
        """Log the predictions of one request, a line each."""
        day = datetime.fromtimestamp(note.time, UTC)
        lines = self._lines(note, day, answer)
        self._log.put(day, b"".join(lines), len(lines))

    def close(self) -> None:
        """Write what waits."""
        self._log.close()

    def _lines(self, note: Noted, time: datetime, answer: Answered) -> list[bytes]:
        """Write what all rows share once, and put each row's own JSON behind it."""
        shared = {
            "time": time,
            "request_id": note.request_id,
            "source": note.route,
            "threshold": answer.source.decision.threshold,
            "latency_ms": answer.latency_ms,
        }
        head = FACTS.to_json(shared)[:-1]
        return [
            b'%s,"record":%s,"answer":%s}\n'
            % (head, self._record(record), ANSWER.to_json(given))
            for record, given in zip(answer.records, answer.answers, strict=True)
        ]

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
