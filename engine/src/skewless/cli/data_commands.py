"""The commands sample and example.

This module also collects the commands that train, measure and look.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from skewless.cli.compare_commands import compare
from skewless.cli.doctor_commands import doctor
from skewless.cli.registry_commands import registry_commands
from skewless.cli.terminal import (
    ConfigOption,
    OverwriteOption,
    open_workspace,
    print_json,
    project_of,
    refuse_existing,
    say,
)
from skewless.cli.training_commands import evaluate, train
from skewless.core.errors import TableError

SAMPLED: Final = "data/customers.csv"
"""What `sample --if-absent` writes unasked.

A made-up table never replaces an owner's own.
"""


def add_commands(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (sample, train, compare, evaluate, example, doctor):
        app.command()(command)
    app.add_typer(registry_commands, name="registry")


def sample(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Argument(help="Default: data.path", show_default=False)
    ] = None,
    *,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Default: data.sample.rows")
    ] = None,
    if_absent: Annotated[
        bool,
        typer.Option("--if-absent", help="Unless the file exists"),
    ] = False,
    overwrite: OverwriteOption = False,
    config: ConfigOption = None,
) -> None:
    """Write the simulator's table as CSV or Parquet.

    Example: sample data/customers.parquet --rows 1000000
    """
    import pandas as pd

    from skewless.tables.simulate import simulate
    from skewless.tables.table import write_table

    work = open_workspace(context, config)
    data = work.config.data
    path = out or work.root / data.path
    if if_absent and path.exists():
        return
    if if_absent and out is None and data.path != SAMPLED:
        msg = (
            f"{path} is not there, and it is no table of the simulator's. "
            "Bring it, or set data.path"
        )
        raise TableError(msg)
    refuse_existing([path], overwrite=overwrite)
    rows = rows or data.sample.rows
    made = pd.DataFrame(simulate(rows, data.sample.random_state, work.contract))
    write_table(made, path, work.contract, form=data.format)
    say(f"{path}: {rows:,} simulated records")


def example(context: typer.Context) -> None:
    """Print one valid record as JSON, ready to post.

    Example: example > record.json
    """
    print_json(project_of(context).contract.example())
