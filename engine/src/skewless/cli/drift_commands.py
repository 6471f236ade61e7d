"""The command `drift`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    OverwriteOption,
    VersionOption,
    open_registry,
    open_workspace,
    print_json,
    refuse_existing,
    say,
)
from skewless.core.atomic import replace_file
from skewless.core.errors import ConfigError, RefusedError
from skewless.core.workspace import Workspace

if TYPE_CHECKING:
    from skewless.monitoring.drift_figures import Figures
    from skewless.monitoring.drift_job import Span

# Files of a log are of days from then on.
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
UNITS: Final = {"d": "days", "h": "hours"}


def drift(
    context: typer.Context,
    *,
    since: Annotated[
        str, typer.Option(help="7d, 12h, or a date or time (UTC unless it says)")
    ] = "7d",
    until: Annotated[
        str | None, typer.Option(help="The same; default: now", show_default=False)
    ] = None,
    version: VersionOption = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a page about it, and about the outcomes", show_default=False
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare what a version was asked with what it was trained on.

    Exit 3: something drifts or is broken. Without --version and --until, what is found
    of the version in production also goes to drift.json in the prediction log, where a
    service reads it for its metrics. A report is about the version that was in
    production at --until.

    Example: drift --since 7d --report drift.html
    """
    from skewless.monitoring.drift_job import Span
    from skewless.monitoring.place import open_log

    now = datetime.now(UTC)
    span = Span(moment(since, now), moment(until or "0h", now), now)
    if span.since >= span.until:
        msg = f"--since {since} is not before --until {until or 'now'}"
        raise ConfigError(msg)
    if report is not None:
        refuse_existing([report], overwrite=overwrite)
    work = open_workspace(context, config)
    log = open_log(work)
    figures = _find(work, span=span, version=version, report=report)
    holder = open_registry(work).state().holder("production")
    is_serving = figures.version == holder if holder else figures.rows > 0
    if is_serving and version is None and until is None:
        figures.write(log.folder)
    if as_json:
        print_json(figures.model_dump(mode="json"))
    else:
        _print(figures)
    if figures.is_alarm:
        raise typer.Exit(RefusedError.exit_code)


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


def _find(
    work: Workspace, *, span: "Span", version: str | None, report: Path | None
) -> "Figures":
    from skewless.monitoring.checks import check_drift

    registry = open_registry(work)
    if report is None:
        return check_drift(work, registry, span=span, version=version).figures
    from skewless.monitoring.report import render
    from skewless.monitoring.report_job import gather_report

    page = gather_report(work, registry, span=span, version=version)
    replace_file(report, render(page).encode())
    return page.found.figures


def _print(figures: "Figures") -> None:
    from skewless.monitoring.words import DOINGS

    span = f"{figures.since:%Y-%m-%d %H:%M} to {figures.until:%Y-%m-%d %H:%M} UTC"
    say(
        f"{figures.version}: {figures.rows:,} records "
        f"in {figures.rows_logged:,} answers, {span}"
    )
    if figures.rows_without_id:
        say(f"{figures.rows_without_id:,} answers have no id; each counts as one")
    if figures.rows_unreadable:
        say(f"{figures.rows_unreadable:,} lines cannot be read")
    if figures.hidden:
        say(f"monitoring.privacy hides {', '.join(figures.hidden)}: not judged")
    say(f"{'':32}{'state':18}{'PSI':>9}{'p':>9}{'impact':>9}{'mean':>9}{'needs':>9}")
    for each in figures.findings:
        if each.kind == "missing" and each.state in {"ok", "insufficient_data"}:
            continue
        impact = _number(each.impact, ".4f")
        change = _number(each.mean_change, "+.4f")
        needed = _number(each.rows_needed, ",d")
        figured = f"{each.psi:9.3f}{each.p:9.2g}{impact:>9}{change:>9}{needed:>9}"
        say(f"{each.name:32}{each.state:18}{figured}")
    say(f"what to do: {DOINGS[figures.findings[0].state]}")


def _number(value: float | None, layout: str) -> str:
    return "-" if value is None else format(value, layout)
