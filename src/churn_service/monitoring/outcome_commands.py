"""The third floor's commands about what became of customers: outcomes, performance."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn_service.config import load_settings
from churn_service.errors import ConfigError, TableError
from churn_service.sections import Config
from churn_service.terminal import ConfigOption, JsonOption, open_config, print_json

if TYPE_CHECKING:
    from churn_service.monitoring.history import Log


def add_commands(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (outcomes,):
        app.command()(command)


def outcomes(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet")],
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Record what became of customers, by prediction_id or the customers' own id.

    Exit 3: the file breaks rules, and nothing was recorded.

    Example: churn-service outcomes left-in-march.csv
    """
    from churn_service.monitoring.labels import review
    from churn_service.monitoring.outcome_file import read_file
    from churn_service.monitoring.outcomes import NO_CUSTOMERS, OUTCOMES, OfCustomer, OutcomeFiles, Outcomes

    settings, root = open_config(config)
    log = open_log(settings, root)
    files = OutcomeFiles(log.folder / OUTCOMES)
    sink = Outcomes(files.append, settings.monitoring.privacy, hash_key=load_settings().hash_key)
    said = read_file(source)
    if not sink.takes_customers and any(isinstance(each, OfCustomer) for each in said):
        raise TableError(NO_CUSTOMERS)
    recorded_at = sink.add(said)
    counts = review(log, recorded_at)
    if as_json:
        print_json({"accepted": len(said), **counts, "recorded_at": recorded_at.isoformat()})
        return
    typer.echo(f"{source}: {len(said):,} outcomes recorded")
    typer.echo(f"  said before: {counts['duplicates']:,}; other than before: {counts['corrections']:,}")
    typer.echo(f"  ids that no logged prediction has: {counts['unknown']:,}")


def open_log(config: Config, root: Path) -> "Log":
    """Find where predictions and outcomes are kept.

    Raises
    ------
    ConfigError
        Nowhere.
    """
    from churn_service.monitoring.history import Log

    if config.monitoring.prediction_log is None:
        msg = "monitoring.prediction_log: found null, so no prediction is kept; name a folder"
        raise ConfigError(msg)
    return Log(root / config.monitoring.prediction_log)
