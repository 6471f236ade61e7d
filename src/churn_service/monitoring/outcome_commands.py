"""The third floor's commands about what became of customers: outcomes, performance."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from churn_service.config import load_settings
from churn_service.errors import RefusedError, TableError
from churn_service.monitoring.place import open_log
from churn_service.terminal import ConfigOption, JsonOption, open_config, print_json

if TYPE_CHECKING:
    from churn_service.monitoring.performance import Band, Week

FORMATS: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]


def add_commands(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (outcomes, performance):
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
    from churn_service.monitoring.outcomes import NO_CUSTOMERS, OfCustomer
    from churn_service.monitoring.sinks import open_outcomes

    settings, root = open_config(config)
    log = open_log(settings, root)
    sink = open_outcomes(log, settings.monitoring, load_settings().hash_key)
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


def performance(
    *,
    as_of: Annotated[
        datetime | None, typer.Option(formats=FORMATS, help="As it was known then; UTC; default: now")
    ] = None,
    weeks: Annotated[int, typer.Option(min=1, max=520, help="How many, the last that of --as-of")] = 26,
    version: Annotated[str | None, typer.Option("--version", help="Of one version; default: of all")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare what became of customers with what was predicted, week by week.

    Exit 3: in some week the outcomes contradict the probabilities.

    Example: churn-service performance --as-of 2026-06-01
    """
    from churn_service.monitoring.checks import check_performance
    from churn_service.monitoring.words import ADVICE

    settings, root = open_config(config)
    moment = as_of or datetime.now(UTC)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    found = check_performance(settings, root, as_of=moment, weeks=weeks, version=version)
    states = {week.state for week in found}
    if as_json:
        told = [{**asdict(week), "coverage": week.coverage} for week in found]
        print_json({"as_of": moment.isoformat(), "version": version, "weeks": told})
    else:
        names = "".join(f"{name:18}" for name in ("log loss", "expected", "churned", "expected", "ROC AUC"))
        typer.echo(f"{'week':9}{'answers':>9}{'outcomes':>9}{'lag, days':>10}  {names}")
        for week in found:
            typer.echo(_line(week))
        typer.echo(next((said for state, said in ADVICE.items() if state in states), "nothing was predicted"))
    if "concept_drift" in states:
        raise typer.Exit(RefusedError.exit_code)


def _line(week: "Week") -> str:
    real, expected = week.realised, week.expected or week.estimated
    columns = _cells(real.log_loss if real else None, expected.log_loss)
    columns += _cells(real.churn_rate if real else None, expected.churn_rate)
    columns += _cells(real.roc_auc if real else None)
    lag = "-" if week.lag_days is None else f"{week.lag_days:.1f}"
    return f"{week.week:9}{week.predicted:9,}{week.coverage:9.0%}{lag:>10}  {columns}{week.state}"


def _cells(*bands: "Band | None") -> str:
    shown = (f"{band.value:.2f} ({band.low:.2f}-{band.high:.2f})" if band else "-" for band in bands)
    return "".join(f"{each:18}" for each in shown)
