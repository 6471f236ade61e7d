"""Lines → a table of PostgreSQL, or files while the database is away.

Nobody waits for either.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Identity,
    Index,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from skewless.core.background import BackgroundWriter
from skewless.monitoring.line_log import MOST_WAITING, WARN_SECONDS, LineLog, Report
from skewless.monitoring.place import Database
from skewless.monitoring.postgres import (
    PATIENCE_SECONDS,
    bounded,
    engine,
    refused_rows,
    row_fault,
)

PAUSE_SECONDS = 5.0  # before a database that failed is asked again
AWAY: Final = "PostgreSQL does not take predictions; files do"
REFUSED: Final = "PostgreSQL refuses some predictions; files take those"
METADATA: Final = MetaData()
PREDICTIONS: Final = Table(
    "predictions",
    METADATA,
    Column("prediction_id", Text, primary_key=True),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("model_version", Text, nullable=False),
    Column("record", Text),
    Column("entry", JSONB, nullable=False),
    Index("predictions_time", "time"),
    Index("predictions_version_time", "model_version", "time"),
    Index("predictions_record", "record"),
)
OUTCOMES: Final = Table(
    "outcomes",
    METADATA,
    Column("number", BigInteger, Identity(), primary_key=True),
    Column("recorded_at", DateTime(timezone=True), nullable=False, index=True),
    Column("entry", JSONB, nullable=False),
)
MAKE_ALONE: Final = text(
    "SELECT pg_advisory_xact_lock(hashtext('skewless: make tables'))"
)
# In milliseconds.
GIVE_UP: Final = text(f"SET statement_timeout = {PATIENCE_SECONDS * 1000}")
INSERT: Final = text("""
    INSERT INTO predictions (prediction_id, time, model_version, record, entry)
    SELECT line #>> '{answer,prediction_id}', CAST(line ->> 'time' AS timestamptz),
           line #>> '{answer,model_version}', line -> 'record' ->> :id, line
    FROM jsonb_array_elements(CAST(:lines AS jsonb)) AS line
    ON CONFLICT (prediction_id) DO NOTHING
""")

Part = tuple[datetime, bytes, int]
"""When, whole lines, how many."""


class PostgresLog:
    """The table `predictions`, as one process writes it.

    Parameters
    ----------
    database
        Where the table is.
    aside
        The files that take what the database does not.
    id_name
        The contract's id.
    seconds
        A line may wait in memory so long.
    report
        Told how many lines went to the files; and a function that warns.

    Raises
    ------
    ConfigError
        The URL is malformed. Whether anything is there shows later, and is no error.
    """

    def __init__(
        self,
        database: Database,
        aside: LineLog,
        *,
        id_name: str,
        seconds: float,
        report: Report,
    ) -> None:
        self._engine, self._aside = engine(database), aside
        self._id = id_name
        self._count, self._warn = report
        self._connection: Connection | None = None
        self._warned: dict[str, float] = {}
        self._paused_until = 0.0
        lost = partial(aside.report_lost, reason="too slow a database")
        self._writer = BackgroundWriter[Part](
            self._write, lost, most=MOST_WAITING, seconds=seconds
        )

    def put(self, time: datetime, lines: bytes, count: int) -> None:
        """Hand whole lines over, of which so many are lost if too much waits."""
        self._writer.put((time, lines, count), weight=count)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()
        self._hang_up()
        self._aside.close()

    def _write(self, parts: list[Part]) -> None:
        left = self._insert(parts)
        for part in left:
            self._aside.put(*part)
        if left:
            self._count(sum(count for _, _, count in left))

    def _insert(self, parts: list[Part]) -> list[Part]:
        """Insert what the database takes, and return the rest."""
        if time.monotonic() < self._paused_until:
            return parts
        try:
            refused = insert_parts(self._connection or self._connect(), parts, self._id)
        except Exception as error:  # noqa: BLE001 - a file can take these lines
            self._failed(error)
            return parts
        if refused:
            reasons = ", ".join(sorted({reason for _, reason in refused}))
            self._warn_now_and_then(REFUSED, rows=len(refused), reason=reasons)
        return [part for part, _ in refused]

    def _connect(self) -> Connection:
        self._connection = self._engine.connect()
        make_tables(self._connection)
        return self._connection

    def _failed(self, error: Exception) -> None:
        """Warn, and leave the database alone for a while."""
        self._warn_now_and_then(AWAY, error=type(error).__name__)
        self._paused_until = time.monotonic() + PAUSE_SECONDS
        self._hang_up()

    def _warn_now_and_then(self, event: str, **facts: Any) -> None:
        now = time.monotonic()
        if now - self._warned.get(event, -WARN_SECONDS) >= WARN_SECONDS:
            self._warned[event] = now
            self._warn(event, **facts)

    def _hang_up(self) -> None:
        if self._connection is not None:
            # Without a farewell, for which nobody may be there.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def insert_parts(
    connection: Connection, parts: Sequence[Part], id_name: str
) -> list[tuple[Part, str]]:
    """Insert all lines except those that the database refuses.

    Return the refused ones, a line each, with reasons. `id_name` is the contract's id,
    by which the table can be searched.

    Raises
    ------
    DBAPIError
        The database is away, or would take no line.
    """

    def insert(some: Sequence[Part]) -> None:
        insert_lines(connection, b"".join(lines for _, lines, _ in some), id_name)

    try:
        insert(parts)
    except DBAPIError as error:
        if row_fault(error) is None:
            raise
        return refused_rows(list(_single_lines(parts)), insert)
    return []


def _single_lines(parts: Sequence[Part]) -> Iterator[Part]:
    for moment, lines, _ in parts:
        for line in lines.splitlines(keepends=True):
            yield moment, line, 1


def insert_lines(connection: Connection, lines: bytes, id_name: str) -> None:
    """Insert whole lines in one transaction, except predictions already there."""
    array = "[" + lines.decode()[:-1].replace("\n", ",") + "]"
    with bounded(connection), connection.begin():
        connection.execute(INSERT, {"lines": array, "id": id_name})


def make_tables(connection: Connection) -> None:
    """Make the tables, if nobody did before.

    From now on no statement of this connection takes long.
    """
    with bounded(connection), connection.begin():
        connection.execute(GIVE_UP)
        connection.execute(MAKE_ALONE)
        METADATA.create_all(connection)
