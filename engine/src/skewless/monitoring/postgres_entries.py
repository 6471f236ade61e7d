"""The tables of a database → files of lines, as of one moment.

Old entries are deleted here, too.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

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
)
from sqlalchemy.exc import DBAPIError, OperationalError

from skewless.core.errors import LogStoreError
from skewless.monitoring.place import Database, Stored, Window
from skewless.monitoring.postgres import bounded, engine
from skewless.monitoring.postgres_log import OUTCOMES, PREDICTIONS

ROWS: Final = 20_000  # in a part
# A part may take so long, and pruning 60 times that; then the line is cut.
READ_SECONDS = 60.0


def copy_entries(database: Database, window: Window, folder: Path) -> Stored:
    """Copy the tables to files of lines, as they were at one moment.

    Memory does not grow with the tables.

    Parameters
    ----------
    database
        Where they are; what was never written to is empty.
    window
        Which predictions.
    folder
        Where the files go.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked, or stops answering.
    """
    tables = {
        PREDICTIONS: select(cast(PREDICTIONS.c.entry, Text)).where(*_limits(window)),
        OUTCOMES: select(cast(OUTCOMES.c.entry, Text)),
    }
    with _asking(database, isolation="REPEATABLE READ") as connection:
        for table, lines in tables.items():
            with (folder / f"{table.name}.jsonl").open("w") as file:
                for texts in (
                    _parts(connection, lines) if _has(connection, table) else ()
                ):
                    file.writelines(f"{text}\n" for text in texts)
    return Stored(*(str(folder / f"{table.name}.jsonl") for table in tables))


def _limits(window: Window) -> list[ColumnElement[bool]]:
    columns = PREDICTIONS.c
    limits = []
    if window.since is not None:
        limits.append(columns.time >= window.since)
    if window.until is not None:
        limits.append(columns.time < window.until)
    if window.version is not None:
        limits.append(columns.model_version == window.version)
    return limits


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
