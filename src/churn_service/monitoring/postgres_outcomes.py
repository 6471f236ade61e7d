"""Outcomes → a table of PostgreSQL, there when the call returns; files take them while it is away."""

import json
from datetime import datetime

from pydantic import SecretStr
from sqlalchemy import insert

from churn_service.monitoring.outcomes import Lines, OutcomeFiles
from churn_service.monitoring.postgres import bounded, engine
from churn_service.monitoring.postgres_log import OUTCOMES, make_tables


class PostgresOutcomes:
    """The table `outcomes`, as one process writes it; `aside` takes what the database does not.

    Raises
    ------
    ConfigError
        The URL is malformed.
    """

    def __init__(self, url: SecretStr, aside: OutcomeFiles) -> None:
        self._engine, self._aside = engine(url), aside

    def append(self, lines: Lines) -> datetime:
        """Put lines into the table, or all of them into a file, as of then; return their moment.

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
                    said = map(json.loads, data.splitlines())
                    rows = [{"recorded_at": moment, "entry": each} for each in said]
                    connection.execute(insert(OUTCOMES), rows)
            return moment  # noqa: TRY300 - it is there when the block has ended
        except Exception:  # noqa: BLE001 - whatever it was, a file can take these lines
            return self._aside.append(lines)
        finally:
            self._engine.dispose()  # outcomes come seldom
