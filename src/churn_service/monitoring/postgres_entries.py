"""The table of predictions → its entries as of one moment, in bounded parts; and out with the old ones."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import chain
from operator import eq, ge, lt
from typing import Any, Final, NamedTuple

from pydantic import SecretStr
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    cast,
    delete,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, OperationalError

from churn_service.errors import LogStoreError
from churn_service.monitoring.postgres_log import OUTCOMES, PREDICTIONS, bounded, engine

ROWS: Final = 20_000  # in a part
READ_SECONDS = 60.0  # that a part may take; then the line to the database is cut
DELETE_SECONDS = 60.0 * 60  # that all that is pruned may take
HELD: Final = text("SELECT prediction_id FROM predictions WHERE prediction_id = ANY(:ids)")


class Window(NamedTuple):
    """What to read; None is without an end, any version, any prediction."""

    since: datetime | None = None
    until: datetime | None = None
    version: str | None = None
    prediction: str | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """Say it to the database."""
        columns = PREDICTIONS.c
        known = (
            (ge, columns.time, self.since),
            (lt, columns.time, self.until),
            (eq, columns.model_version, self.version),
            (eq, columns.prediction_id, self.prediction),
        )
        return [compare(column, value) for compare, column, value in known if value is not None]


class Entries:
    """The table as it was when it was first asked: whoever writes meanwhile changes nothing here."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def days(self, window: Window) -> Iterator[date]:
        """Name the days (UTC) on which there are entries, newest first; each costs one look into an index."""
        while True:
            newest = select(func.max(PREDICTIONS.c.time)).where(*window.conditions)
            with bounded(self._connection, READ_SECONDS):
                found = self._connection.scalar(newest)
            if found is None:
                return
            day = found.astimezone(UTC)
            yield day.date()
            window = window._replace(until=day.replace(hour=0, minute=0, second=0, microsecond=0))

    def parts(self, window: Window) -> Iterator[bytes]:
        """Return lines of JSON, so many at a time that memory does not grow with the table."""
        lines = select(cast(PREDICTIONS.c.entry, Text)).where(*window.conditions)
        for texts in _parts(self._connection, lines):
            yield "\n".join(texts).encode()

    def held(self, ids: list[str]) -> set[str]:
        """Tell which of these predictions are here."""
        with bounded(self._connection, READ_SECONDS):
            return set(self._connection.scalars(HELD, {"ids": ids}))


@contextmanager
def open_entries(url: SecretStr) -> Iterator[Entries | None]:
    """Give the entries; None if nothing was ever logged there.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked, or stops answering.
    """
    with _asking(url, isolation="REPEATABLE READ") as connection:
        yield Entries(connection) if _has(connection, PREDICTIONS) else None


def recorded_outcomes(url: SecretStr, before: datetime) -> Iterator[str]:
    """Give the outcomes that were recorded before a moment, as JSON.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked.
    """
    with _asking(url, isolation="READ COMMITTED") as connection:
        if _has(connection, OUTCOMES):
            lines = select(cast(OUTCOMES.c.entry, Text)).where(OUTCOMES.c.recorded_at < before)
            yield from chain.from_iterable(_parts(connection, lines))


def delete_entries(url: SecretStr, before: datetime, *, outcomes: bool, dry_run: bool) -> int:
    """Delete what was predicted, and if asked recorded, before a moment; return how many rows that is.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked.
    """
    old = {PREDICTIONS: PREDICTIONS.c.time < before} | (
        {OUTCOMES: OUTCOMES.c.recorded_at < before} if outcomes else {}
    )
    with (
        _asking(url, isolation="READ COMMITTED") as connection,
        bounded(connection, DELETE_SECONDS),
        connection.begin(),
    ):
        if not inspect(connection).has_table(PREDICTIONS.name):
            return 0
        if dry_run:
            counts = [
                select(func.count()).select_from(table).where(condition) for table, condition in old.items()
            ]
            return sum(connection.scalar(count) or 0 for count in counts)
        deletions = [delete(table).where(rows) for table, rows in old.items()]
        return sum(connection.execute(deletion).rowcount for deletion in deletions)


def _has(connection: Connection, table: Table) -> bool:
    with bounded(connection, READ_SECONDS):
        return inspect(connection).has_table(table.name)


def _parts(connection: Connection, lines: Select[tuple[str]]) -> Iterator[Sequence[str]]:
    with bounded(connection, READ_SECONDS):
        parts = connection.execution_options(yield_per=ROWS).scalars(lines).partitions()
    while True:
        with bounded(connection, READ_SECONDS):
            part = next(parts, None)
        if part is None:
            return
        yield part


@contextmanager
def _asking(url: SecretStr, isolation: str) -> Iterator[Connection]:
    asked = engine(url).execution_options(isolation_level=isolation)
    try:
        with asked.connect() as connection:
            try:
                yield connection
            finally:
                connection.invalidate()  # without a farewell, for which nobody may be there
    except OperationalError as error:
        msg = f"CHURN_LOG_URL: the database does not answer ({error.orig}); start it, or try again"
        raise LogStoreError(msg) from None
    except DBAPIError as error:
        msg = f"CHURN_LOG_URL: the database refuses ({error.orig}); reading needs SELECT, pruning DELETE as well"
        raise LogStoreError(msg) from None
    finally:
        asked.dispose()
