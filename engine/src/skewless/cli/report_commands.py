"""The command `report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from skewless.cli.drift_commands import SinceOption, UntilOption, read_span
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
from skewless.core.errors import RefusedError

if TYPE_CHECKING:
    from skewless.core.workspace import Workspace
    from skewless.monitoring.report import Report

PAGE: Final = Path("reports/report.html")


def report(
    context: typer.Context,
    page: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help=f"Default: {PAGE} beside config.yaml, which is replaced",
            show_default=False,
        ),
    ] = None,
    *,
    since: SinceOption = "7d",
    until: UntilOption = None,
    version: VersionOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write one page: whether the model is healthy, since when, and what to do.

    It shows drift since --since; of the last 26 weeks the outcomes; and which versions
    were in production. It is as of --until, about the version that was in production
    then. Exit 3: it says act or watch. Without --version and --until, what is found
    also goes where a service reads it for its metrics, as `drift` and `performance`
    leave it.

    Example: report --since 30d
    """
    from skewless.monitoring.report import ALARMING, summarise
    from skewless.monitoring.report_job import gather_report
    from skewless.monitoring.report_page import render

    span = read_span(since, until)
    if page is not None:
        refuse_existing([page], overwrite=overwrite)
    work = open_workspace(context, config)
    place = page or work.root / PAGE
    refuse_existing([place], overwrite=overwrite or page is None)
    found = gather_report(work, open_registry(work), span=span, version=version)
    replace_file(place, render(found).encode())
    if version is None and until is None:
        _publish(work, found)
    summary = summarise(found)
    if as_json:
        print_json({"page": str(place), **summary._asdict()})
    else:
        say(f"{summary.verdict}: {summary.headline}", f"page: {place}")
    if summary.verdict in ALARMING:
        raise typer.Exit(RefusedError.exit_code)


def _publish(work: "Workspace", report: "Report") -> None:
    from skewless.monitoring.checks import publish_drift, publish_performance

    publish_drift(work, open_registry(work), report.found)
    checked_at = report.found.figures.checked_at
    publish_performance(work, report.weeks, report.segments, checked_at=checked_at)
