"""The first floor's commands: sample, train, evaluate, example, score, registry."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn_service.registry_commands import registry_commands
from churn_service.terminal import (
    ConfigOption,
    JsonOption,
    OverwriteOption,
    VersionOption,
    open_config,
    print_json,
    print_metrics,
    progress,
    refuse_existing,
)

if TYPE_CHECKING:
    from churn_service.metadata import Metadata


def add_commands(app: typer.Typer) -> None:
    """Register this floor's commands."""
    for command in (sample, train, evaluate, example, score):
        app.command()(command)
    app.add_typer(registry_commands, name="registry")


def sample(
    out: Annotated[Path | None, typer.Argument(help="Default: data.path", show_default=False)] = None,
    *,
    rows: Annotated[int | None, typer.Option(min=1, help="Default: data.sample.rows")] = None,
    if_absent: Annotated[bool, typer.Option("--if-absent", help="Do nothing if the file exists")] = False,
    overwrite: OverwriteOption = False,
    config: ConfigOption = None,
) -> None:
    """Write the simulator's table as CSV or Parquet.

    Example: churn-service sample data/customers.parquet --rows 1000000
    """
    import pandas as pd

    from churn_service.simulate import simulate
    from churn_service.table import write_table

    settings, root = open_config(config)
    path = out or root / settings.data.path
    if if_absent and path.exists():
        return
    refuse_existing([path], overwrite=overwrite)
    rows = rows or settings.data.sample.rows
    write_table(pd.DataFrame(simulate(rows, settings.data.sample.random_state)), path)
    typer.echo(f"{path}: {rows:,} simulated customers")


def train(
    *,
    faults: Annotated[Path | None, typer.Option(help="Write every broken cell here, as CSV")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Train, evaluate and register a model version from data.path.

    Example: churn-service train
    """
    from churn_service.atomic import check_suffix
    from churn_service.errors import TableError
    from churn_service.pipeline import train_version
    from churn_service.table import write_table

    settings, root = open_config(config)
    if faults is not None:
        check_suffix(faults)
        refuse_existing([faults], overwrite=False)
    try:
        trained = train_version(settings, root, say=lambda line: typer.echo(line, err=True))
    except TableError as error:
        if faults is not None and error.faults is not None:
            write_table(error.faults, faults)
            typer.echo(f"{faults}: {len(error.faults):,} broken cells", err=True)
        raise
    if as_json:
        print_json(
            trained.metadata.model_dump(mode="json", exclude={"golden"}) | {"path": str(trained.folder)}
        )
        return
    print_metrics(trained.metadata.metrics)
    _say_what_it_is_worth(trained.metadata)
    kept = "was trained before: verified and kept, with its first metrics"
    typer.echo(f"{trained.metadata.version} {kept if trained.already_there else 'registered'}")
    typer.echo(f"card: {trained.folder / 'card.md'}")


def evaluate(
    table: Annotated[Path | None, typer.Argument(help="Default: data.path", show_default=False)] = None,
    *,
    version: VersionOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Measure a version on the customers that it never saw, beside the baseline.

    Example: churn-service evaluate --version 0.1.0-1a2b3c4d
    """
    from churn_service.compare import evaluate_version

    settings, root = open_config(config)
    evaluated, metrics = evaluate_version(settings, root, version=version, table=table)
    if as_json:
        print_json({"version": evaluated, "metrics": metrics})
    else:
        typer.echo(f"{evaluated} on {metrics['model']['rows']:,} customers it never saw")
        print_metrics(metrics)


def example() -> None:
    """Print one valid customer as JSON, ready to post.

    Example: curl localhost:8000/predict --json "$(churn-service example)"
    """
    from churn_service import contract

    typer.echo(json.dumps(contract.example()))


def score(
    source: Annotated[Path, typer.Argument(help="CSV or Parquet")],
    out: Annotated[Path, typer.Argument(help="CSV or Parquet")],
    *,
    version: VersionOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Score a file; bad rows go to OUT's name with .rejects.csv, with the reasons.

    Example: churn-service score customers.parquet scored.parquet
    """
    from churn_service.predict import load_predictor
    from churn_service.registry import Registry
    from churn_service.score import score_file

    settings, root = open_config(config)
    rejects = out.with_suffix(".rejects.csv")
    own = source.resolve() in {out.resolve(), rejects.resolve()}  # never, asked or not
    refuse_existing([out, rejects], overwrite=overwrite and not own)
    predictor = load_predictor(Registry(root / settings.registry.path).find(version))
    with progress("scoring") as advance:
        scored = score_file(source, out, predictor, rejects=rejects, progress=advance)
    if as_json:
        print_json(
            {
                "rows": scored.rows,
                "rejected": scored.rejected,
                "output": str(scored.output),
                "rejects": scored.rejects and str(scored.rejects),
                "model_version": predictor.version,
            }
        )
    else:
        typer.echo(f"{out}: {scored.rows - scored.rejected:,} of {scored.rows:,} rows by {predictor.version}")
        if scored.rejects:
            typer.echo(f"{scored.rejects}: {scored.rejected:,} rows refused, with the reasons")


def _say_what_it_is_worth(metadata: "Metadata") -> None:
    model, baseline = metadata.metrics["model"]["roc_auc"], metadata.metrics["baseline"]["roc_auc"]
    if "best possible" in metadata.metrics:
        typer.echo("the table is the simulator's: this model knows nothing of your customers")
    if model <= baseline:
        typer.echo("the model is no better than the baseline: do not use it")
