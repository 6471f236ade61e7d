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
from skewless.monitoring.drift_job import Found, Span
from skewless.monitoring.performance_figures import WEEKS
from skewless.monitoring.place import Window, open_log
from skewless.monitoring.report import Onset, Report
from skewless.monitoring.views import condition_sql, open_views
from skewless.monitoring.words import alarms
from skewless.registry.events import ALIASES, Event, fold
from skewless.registry.registry import NEWEST, Registry

PARTS: Final = 7  # of a span, in which to look for the beginning of a change
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
    standing = _standing(events, version)
    found = check_drift(work, registry, span=span, version=standing, by=None)
    weeks, segments = check_performance(work, as_of=span.until, weeks=WEEKS, by=None)
    answers, versions = _answers(work, span)
    return Report(
        found=found,
        weeks=weeks,
        segments=segments,
        onsets=_onsets(work, registry, found),
        production=[
            each
            for each in reversed(events)
            if each.alias == "production" and each.kind in MOVES
        ],
        answers=answers,
        versions=versions,
        record=work.contract.noun,
        target=work.contract.target,
    )


def _onsets(work: Workspace, registry: Registry, found: Found) -> dict[str, Onset]:
    """Look at the parts of the span, the latest first, for where each alarm begins.

    A part with too few records to tell neither ends an alarm nor makes it longer.
    """
    figures = found.figures
    length = (figures.until - figures.since) / PARTS
    open_alarms = {each.name for each in alarms(figures.findings)}
    onsets = dict[str, Onset]()
    for part in reversed(range(PARTS)):
        if not open_alarms:
            break
        since = figures.since + part * length
        span = Span(since, since + length, figures.checked_at)
        then = check_drift(work, registry, span=span, version=figures.version)
        states = {each.name: each.state for each in then.figures.findings}
        moved = {each.name for each in alarms(then.figures.findings)}
        well = {name for name in open_alarms if states.get(name) == "ok"}
        for name in open_alarms & moved:
            onsets[name] = Onset(since, length, was_well=False)
        for name in well & onsets.keys():
            onsets[name] = onsets[name]._replace(was_well=True)
        open_alarms -= well
    return onsets


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


def _answers(
    work: Workspace, span: Span
) -> tuple[dict[date, Counter[str]], Counter[str]]:
    """Count the answers of a span by day and tier, and by version."""
    first, last = span.since.date(), (span.until - timedelta(microseconds=1)).date()
    days = {
        first + timedelta(days=day): Counter[str]()
        for day in range((last - first).days + 1)
    }
    versions = Counter[str]()
    window = Window(span.since, span.until)
    with open_views(open_log(work), work.contract, window) as views:
        counted = views.ask(
            "SELECT time::DATE, tier, model_version, count(*) FROM predictions "
            f"WHERE {condition_sql(window)} GROUP BY ALL ORDER BY ALL"
        )
    for day, tier, version, count in counted:
        days[day][str(tier)] += count
        versions[version] += count
    return days, versions
