"""The command that says what is left to do: doctor."""

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    open_registry,
    open_workspace,
    print_json,
    say,
)
from skewless.core.errors import RefusedError


def doctor(
    context: typer.Context, *, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Say what is still the template's and what does not agree, and what to do.

    Exit 3: something is to do, or could not be checked.

    Example: doctor
    """
    from skewless.cli.doctor import examine

    work = open_workspace(context, config)
    found = examine(
        work,
        registry=open_registry(work),
        commands=getattr(context.find_root().command, "commands", ()),
    )
    for each in found:
        if as_json:
            print_json(each.model_dump())
            continue
        say(f"{each.state:7} {each.name:14} {each.said}")
        if each.to_do:
            say(f"{'':22} → {each.to_do}")
    if any(each.state in {"todo", "unknown"} for each in found):
        raise typer.Exit(RefusedError.exit_code)
