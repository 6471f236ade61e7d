"""Project, registry and log → a report as of a moment.

The report never changes afterwards.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Final

from skewless.core.errors import ArtifactNotFoundError
from skewless.core.workspace import Workspace
from skewless.monitoring.checks import check_drift, check_performance
from skewless.monitoring.drift_job import Span
from skewless.monitoring.history import read_predictions
from skewless.monitoring.place import Log, open_log
from skewless.monitoring.report import Report
from skewless.registry.events import ALIASES, Event, fold
from skewless.registry.registry import NEWEST, Registry

WEEKS = 26
MOVES: Final = {"promote", "rollback"}


def gather_report(
    work: Workspace, registry: Registry, *, span: Span, version: str | None = None
) -> Report:
    """Look at everything as it was known when a span ended.

    What came later does not count.

    Parameters
    ----------
    work, registry, span
        See `check_drift`.
    version
        A version or an alias, as it stood then; default: what was in production, else
        the newest.

    Raises
    ------
    ConfigError
        No log is kept, or the version holds no reference.
    ArtifactError
        There was no such version yet, or this code cannot serve it.
    """
    # The log's order decides, not its clocks: only its beginning adds up.
    events = list(
        takewhile(
            lambda event: datetime.fromisoformat(event.time) < span.until,
            registry.events(),
        )
    )
    found = check_drift(work, registry, span=span, version=_standing(events, version))
    return Report(
        found=found,
        weeks=check_performance(work, as_of=span.until, weeks=WEEKS),
        production=[
            each
            for each in reversed(events)
            if each.alias == "production" and each.kind in MOVES
        ],
        answers=_answers(open_log(work), span),
    )


def _standing(events: Sequence[Event], name: str | None) -> str:
    """Name the version that a name stood for."""
    state = fold(events)
    stood = {alias: state.holder(alias) for alias in ALIASES} | {NEWEST: state.newest}
    version = stood.get(name, name) if name else stood["production"] or state.newest
    if version is None:
        msg = (
            f"there was no {name or 'version'} yet when the span ended; "
            "name a version, or a later --until"
        )
        raise ArtifactNotFoundError(msg)
    return version


def _answers(log: Log, span: Span) -> dict[date, Counter[str]]:
    first, last = span.since.date(), (span.until - timedelta(microseconds=1)).date()
    days = {
        first + timedelta(days=day): Counter[str]()
        for day in range((last - first).days + 1)
    }
    for part in read_predictions(log, since=span.since, until=span.until):
        if len(part.answers):
            counts = part.answers["tier"].value_counts()
            days[part.answers["time"].iloc[0].date()].update(
                {str(tier): n for tier, n in counts.items()}
            )
    return days
