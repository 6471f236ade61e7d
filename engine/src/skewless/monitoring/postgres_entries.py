"""The tables of a database → files of lines, as of one moment.

Old entries are deleted here, too.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    all_,
    any_,
    cast,
    delete,
    func,
    inspect,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
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
    return sum(_delete(database, old, dry_run=dry_run))


def forget_entries(
    database: Database,
    whom: tuple[str, Collection[str]],
    *,
    ids: Collection[str],
    held: Collection[str],
    dry_run: bool,
) -> tuple[int, int]:
    """Delete a record's predictions and outcomes, all or none; return their numbers.

    Parameters
    ----------
    database
        Where they are.
    whom
        Name of the id, and what it is.
    ids
        Of the record's predictions, wherever they are kept.
    held
        Of the predictions that stay.
    dry_run
        Only count.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked.
    """
    said = OUTCOMES.c.entry
    is_of_record = _text(said["record"]) == any_(_array(_storable(whom[1])))
    is_of_prediction = _text(said["prediction_id"]) == any_(_array(ids))
    gone = {
        PREDICTIONS: _is_of(*whom)
        & (PREDICTIONS.c.prediction_id != all_(_array(held))),
        OUTCOMES: is_of_record | (_text(said["record"]).is_(None) & is_of_prediction),
    }
    predictions, outcomes = _delete(database, gone, dry_run=dry_run)
    return predictions, outcomes


def _delete(
    database: Database, gone: Mapping[Table, ColumnElement[bool]], *, dry_run: bool
) -> list[int]:
    """Delete rows of tables, all or none; return how many of each they are."""
    with (
        _asking(database, "READ COMMITTED") as asked,
        bounded(asked, 60 * READ_SECONDS),
        asked.begin(),
    ):
        if not _has(asked, PREDICTIONS):
            return [0] * len(gone)
        if dry_run:
            return [_count(asked, table, rows) for table, rows in gone.items()]
        return [
            asked.execute(delete(table).where(rows)).rowcount
            for table, rows in gone.items()
        ]


def _is_of(id_name: str, names: Collection[str]) -> ColumnElement[bool]:
    wanted = _array(_storable(names))
    # The column is that of the id's name when the row was written.
    cell = _text(PREDICTIONS.c.entry["record"][id_name])
    return (PREDICTIONS.c.record == any_(wanted)) | (cell == any_(wanted))


def _storable(names: Collection[str]) -> list[str]:
    """Leave out what PostgreSQL cannot hold as text."""
    return [name for name in names if "\0" not in name]


def _array(values: Collection[str]) -> ColumnElement[Any]:
    return literal(list(values), ARRAY(Text))


def _text(cell: Any) -> ColumnElement[str]:
    text: ColumnElement[str] = cell.astext
    return text


def _count(connection: Connection, table: Table, rows: ColumnElement[bool]) -> int:
    return connection.scalars(select(func.count()).select_from(table).where(rows)).one()


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
            "its user needs SELECT, to prune or to forget DELETE"
        )
        raise LogStoreError(msg) from None
    finally:
        asked.dispose()
