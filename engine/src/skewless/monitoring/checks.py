"""Project, registry and log → what drifts, and how well predictions came true."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from skewless.core.workspace import Workspace
from skewless.models.predict import open_predictor
from skewless.monitoring.drift_job import Found, Span, find_drift
from skewless.monitoring.labels import join_outcomes
from skewless.monitoring.performance import Week, latest_figures, weekly
from skewless.monitoring.place import Window, open_log
from skewless.monitoring.views import open_views
from skewless.registry.registry import Registry


def check_drift(
    work: Workspace, registry: Registry, *, span: Span, version: str | None = None
) -> Found:
    """Compare what a version was asked with what it was trained on.

    Parameters
    ----------
    work
        The project: its code, its configuration and where the log is.
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
    artifact = registry.load(version)
    metadata = artifact.metadata
    predictor = open_predictor(artifact, work.project, work.config.serving)
    window = Window(span.since, span.until, metadata.version)
    with open_views(open_log(work), work.contract, window) as views:
        return find_drift(
            views, metadata, predictor, hidden=work.config.monitoring.hidden, span=span
        )


def check_performance(
    work: Workspace, *, as_of: datetime, weeks: int, version: str | None = None
) -> list[Week]:
    """Compare outcomes with predictions by week, as they were known at a moment.

    Parameters
    ----------
    work
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
    monday = datetime.combine(
        moment.date() - timedelta(days=moment.weekday()), datetime.min.time(), UTC
    )
    horizon = timedelta(days=work.config.monitoring.outcome_days)
    which = Window(since=monday - timedelta(weeks=weeks - 1), version=version)
    joined = join_outcomes(
        open_log(work), work.contract, as_of=moment, horizon=horizon, which=which
    )
    return weekly(joined, as_of=moment, horizon=horizon)


def publish_drift(work: Workspace, registry: Registry, found: Found) -> None:
    """Leave what was found where a service reads it for its metrics.

    Figures of a version that does not answer are not left: they would take the place of
    those that matter.
    """
    figures = found.figures
    holder = registry.state().holder("production")
    is_serving = figures.version == holder if holder else figures.rows > 0
    if is_serving:
        figures.write(open_log(work).folder)


def publish_performance(
    work: Workspace, weeks: Sequence[Week], *, checked_at: datetime
) -> None:
    """Leave what was found of all versions where a service reads it for its metrics."""
    figures = latest_figures(weeks, checked_at=checked_at)
    figures.write(open_log(work).folder)
