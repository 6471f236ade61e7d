"""Drift, outcomes and age → whether to train again; and what holds that back."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from skewless.core.errors import SkewlessError, TableError
from skewless.core.nouns import WEEK, Noun
from skewless.core.workspace import Workspace
from skewless.monitoring.checks import check_drift, check_performance
from skewless.monitoring.drift_figures import Figures
from skewless.monitoring.drift_job import Span
from skewless.monitoring.labels import join_outcomes
from skewless.monitoring.performance import Week
from skewless.monitoring.place import Window, open_log
from skewless.registry.registry import Registry
from skewless.tables.faults import check_table
from skewless.tables.table import data_hash, read_table

FOLDER: Final = "retrain"  # of the records, in the prediction log's
STAMP: Final = "%Y-%m-%dT%H%M%SZ"  # of the moment in the name of a record
# How the reason of a promotion begins that nobody asked for.
REASON: Final = "retrain: "
DAY: Final = timedelta(days=1)


class Reason(BaseModel, frozen=True):
    """What speaks for training again, or against it, with its figures."""

    name: str
    applies: bool
    said: str

    @property
    def line(self) -> str:
        """Say it to a person."""
        return f"{'yes' if self.applies else 'no':4}{self.name}: {self.said}"


class Verdict(BaseModel, frozen=True):
    """Whether to train again; one trigger is enough, and so is one brake."""

    version: str
    """What answers now."""
    triggers: tuple[Reason, ...]
    brakes: tuple[Reason, ...]

    @property
    def triggered(self) -> tuple[Reason, ...]:
        """Say what speaks for it."""
        return tuple(reason for reason in self.triggers if reason.applies)

    @property
    def held_back(self) -> tuple[Reason, ...]:
        """Say what speaks against it."""
        return tuple(reason for reason in self.brakes if reason.applies)


def judge(work: Workspace, registry: Registry, *, now: datetime) -> Verdict:
    """Look at what is in production, else the newest version, as of a moment.

    Parameters
    ----------
    work, registry
        See `check_drift`, also for what is raised.
    now
        With an offset.
    """
    metadata, rules = registry.load().metadata, work.config.retrain
    record = work.contract.noun
    age = (now - datetime.fromisoformat(metadata.trained_at)) / DAY
    windows = list[Figures]()
    if metadata.reference is not None:
        ends = (now - timedelta(days=rules.window_days), now)
        spans = [
            Span(end - timedelta(days=rules.window_days), end, now) for end in ends
        ]
        found = [
            check_drift(work, registry, span=span, version=metadata.version)
            for span in spans
        ]
        windows = [each.figures for each in found]
    count = max(int(age / 7), 0) + 2  # of weeks, so all are seen in which it answered
    weeks, _ = check_performance(work, as_of=now, weeks=count, version=metadata.version)
    new = _new_outcomes(work, (datetime.fromisoformat(metadata.trained_at), now))
    aged = f"trained {age:.1f} days ago; retrain.max_age_days is {rules.max_age_days:g}"
    few = (
        f"{record.count(new)} with a new outcome since it was trained; "
        f"retrain.min_new_outcomes is {rules.min_new_outcomes:,}"
    )
    return Verdict(
        version=metadata.version,
        triggers=(
            _drift(windows, record),
            _outcomes(weeks),
            _reason("age", aged, applies=age > rules.max_age_days),
        ),
        brakes=(
            _reason("too few outcomes", few, applies=new < rules.min_new_outcomes),
            _cool_down(
                _tries(registry, open_log(work).folder), now, rules.cool_down_days
            ),
            _unguarded(registry.state().holder("production")),
            _hidden(work, registry),
        ),
    )


def _reason(name: str, said: str, *, applies: bool) -> Reason:
    return Reason(name=name, applies=applies, said=said)


def _drift(windows: Sequence[Figures], record: Noun) -> Reason:
    if not windows:
        return _reason(
            "drift", "the version holds no reference to compare with", applies=False
        )
    drifting = [
        [each for each in figures.findings if each.state == "drift"]
        for figures in windows
    ]
    older, newer = ([each.name for each in found] for found in drifting)
    both = [name for name in newer if name in older]
    told = []
    for figures, found in zip(windows, drifting, strict=True):
        named = ", ".join(f"{each.name} {each.psi:.2f}" for each in found)
        told.append(f"{named or 'nothing'} in {record.count(figures.rows)}")
    said = (
        f"{', '.join(both) or 'nothing'} in both windows (PSI: {', then '.join(told)})"
    )
    return _reason("drift", said, applies=bool(both))


def _outcomes(weeks: Sequence[Week]) -> Reason:
    told = [
        f"{week.week} log loss {real.log_loss.value:.3f}, "
        f"expected {expected.log_loss.value:.3f}, "
        f"event rate {real.event_rate.value:.1%}, "
        f"expected {expected.event_rate.value:.1%}"
        for week in weeks
        if week.state == "concept_drift"
        and (real := week.realised)
        and (expected := week.expected)
    ]
    mature = sum(week.state in {"ok", "concept_drift"} for week in weeks)
    calm = f"as expected in {mature} of {WEEK.count(len(weeks))}"
    if mature < len(weeks):
        calm += "; the others cannot be judged yet"
    return _reason("outcomes", "; ".join(told) or calm, applies=bool(told))


def _unguarded(holder: str | None) -> Reason:
    """Wait for a first promotion.

    Until then the next start serves what is newest, whatever the gate says.
    """
    said = f"{holder} is" if holder else "nothing is; `registry promote` it first"
    return _reason("production", said, applies=holder is None)


def _new_outcomes(work: Workspace, moments: tuple[datetime, datetime]) -> int:
    """Count the records of which something became known between two moments."""
    log, horizon = open_log(work), timedelta(days=work.config.monitoring.outcome_days)
    joined = [
        join_outcomes(log, work.contract, Window(until=moment), horizon=horizon)
        for moment in moments
    ]
    before, now = (each[each["outcome"] >= 0] for each in joined)
    return int(
        now.loc[~now["prediction"].isin(before["prediction"]), "record"].nunique()
    )


def _hidden(work: Workspace, registry: Registry) -> Reason:
    """Wait for another table where nothing can be learned from the log."""
    hidden, path = work.config.monitoring.hidden, work.config.data.path
    said = f"monitoring.privacy hides {', '.join(hidden) or 'nothing'}"
    if not hidden:
        return _reason("privacy", said, applies=False)
    try:
        table = read_table(work.root / path, work.contract, work.config.data.format)
        data = data_hash(check_table(table, work.contract))
    except TableError:  # training refuses it too, with the reason
        return _reason("privacy", f"{said}; {path} cannot be used", applies=False)
    known, unreadable = _trained_on(data, registry)
    said += ", so the log adds nothing, and "
    if known:
        return _reason(
            "privacy", f"{said}a version was trained on {path} before", applies=True
        )
    if unreadable:
        why = (
            f"nobody can tell whether a version was trained on {path} before: "
            f"{'; '.join(unreadable)}"
        )
        return _reason("privacy", said + why, applies=True)
    return _reason(
        "privacy", f"{said}no version was trained on {path} before", applies=False
    )


def _trained_on(data: str, registry: Registry) -> tuple[bool, list[str]]:
    """Tell whether a version was trained on a table, by the table's hash.

    Also tell which versions cannot say so, and why.
    """
    unreadable = []
    for version in registry.versions():
        try:
            trained_on = registry.load(version).metadata.identity.data_sha256
        except SkewlessError as error:
            unreadable.append(str(error))
            continue
        if trained_on == data:
            return True, []
    return False, unreadable


def _tries(registry: Registry, folder: Path) -> Iterator[tuple[datetime, str]]:
    """Ask the registry, which all machines share, and this machine's records.

    Only those records tell of refused tries.
    """
    own = [
        event for event in registry.events() if (event.reason or "").startswith(REASON)
    ]
    yield from ((datetime.fromisoformat(event.time), "retrained") for event in own)
    for path in (folder / FOLDER).glob("*.json"):
        yield from _refused_try(path)


def _refused_try(path: Path) -> Iterator[tuple[datetime, str]]:
    """Read from a record when a try was refused.

    A damaged record counts as a try, at the moment in its name.
    """
    try:
        record = json.loads(path.read_bytes())
        result = record["result"]
        time = datetime.fromisoformat(record["time"]).astimezone(UTC)
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        try:
            moment = datetime.strptime(path.stem, STAMP).replace(tzinfo=UTC)
        except ValueError:
            return  # it is no record
        yield moment, "tried, with a record that cannot be read,"
        return
    if result == "refused":
        yield time, "refused"


def _cool_down(
    tries: Iterable[tuple[datetime, str]], now: datetime, needed: float
) -> Reason:
    days, what = min(
        (((now - time) / DAY, what) for time, what in tries), default=(math.inf, "")
    )
    last = f"{what} {days:.1f} days ago" if what else "never retrained"
    return _reason(
        "cool-down",
        f"{last}; retrain.cool_down_days is {needed:g}",
        applies=days < needed,
    )
