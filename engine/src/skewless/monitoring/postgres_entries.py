"""The table of predictions → its entries as of one moment, in bounded parts.

Old entries are deleted here, too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime
from itertools import chain
from operator import eq, ge, lt
from typing import Any, Final, NamedTuple

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

from skewless.core.errors import LogStoreError
from skewless.monitoring.place import Database
from skewless.monitoring.postgres import bounded, engine
from skewless.monitoring.postgres_log import OUTCOMES, PREDICTIONS

ROWS: Final = 20_000  # in a part
# A part may take so long, and pruning 60 times that; then the line is cut.
READ_SECONDS = 60.0
HELD: Final = text(
    "SELECT prediction_id FROM predictions WHERE prediction_id = ANY(:ids)"
)


class Window(NamedTuple):
    """What to read; None is without an end, any version, any prediction."""

    since: datetime | None = None
    until: datetime | None = None
    version: str | None = None
    prediction: str | None = None

    @property
    def limits(self) -> list[tuple[Callable[[Any, Any], Any], str, Any]]:
        """Say it as comparisons with fields of an answer, or its time."""
        names = ("time", "time", "model_version", "prediction_id")
        return [
            limit
            for limit in zip((ge, lt, eq, eq), names, self, strict=True)
            if limit[2] is not None
        ]

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """Say it to the database."""
        return [
            compare(PREDICTIONS.c[name], value) for compare, name, value in self.limits
        ]


class Entries:
    """The table as it was when it was first asked.

    Whoever writes meanwhile changes nothing here.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def days(self, window: Window) -> Iterator[date]:
        """Name the days (UTC) on which there are entries, newest first.

        Each costs one look into an index.
        """
        while True:
            newest = select(func.max(PREDICTIONS.c.time)).where(*window.conditions)
            with bounded(self._connection, READ_SECONDS):
                found = self._connection.scalar(newest)
            if found is None:
                return
            day = found.astimezone(UTC)
            yield day.date()
            window = window._replace(
                until=day.replace(hour=0, minute=0, second=0, microsecond=0)
            )

    def parts(self, window: Window) -> Iterator[bytes]:
        """Give lines of JSON in parts, so that memory does not grow with the table."""
        lines = select(cast(PREDICTIONS.c.entry, Text)).where(*window.conditions)
        for texts in _parts(self._connection, lines):
            yield "\n".join(texts).encode()

    def held(self, ids: list[str]) -> set[str]:
        """Tell which of these predictions are here."""
        with bounded(self._connection, READ_SECONDS):
            return set(self._connection.scalars(HELD, {"ids": ids}))


@contextmanager
def open_entries(database: Database) -> Iterator[Entries | None]:
    """Give the entries; None if nothing was ever logged there.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked, or stops answering.
    """
    with _asking(database, isolation="REPEATABLE READ") as connection:
        yield Entries(connection) if _has(connection, PREDICTIONS) else None


def recorded_outcomes(database: Database, before: datetime) -> Iterator[str]:
    """Give the outcomes that were recorded before a moment, as JSON.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked.
    """
    with _asking(database, isolation="READ COMMITTED") as connection:
        if _has(connection, OUTCOMES):
            lines = select(cast(OUTCOMES.c.entry, Text)).where(
                OUTCOMES.c.recorded_at < before
            )
            yield from chain.from_iterable(_parts(connection, lines))


def delete_entries(
    database: Database, before: datetime, *, outcomes: bool, dry_run: bool
) -> int:
    """Delete what was predicted before a moment; return the number of rows.

    If asked, what was recorded before that moment goes as well, and counts.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked.
    """
    old = {PREDICTIONS: PREDICTIONS.c.time < before}
    old |= {OUTCOMES: OUTCOMES.c.recorded_at < before} if outcomes else {}
    with (
        _asking(database, "READ COMMITTED") as asked,
        bounded(asked, 60 * READ_SECONDS),
        asked.begin(),
    ):
        if not _has(asked, PREDICTIONS):
            return 0
        if dry_run:
            counted = (
                select(func.count()).select_from(table).where(rows)
                for table, rows in old.items()
            )
            return sum(asked.scalars(counts).one() for counts in counted)
        return sum(
            asked.execute(delete(table).where(rows)).rowcount
            for table, rows in old.items()
        )


def _has(connection: Connection, table: Table) -> bool:
    with bounded(connection, READ_SECONDS):
        return inspect(connection).has_table(table.name)


def _parts(connection: Connection, lines: Select[str]) -> Iterator[Sequence[str]]:
    with bounded(connection, READ_SECONDS):
        found = connection.scalars(lines, execution_options={"yield_per": ROWS})
    with closing(found):
        parts = found.partitions()
        while part := _next(connection, parts):
            try:
                yield part
            except GeneratorExit:
                # Without a farewell, for which nobody may be there.
                connection.invalidate()
                raise


def _next(
    connection: Connection, parts: Iterator[Sequence[str]]
) -> Sequence[str] | None:
    with bounded(connection, READ_SECONDS):
        return next(parts, None)


@contextmanager
def _asking(database: Database, isolation: str) -> Iterator[Connection]:
    asked = engine(database).execution_options(isolation_level=isolation)
    try:
        with asked.connect() as connection, ExitStack() as leaving:
            # Without a farewell, for which nobody may be there.
            leaving.callback(connection.invalidate)
            yield connection
    except DBAPIError as error:
        did = "does not answer" if isinstance(error, OperationalError) else "refuses"
        why = " ".join(str(error.orig).split())
        why = type(error.orig).__name__ if database.url.shows_secret(why) else why
        msg = (
            f"{database.variable}: the database {did} ({why}); "
            "its user needs SELECT, to prune DELETE"
        )
        raise LogStoreError(msg) from None
    finally:
        asked.dispose()
