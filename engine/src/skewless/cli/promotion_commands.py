"""The part of `registry` that decides: promote, rollback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skewless.cli.registry_commands import registry_commands
from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    open_workspace,
    print_json,
    say,
)
from skewless.core.errors import ConfigError, GateError
from skewless.registry.events import Alias, Event

if TYPE_CHECKING:
    from skewless.lifecycle.promotion import Promotion

AliasOption = Annotated[
    Alias, typer.Option("--to", help="What the version is put into")
]


def _one_line(reason: str | None) -> str | None:
    """Refuse what could look like another event when the history is printed."""
    if reason is not None and not reason.isprintable():
        msg = "--reason is one line of printable text"
        raise ConfigError(msg)
    return reason


ReasonOption = Annotated[
    str | None, typer.Option(callback=_one_line, help="Why; kept in the history")
]


def add_commands(_app: typer.Typer) -> None:
    """Register these commands beside those of `registry`."""
    for command in (promote, rollback):
        registry_commands.command()(command)


def promote(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="A version, or newest, or staging")],
    *,
    to: AliasOption,
    reason: ReasonOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overrule the evidence; needs --reason")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a version into staging or production; production asks for evidence.

    The evidence is kept. Exit 3: it is missing or speaks against the version. Exit 1:
    somebody else decided meanwhile.

    Example: registry promote newest --to production
    """
    if force and not (reason and reason.strip()):
        msg = (
            "--force overrules evidence, so it needs a --reason, "
            "which the history keeps"
        )
        raise ConfigError(msg)
    try:
        event = _promotion(context, config).promote(
            version, to, reason=reason, force=force
        )
    except GateError as refusal:
        if as_json:
            print_json({"recorded": True, **refusal.event.model_dump(mode="json")})
        raise
    if as_json:
        told = {} if event is None else event.model_dump(mode="json")
        print_json({"recorded": event is not None, **told})
    elif event is None:
        say(f"{version} is in {to} already; nothing was recorded")
    else:
        _tell(event)
        say(f"{event.version} is in {to} (event {event.number})")


def rollback(
    context: typer.Context,
    alias: Annotated[Alias, typer.Argument(help="What is taken back")] = "production",
    *,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Go back to the version that was in production, or staging, before.

    Run it again, and it goes further back. A version that this code cannot serve is
    passed over, and named. Exit 3: no earlier version can be served.

    Example: registry rollback --reason 'complaints since noon'
    """
    event = _promotion(context, config).rollback(alias, reason=reason)
    if as_json:
        print_json(event.model_dump(mode="json"))
    else:
        _tell(event)
        say(
            f"{event.version} is in {alias} again, "
            f"in place of {event.before} (event {event.number})"
        )


def _tell(event: Event) -> None:
    for check in event.evidence:
        say(check.line)


def _promotion(context: typer.Context, config: Path | None) -> Promotion:
    from skewless.lifecycle.promotion import Promotion

    return Promotion(open_workspace(context, config))
