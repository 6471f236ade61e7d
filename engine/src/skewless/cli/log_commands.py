"""The commands `log`: query, find, compact, prune, forget."""

from __future__ import annotations

import contextlib
import json
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    open_workspace,
    print_csv,
    print_json,
    progress,
    say,
)
from skewless.core.errors import ConfigError, LogStoreError, RefusedError
from skewless.monitoring.place import open_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from skewless.monitoring.views import Views

log_commands = typer.Typer(
    help="The prediction log: ask it, compact it, prune it, forget a record.",
    no_args_is_help=True,
)


@log_commands.command("find")
def find_answer(
    context: typer.Context,
    prediction_id: Annotated[str, typer.Argument(help="Of the answer")],
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show one answer, what was asked, and what became of the record.

    It says which version answered, and when. Exit 3: the log does not hold it.

    Example: log find 059e7fb520665552bd3d454c108038e6
    """
    from skewless.monitoring.find import find

    work = open_workspace(context, config)
    horizon = timedelta(days=work.config.monitoring.outcome_days)
    found = find(
        open_log(work),
        prediction_id,
        work.contract,
        horizon=horizon,
        now=datetime.now(UTC),
    )
    if found is None:
        msg = (
            f"the log holds no answer {prediction_id!r}; "
            "it was pruned, or is in another service's log"
        )
        raise RefusedError(msg)
    _show(found, as_json=as_json)


@log_commands.command("query")
def query_log(
    context: typer.Context,
    sql: Annotated[
        str | None,
        typer.Argument(
            help="A SELECT over predictions and outcomes; without it: a prompt",
            show_default=False,
        ),
    ] = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask the log a question in SQL.

    DuckDB answers, from files, Parquet and PostgreSQL alike; docs/monitoring/asking.md
    has ten useful questions. It can read the log and nothing else.

    Example: log query "SELECT model_version, count(*) FROM predictions GROUP BY ALL"
    """
    from skewless.monitoring.query import open_questions

    if as_csv and as_json:
        msg = "choose one of --csv and --json"
        raise ConfigError(msg)
    work = open_workspace(context, config)
    if sql is None and not sys.stdin.isatty():
        msg = (
            'name a question, such as "SELECT count(*) FROM predictions"; '
            "a terminal gets a prompt without one"
        )
        raise ConfigError(msg)
    with open_questions(work) as views:
        answer = partial(_answer, views, as_csv=as_csv, as_json=as_json)
        if sql is None:
            _prompt(answer)
        else:
            answer(sql)


def _prompt(answer: Callable[[str], None]) -> None:
    """Answer one question after the other, until the input or a line is empty."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - gives `input` a history

    say("A question ends with a semicolon; an empty line ends this.", err=True)
    while sql := _question():
        try:
            answer(sql)
        except (ConfigError, LogStoreError) as error:
            say(*str(error).splitlines(), err=True)
        except KeyboardInterrupt:
            say("stopped", err=True)


def _question() -> str:
    """Read lines up to a semicolon."""
    lines: list[str] = []
    while not (lines and lines[-1].rstrip().endswith(";")):
        try:
            lines.append(input("  ...> " if lines else "log> "))
        except (EOFError, KeyboardInterrupt):
            return ""
        if not lines[-1].strip():
            return ""
    return "\n".join(lines)


def _answer(views: Views, sql: str, *, as_csv: bool, as_json: bool) -> None:
    from skewless.monitoring.query import ask, draw

    if not (as_csv or as_json):
        say(*draw(views, sql).splitlines())
        return
    with ask(views, sql) as (names, rows):
        if as_csv:
            print_csv(names, rows)
            return
        for row in rows:
            print_json(dict(zip(names, row, strict=True)))


@log_commands.command("compact")
def compact_log(
    context: typer.Context,
    *,
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="First day (UTC) that stays. Default: today",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Turn the files of closed days into Parquet by date and version.

    Parquet takes about a twelfth of their size. Files that were written to within the
    last hour stay. May be interrupted and repeated.

    Example: log compact --before 2026-03-01
    """
    from skewless.monitoring.compact import compact

    now = datetime.now(UTC)
    first = min(before.date(), now.date()) if before else now.date()
    log = open_log(open_workspace(context, config))
    found = []
    with progress("compacting", unit="predictions") as advance:
        for each in compact(log, before=first, now=now.timestamp()):
            found.append(each)
            advance(each.rows)
    done = [each for each in found if each.left is None]
    result = {
        "before": first.isoformat(),
        "files": len(done),
        "rows": sum(each.rows for each in done),
        "unreadable": sum(each.unreadable for each in done),
        "bytes_before": sum(each.bytes_before for each in done),
        "bytes_after": sum(each.bytes_after for each in done),
        "left": {each.file: each.left for each in found if each.left is not None},
    }
    _show(result, as_json=as_json)


@log_commands.command("prune")
def prune_log(
    context: typer.Context,
    *,
    keep_days: Annotated[
        int, typer.Option(min=1, help="Whole days (UTC) before today that are kept")
    ],
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="Remove outcomes of those days too")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove old predictions; outcomes stay unless --outcomes is given.

    It removes lines, Parquet, a challenger's predictions and rows of PostgreSQL.

    Example: log prune --keep-days 365 --dry-run
    """
    from skewless.monitoring.compact import prune

    first = datetime.now(UTC).date() - timedelta(days=keep_days)
    log = open_log(open_workspace(context, config))
    pruned = prune(log, before=first, outcomes=outcomes, dry_run=dry_run)
    _show(pruned._asdict(), as_json=as_json)


@log_commands.command("forget")
def forget_record(
    context: typer.Context,
    record_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of the record, as it was asked with")
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove everything that the log holds of one record.

    Its predictions, a challenger's answers to the same requests, and its outcomes go
    from files and PostgreSQL. May be interrupted and repeated. Exit 1: a service may
    still write to a file that holds something of it, so run this again tomorrow.
    Exit 3: the log holds nothing of it.

    Example: log forget C-000042 --dry-run
    """
    from skewless.monitoring.forget import forget, names_of

    work = open_workspace(context, config)
    privacy = work.config.monitoring.privacy
    names = names_of(record_id, work.contract, privacy=privacy, key=work.settings)
    done = forget(
        open_log(work), work.contract, names, now=datetime.now(UTC), dry_run=dry_run
    )
    _show(done._asdict(), as_json=as_json)
    if done.left and not dry_run:
        raise typer.Exit(LogStoreError.exit_code)


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for name, value in result.items():
        shown = json.dumps(value) if isinstance(value, dict | list) else value
        say(f"{name.replace('_', ' '):18}{shown}")
