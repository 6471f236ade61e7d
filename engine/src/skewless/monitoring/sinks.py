"""Where the log is → what writes predictions and outcomes there.

That is a database if one is set, else files.
"""

from skewless.core.contract import Contract
from skewless.core.sections import MonitoringConfig
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.monitoring.line_log import LineLog, Report
from skewless.monitoring.outcomes import OUTCOMES, OutcomeFiles, Outcomes
from skewless.monitoring.place import Log
from skewless.monitoring.prediction_log import PredictionLog


def open_predictions(
    log: Log, work: Workspace, *, lost: Report, aside: Report
) -> PredictionLog:
    """Open the log of one process.

    Parameters
    ----------
    log
        Where it is.
    work
        The project, whose configuration says what it may hold.
    lost, aside
        Told of lines that nobody took, and of those that files took for the database.

    Raises
    ------
    ConfigError
        A column is to be hashed and there is no key, or the database's URL is
        malformed.
    """
    config = work.config.monitoring
    files = LineLog(log.folder, config.flush_seconds, lost)
    if log.database is None:
        return PredictionLog(files, config.privacy, work.settings)
    # Not always needed.
    from skewless.monitoring.postgres_log import (  # noqa: PLC0415 - slow to import
        PostgresLog,
    )

    name = work.contract.id
    table = PostgresLog(
        log.database, files, id_name=name, seconds=config.flush_seconds, report=aside
    )
    return PredictionLog(table, config.privacy, work.settings, in_columns=False)


def open_outcomes(
    log: Log, config: MonitoringConfig, settings: Settings, *, contract: Contract
) -> Outcomes:
    """Open what records outcomes, for one process; raises like `open_predictions`."""
    files = OutcomeFiles(log.folder / OUTCOMES)
    if log.database is None:
        return Outcomes(files.append, contract.id, config.privacy, settings=settings)
    # Not always needed.
    from skewless.monitoring.postgres_outcomes import (  # noqa: PLC0415 - slow to load
        PostgresOutcomes,
    )

    table = PostgresOutcomes(log.database, files)
    return Outcomes(table.append, contract.id, config.privacy, settings=settings)
