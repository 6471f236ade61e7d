"""Where the log is → what writes predictions and outcomes there: a database if one is set, else files."""

from pydantic import SecretStr

from churn_service.contract import Contract
from churn_service.monitoring.line_log import LineLog, Report
from churn_service.monitoring.outcomes import OUTCOMES, OutcomeFiles, Outcomes
from churn_service.monitoring.place import Log
from churn_service.monitoring.prediction_log import PredictionLog
from churn_service.service_sections import MonitoringConfig
from churn_service.workspace import Workspace


def open_predictions(log: Log, work: Workspace, *, lost: Report, aside: Report) -> PredictionLog:
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
        A column is to be hashed and there is no key, or the database's URL is malformed.
    """
    config = work.config.monitoring
    hash_key = work.settings.hash_key
    files = LineLog(log.folder, config.flush_seconds, lost)
    if log.url is None:
        return PredictionLog(files, config.privacy, hash_key)
    from churn_service.monitoring.postgres_log import PostgresLog  # noqa: PLC0415 - slow to import, not always needed

    name = work.contract.id
    table = PostgresLog(log.url, files, id_name=name, seconds=config.flush_seconds, report=aside)
    return PredictionLog(table, config.privacy, hash_key)


def open_outcomes(
    log: Log, config: MonitoringConfig, hash_key: SecretStr | None, *, contract: Contract
) -> Outcomes:
    """Open what records outcomes, for one process; raises like `open_predictions`."""
    files = OutcomeFiles(log.folder / OUTCOMES)
    if log.url is None:
        return Outcomes(files.append, contract.id, config.privacy, hash_key=hash_key)
    from churn_service.monitoring.postgres_outcomes import PostgresOutcomes  # noqa: PLC0415 - slow to import, not always needed

    table = PostgresOutcomes(log.url, files)
    return Outcomes(table.append, contract.id, config.privacy, hash_key=hash_key)
