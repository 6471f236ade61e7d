"""The command `drift`."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    VersionOption,
    open_registry,
    open_workspace,
    print_json,
    say,
)
from skewless.core.errors import ConfigError, RefusedError
from skewless.core.nouns import ANSWER, Noun

if TYPE_CHECKING:
    from skewless.monitoring.drift_figures import Figures, Finding
    from skewless.monitoring.drift_job import Span

SinceOption = Annotated[
    str, typer.Option(help="7d, 12h, or a date or time (UTC unless it says)")
]
UntilOption = Annotated[
    str | None, typer.Option(help="The same; default: now", show_default=False)
]
ByOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="Look at each value of this column as well; may be repeated",
        show_default=False,
    ),
]
# Files of a log are of days from then on.
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
UNITS: Final = {"d": "days", "h": "hours"}


def drift(
    context: typer.Context,
    *,
    since: SinceOption = "7d",
    until: UntilOption = None,
    version: VersionOption = None,
    by: ByOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare what a version was asked with what it was trained on.

    With --by also within each value of a column: a change in one of them is seen
    although the whole looks as it did.

    Exit 3: something drifts or is broken. Without --version and --until, what is found
    of the version in production also goes to drift.json in the prediction log, where a
    service reads it for its metrics. `report` writes a page about it.

    Example: drift --since 7d
    """
    from skewless.monitoring.checks import check_drift, publish_drift

    span = read_span(since, until)
    work = open_workspace(context, config)
    registry = open_registry(work)
    found = check_drift(work, registry, span=span, version=version, by=by or ())
    if version is None and until is None:
        publish_drift(work, registry, found)
    if as_json:
        print_json(found.figures.model_dump(mode="json"))
    else:
        _print(found.figures, work.contract.noun)
    if found.figures.is_alarm:
        raise typer.Exit(RefusedError.exit_code)


def read_span(since: str, until: str | None) -> "Span":
    """Read a span of a log, as of now.

    Raises
    ------
    ConfigError
        A moment cannot be read or lies ahead, or the span would be empty.
    """
    from skewless.monitoring.drift_job import Span

    now = datetime.now(UTC)
    span = Span(moment(since, now), moment(until or "0h", now), now)
    if span.since >= span.until:
        msg = f"--since {since} is not before --until {until or 'now'}"
        raise ConfigError(msg)
    return span


def moment(text: str, now: datetime) -> datetime:
    """Read a moment of a log, or how long ago it was.

    One that is ahead is refused, as what is known of it will change.

    >>> moment("12h", datetime(2026, 1, 2, tzinfo=UTC)).isoformat()
    '2026-01-01T12:00:00+00:00'

    Raises
    ------
    ConfigError
        The text is neither, or the moment is ahead, or before any log's first day.
    """
    try:
        unit = UNITS.get(text[-1:])
        if unit is None:
            found = datetime.fromisoformat(text)
        else:
            found = now - timedelta(**{unit: float(text[:-1])})
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        msg = (
            f"{text!r} is no time; "
            "allowed are 7d, 12h, 2026-01-31 and 2026-01-31T08:00+01:00"
        )
        raise ConfigError(msg) from error
    if not EARLIEST <= found <= now:
        if found > now:
            where = "in the future"
        else:
            where = f"before {EARLIEST:%Y}, when no log was kept"
        msg = f"{text} is {where}; now is {now:%Y-%m-%d %H:%M} UTC"
        raise ConfigError(msg)
    return found


def _print(figures: "Figures", record: Noun) -> None:
    from skewless.monitoring.words import DOINGS

    span = f"{figures.since:%Y-%m-%d %H:%M} to {figures.until:%Y-%m-%d %H:%M} UTC"
    say(
        f"{figures.version}: {record.count(figures.rows)} "
        f"in {ANSWER.count(figures.rows_logged)}, {span}"
    )
    _print_limits(figures, record)
    say(
        f"{'':32}{'state':18}{'PSI':>9}{'p':>9}{'impact':>9}"
        f"{'points':>9}{'tier':>9}{'needs':>9}"
    )
    for each in figures.findings:
        if each.kind == "missing" and each.state in {"ok", "insufficient_data"}:
            continue
        say(f"{each.name:32}{each.state:18}{_cells(each, figures.rows)}")
    _print_segments(figures, record)
    say(f"what to do: {DOINGS[figures.worst]}")


def _print_segments(figures: "Figures", record: Noun) -> None:
    from skewless.monitoring.words import alarms, listed

    if figures.segments:
        say("", f"{'':32}{'state':18}{record.many:>9}  moved (PSI)")
    for each in figures.segments:
        moved = [f"{one.name} {one.psi:.2f}" for one in alarms(each.findings)]
        said = f"{each.name:32}{each.state:18}{each.rows:9,}  {listed(moved)}"
        say(said.rstrip())


def _print_limits(figures: "Figures", record: Noun) -> None:
    """Say what the figures do not tell of, if anything."""
    if figures.rows_without_id:
        count = figures.rows_without_id
        verbs = ("has", "counts") if count == 1 else ("have", "count")
        say(
            f"{ANSWER.count(count)} {verbs[0]} no id and {verbs[1]} "
            f"as one {record.one} each"
        )
    if figures.rows_unreadable:
        say(f"unreadable lines in the log: {figures.rows_unreadable:,}")
    if figures.hidden:
        say(f"not judged, as monitoring.privacy hides it: {', '.join(figures.hidden)}")
    for name, rows in figures.left_out.items():
        hid = f"privacy hid {name} in {rows:,} of {record.count(figures.rows)}"
        say(f"{hid}: judged without them")


def _cells(finding: "Finding", rows: int) -> str:
    points = tier = None
    if finding.mean_change is not None:
        points = 100 * finding.mean_change
    if finding.tier_change is not None:
        tier = round(rows * finding.tier_change)
    cells = (
        _number(finding.impact, ".4f"),
        _number(points, "+z.1f"),
        _number(tier, ",d"),
        _number(finding.rows_needed, ",d"),
    )
    return f"{finding.psi:9.3f}{finding.p:9.2g}" + "".join(f"{x:>9}" for x in cells)


def _number(value: float | None, layout: str) -> str:
    return "-" if value is None else format(value, layout)
