"""The command `retrain`."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    open_workspace,
    print_json,
    say,
)

if TYPE_CHECKING:
    from skewless.lifecycle.retrain import Record


def add_commands(app: typer.Typer) -> None:
    """Register this command."""
    app.command()(retrain)


def retrain(
    context: typer.Context,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Train again on logged records whose outcome is known, if there is a reason.

    The new version goes into staging. With `retrain.promote: production` it goes
    further if the gate allows. Exit 0 also if there is nothing to do, or something
    holds it back. Exit 3: the table, the version or the gate refuses; a record says
    why.

    Example: retrain --dry-run
    """
    now = datetime.now(UTC)
    from skewless.lifecycle.retrain import Retraining

    retraining = Retraining(open_workspace(context, config), say=partial(say, err=True))
    record = retraining.plan(now) if dry_run else retraining.run(now)
    if as_json:
        print_json(record.model_dump(mode="json"))
    else:
        _print(record)
    if record.exit_code:
        raise typer.Exit(record.exit_code)


def _print(record: Record) -> None:
    if record.verdict is not None:
        say(f"{record.verdict.version} answers")
        for kind, reasons in (
            ("trigger", record.verdict.triggers),
            ("brake", record.verdict.brakes),
        ):
            say(*(f"  {kind:9}{reason.line}" for reason in reasons))
    if record.growth is not None:
        say(f"table: {record.growth.line}")
    if record.trained is not None:
        say(f"trained: {record.trained}")
    for check in record.evidence:
        say(check.line)
    _print_result(record)


def _print_result(record: Record) -> None:
    if record.result == "staging":
        passed = all(check.passed for check in record.evidence)
        would = "would" if passed else "would not"
        say(f"the gate {would} let it into production; a person decides")
    say(f"{record.result}: {record.said}" if record.said else record.result)
    if record.file is not None:
        say(f"record: {record.file}")
