"""Outcomes → a table of PostgreSQL, or files while the database is away.

They are there when the call returns.
"""

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert

from skewless.monitoring.outcomes import Lines, OutcomeFiles
from skewless.monitoring.place import Database
from skewless.monitoring.postgres import bounded, engine, refused_rows
from skewless.monitoring.postgres_log import OUTCOMES, make_tables

LOG: Final = logging.getLogger(__name__)


class PostgresOutcomes:
    """The table `outcomes`, as one process writes it.

    `aside` takes what the database does not.

    Raises
    ------
    ConfigError
        The URL is malformed.
    """

    def __init__(self, database: Database, aside: OutcomeFiles) -> None:
        self._engine, self._aside = engine(database), aside

    def append(self, lines: Lines) -> datetime:
        """Put lines into the table and return their moment.

        What the table does not take goes into a file, as of then.

        Raises
        ------
        OSError
            Neither takes them.
        """
        try:
            with self._engine.connect() as connection:
                make_tables(connection)
                with bounded(connection), connection.begin():
                    moment, data = lines()
                    self._insert(connection, moment, data.splitlines(keepends=True))
            return moment  # noqa: TRY300 - it is there when the block has ended
        except Exception:  # noqa: BLE001 - whatever it was, a file can take these lines
            return self._aside.append(lines)
        finally:
            self._engine.dispose()  # outcomes come seldom

    def _insert(
        self, connection: Connection, moment: datetime, lines: list[bytes]
    ) -> None:
        """Insert what the table takes; before any commit, write the rest to a file."""

        def insert_some(some: Sequence[bytes]) -> None:
            rows = [{"recorded_at": moment, "entry": json.loads(line)} for line in some]
            with connection.begin_nested():
                connection.execute(insert(OUTCOMES), rows)

        refused = refused_rows(lines, insert_some)
        if refused:
            LOG.warning(
                "PostgreSQL refuses %d outcomes (%s); a file takes those",
                len(refused),
                refused[0][1],
            )
            self._aside.append(lambda: (moment, b"".join(line for line, _ in refused)))
