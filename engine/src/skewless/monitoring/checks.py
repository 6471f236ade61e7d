"""Project, registry and log → what drifts, and how well predictions came true."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from skewless.core.contract import Column
from skewless.core.errors import ConfigError
from skewless.core.workspace import Workspace
from skewless.models.predict import open_predictor
from skewless.monitoring.drift_job import Found, Scope, Span, find_drift
from skewless.monitoring.labels import join_outcomes
from skewless.monitoring.performance import Week, latest_figures, weekly
from skewless.monitoring.performance_figures import SegmentFigures
from skewless.monitoring.place import Window, open_log
from skewless.monitoring.segments import by_segment
from skewless.monitoring.views import open_views
from skewless.registry.registry import Registry


def check_drift(
    work: Workspace,
    registry: Registry,
    *,
    span: Span,
    version: str | None = None,
    by: Sequence[str] | None = (),
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
    by
        See `Scope`.

    Raises
    ------
    ConfigError
        No log is kept, or the version holds no reference, or a column of `by` has no
        segments.
    ArtifactError
        There is no such version, or this code cannot serve it.
    """
    if by is not None:
        by = [column.name for column in _choices(work, by)]
    artifact = registry.load(version)
    metadata = artifact.metadata
    predictor = open_predictor(artifact, work.project, work.config.serving)
    window = Window(span.since, span.until, metadata.version)
    with open_views(open_log(work), work.contract, window) as views:
        return find_drift(
            views,
            metadata,
            predictor,
            scope=Scope(work.config.monitoring.hidden, by),
            span=span,
        )


def check_performance(
    work: Workspace,
    *,
    as_of: datetime,
    weeks: int,
    version: str | None = None,
    by: Sequence[str] | None = (),
) -> tuple[list[Week], list[SegmentFigures]]:
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
    by
        Columns of whose values each is looked at by itself, over all those weeks; None:
        all that can be.

    Raises
    ------
    ConfigError
        No log is kept, or a column of `by` has no segments.
    """
    moment = as_of.astimezone(UTC)
    monday = datetime.combine(
        moment.date() - timedelta(days=moment.weekday()), datetime.min.time(), UTC
    )
    horizon = timedelta(days=work.config.monitoring.outcome_days)
    columns = _choices(work, by)
    joined = join_outcomes(
        open_log(work),
        work.contract,
        Window(monday - timedelta(weeks=weeks - 1), moment, version),
        horizon=horizon,
        by=columns,
    )
    found = weekly(joined, as_of=moment, horizon=horizon)
    return found, by_segment(joined, columns, weeks=found)


def _choices(work: Workspace, by: Sequence[str] | None) -> list[Column]:
    """Return the columns whose values are segments; None: all that can be seen.

    Raises
    ------
    ConfigError
        One has no segments.
    """
    hidden = work.config.monitoring.hidden
    choices = {
        column.name: column for column in work.contract.columns if column.choices
    }
    if by is None:
        return [column for column in choices.values() if column.name not in hidden]
    for name in by:
        if name in hidden:
            msg = f"--by {name}: monitoring.privacy hides it"
            raise ConfigError(msg)
        if name not in choices:
            msg = f"--by {name}: allowed are {', '.join(choices) or 'no columns'}"
            raise ConfigError(msg)
    return [choices[name] for name in dict.fromkeys(by)]


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
    work: Workspace,
    weeks: Sequence[Week],
    segments: Sequence[SegmentFigures],
    *,
    checked_at: datetime,
) -> None:
    """Leave what was found of all versions where a service reads it for its metrics."""
    figures = latest_figures(weeks, segments, checked_at=checked_at)
    figures.write(open_log(work).folder)
