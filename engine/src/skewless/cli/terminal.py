"""What every command shares: its options, and how it shows results.

A person reads them as text, a program as JSON.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from skewless.core import workspace
from skewless.core.errors import ConfigError
from skewless.core.escaping import printable, shown_only
from skewless.core.project import Project
from skewless.core.workspace import Workspace
from skewless.models.signing import read_public_key
from skewless.registry import remote
from skewless.registry.registry import Registry

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Default: the variable …_CONFIG, else ./config.yaml",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON: an object, or one a line")
]
VersionOption = Annotated[
    str | None,
    typer.Option(
        "--version",
        help="Default: what is in production, else the newest",
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that exist")
]


def project_of(context: typer.Context) -> Project[Any, Any]:
    """Return the project whose command line this is; see `cli.run`."""
    found = context.find_object(Project)
    if found is None:
        msg = "the command line was started without a project"
        raise LookupError(msg)
    return found


def open_workspace(context: typer.Context, path: Path | None) -> Workspace:
    """Load the environment and the configuration of this command line's project."""
    return workspace.open_workspace(project_of(context), path)


def open_registry(work: Workspace, *, checked: bool = True) -> Registry:
    """Open the registry.

    Where a public key is set, only what its owner signed is found, unless `checked` is
    false.
    """
    key = read_public_key(work.settings) if checked else None
    show = partial(progress, unit="bytes")
    return remote.open_registry(
        work.config.registry, work.root, public_key=key, show=show
    )


def refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Stop before work is lost: no command replaces a file unasked, or a folder at all.

    Raises
    ------
    ConfigError
        A folder is there; or a file, and `overwrite` is not set.
    """
    there = [
        str(path)
        for path in paths
        if path.is_dir() or (os.path.lexists(path) and not overwrite)
    ]
    if there:
        msg = (
            f"{', '.join(there)} exists already; "
            "name another, or --overwrite where it is a file"
        )
        raise ConfigError(msg)


def say(*lines: str, err: bool = False) -> None:
    """Print lines.

    Each may hold text from outside as it is, and stays one line: see `printable`.
    """
    text = "\n".join(map(printable, lines))
    typer.echo(text, err=err)  # noqa: TID251 - the one place for text


def print_json(result: dict[str, Any]) -> None:
    """Print one object on one line."""
    typer.echo(json.dumps(result))  # noqa: TID251 - JSON escapes all but ASCII


def print_csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table as CSV.

    Text that a spreadsheet would run as a formula gets an apostrophe before it, and a
    value of several is JSON.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(printable, names))
    writer.writerows(map(_cell, row) for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value)
    return shown_only(printable(value)) if isinstance(value, str) else value


def print_metrics(metrics: dict[str, dict[str, Any]]) -> None:
    """Print a table: a line per metric, a column per set of probabilities."""
    say(f"{'':18}" + "".join(f"{name:>15}" for name in metrics))
    flat = [{**each, **each.get("others", {})} for each in metrics.values()]
    for metric, score in flat[0].items():
        if not isinstance(score, float):
            continue
        values = "".join(f"{each[metric]:15.4f}" for each in flat)
        say(f"{metric.replace('_', ' '):18}{values}")


@contextmanager
def progress(what: str, unit: str = "rows") -> Iterator[Callable[[int], None]]:
    """Show a bar with what is done so far, on a terminal only."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, rarely needed
    from rich.progress import (  # noqa: PLC0415 - ditto
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn(f"{{task.description}} {{task.completed:,.0f}} {unit}"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.advance(task, done)
