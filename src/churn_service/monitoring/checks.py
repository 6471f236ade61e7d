"""A project, its registry and its log → what drifts, and how well the predictions came true."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from churn_service.monitoring.drift_job import Found, Span, find_drift
from churn_service.monitoring.history import read_predictions
from churn_service.monitoring.labels import join_outcomes
from churn_service.monitoring.performance import Week, weekly
from churn_service.monitoring.place import open_log
from churn_service.predict import load_predictor
from churn_service.registry import Registry
from churn_service.sections import Config


def check_drift(
    config: Config, root: Path, registry: Registry, *, span: Span, version: str | None = None
) -> Found:
    """Compare what a version was asked with what it was trained on.

    Parameters
    ----------
    config, root
        The configuration, and the folder that its relative paths start from.
    registry
        Where the version is.
    span
        Which answers to look at.
    version
        A version or an alias; default: what is in production, else the newest.

    Raises
    ------
    ConfigError
        No log is kept, or the version holds no reference.
    ArtifactError
        There is no such version, or this code cannot serve it.
    """
    folder = registry.find(version)
    predictor = load_predictor(folder, public_key=registry.public_key)
    asked = read_predictions(open_log(config, root), since=span.since, until=span.until, version=folder.name)
    metadata = registry.metadata(folder.name)
    return find_drift(asked, metadata, predictor.probabilities, hidden=config.monitoring.hidden, span=span)


def check_performance(
    config: Config, root: Path, *, as_of: datetime, weeks: int, version: str | None = None
) -> list[Week]:
    """Compare what became of customers with what was predicted, week by week, as it was known at a moment.

    Parameters
    ----------
    config, root
        See `check_drift`.
    as_of
        With an offset; what was recorded later does not count.
    weeks
        How many, the last that of `as_of`.
    version
        Of one version; default: of all.

    Raises
    ------
    ConfigError
        No log is kept.
    """
    moment = as_of.astimezone(UTC)
    monday = datetime.combine(moment.date() - timedelta(days=moment.weekday()), datetime.min.time(), UTC)
    horizon, since = timedelta(days=config.monitoring.outcome_days), monday - timedelta(weeks=weeks - 1)
    log = open_log(config, root)
    joined = join_outcomes(log, as_of=moment, horizon=horizon, since=since, version=version)
    return weekly(joined, as_of=moment, horizon=horizon)
