"""Lines → a table of PostgreSQL; while the database is away, files take them, and nobody waits for either."""

import time
from datetime import datetime
from functools import partial
from typing import Final

from pydantic import SecretStr
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
from sqlalchemy.exc import DataError

from churn_service.background import BackgroundWriter
from churn_service.monitoring.line_log import MOST_WAITING, WARN_SECONDS, LineLog, Report
from churn_service.monitoring.postgres import PATIENCE_SECONDS, bounded, engine
from churn_service.schema import ID

PAUSE_SECONDS = 5.0  # before a database that failed is asked again
METADATA: Final = MetaData()
PREDICTIONS: Final = Table(
    "predictions",
    METADATA,
    Column("prediction_id", Text, primary_key=True),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("model_version", Text, nullable=False),
    Column("customer", Text),
    Column("entry", JSONB, nullable=False),
    Index("predictions_time", "time"),
    Index("predictions_version_time", "model_version", "time"),
    Index("predictions_customer", "customer"),
)
OUTCOMES: Final = Table(
    "outcomes",
    METADATA,
    Column("number", BigInteger, Identity(), primary_key=True),
    Column("recorded_at", DateTime(timezone=True), nullable=False, index=True),
    Column("entry", JSONB, nullable=False),
)
MAKE_ALONE: Final = text("SELECT pg_advisory_xact_lock(hashtext('churn-service: make tables'))")
GIVE_UP: Final = text(f"SET statement_timeout = {PATIENCE_SECONDS * 1000}")  # milliseconds
INSERT: Final = text("""
    INSERT INTO predictions (prediction_id, time, model_version, customer, entry)
    SELECT line #>> '{answer,prediction_id}', CAST(line ->> 'time' AS timestamptz),
           line #>> '{answer,model_version}', line -> 'customer' ->> :id, line
    FROM jsonb_array_elements(CAST(:lines AS jsonb)) AS line
    ON CONFLICT (prediction_id) DO NOTHING
""")

Part = tuple[datetime, bytes, int]
"""When, whole lines, how many."""


class PostgresLog:
    """The table `predictions`, as one process writes it.

    Parameters
    ----------
    url
        Where the database is.
    aside
        The files that take what the database does not.
    seconds
        A line may wait in memory so long.
    report
        Told how many lines went to the files; and a function that warns.

    Raises
    ------
    ConfigError
        The URL is malformed. Whether anything is there shows later, and is no error.
    """

    def __init__(self, url: SecretStr, aside: LineLog, *, seconds: float, report: Report) -> None:
        self._engine, self._aside = engine(url), aside
        self._count, self._warn = report
        self._connection: Connection | None = None
        self._warned, self._paused_until = -WARN_SECONDS, 0.0
        lost = partial(aside.report_lost, reason="too slow a database")
        self._writer = BackgroundWriter[Part](self._write, lost, most=MOST_WAITING, seconds=seconds)

    def put(self, time: datetime, lines: bytes, count: int) -> None:
        """Hand whole lines over, of which so many are lost if too much waits."""
        self._writer.put((time, lines, count), weight=count)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()
        self._hang_up()
        self._aside.close()

    def _write(self, parts: list[Part]) -> None:
        if time.monotonic() >= self._paused_until:
            try:
                self._insert(b"".join(lines for _, lines, _ in parts))
            except Exception as error:  # noqa: BLE001 - whatever it was, a file can take these lines
                self._failed(error)
            else:
                return
        for part in parts:
            self._aside.put(*part)
        self._count(sum(count for _, _, count in parts))

    def _insert(self, lines: bytes) -> None:
        insert_lines(self._connection or self._connect(), lines)

    def _connect(self) -> Connection:
        self._connection = self._engine.connect()
        make_tables(self._connection)
        return self._connection

    def _failed(self, error: Exception) -> None:
        """Warn now and then, and leave a database alone for a while, unless it minded these lines only."""
        now = time.monotonic()
        if now - self._warned >= WARN_SECONDS:
            self._warned = now
            self._warn("PostgreSQL does not take predictions; files do", error=type(error).__name__)
        if not isinstance(error, DataError):
            self._paused_until = now + PAUSE_SECONDS
            self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # without a farewell, for which nobody may be there
            self._connection.close()
            self._connection = None


def insert_lines(connection: Connection, lines: bytes) -> None:
    """Insert whole lines, in one transaction; those whose prediction is there already are left out."""
    array = "[" + lines.decode()[:-1].replace("\n", ",") + "]"
    with bounded(connection), connection.begin():
        connection.execute(INSERT, {"lines": array, "id": ID})


def make_tables(connection: Connection) -> None:
    """Make the tables, if nobody did before; from now on no statement of this connection takes long."""
    with bounded(connection), connection.begin():
        connection.execute(GIVE_UP)
        connection.execute(MAKE_ALONE)
        METADATA.create_all(connection)
