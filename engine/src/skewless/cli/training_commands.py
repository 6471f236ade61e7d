"""The commands that make a version and measure it: train, evaluate."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    VersionOption,
    open_registry,
    open_workspace,
    print_json,
    print_metrics,
    progress,
    refuse_existing,
    say,
)
from skewless.core.metrics import SCORES, Metrics
from skewless.models.signing import read_signing_key

if TYPE_CHECKING:
    from skewless.core.bootstrap import Interval
    from skewless.core.contract import Contract
    from skewless.core.workspace import Workspace
    from skewless.models.metadata import Metadata
    from skewless.training.comparison import Comparison, Costs, Row
    from skewless.training.pipeline import Trained
    from skewless.training.tracking import Logged


def train(
    context: typer.Context,
    *,
    reproduce: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help=(
                "Register nothing: rebuild a version or alias from its record, "
                "and say what differs"
            ),
        ),
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(help="Write every broken cell here, as CSV")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Train, evaluate and register a model version from data.path.

    Example: train

    Example: train --reproduce newest
    """
    from skewless.core.atomic import check_suffix
    from skewless.training.pipeline import train_version
    from skewless.training.tracking import refuse_without_mlflow

    work = open_workspace(context, config)
    if faults is not None:
        check_suffix(faults)
        refuse_existing([faults], overwrite=False)
    key = read_signing_key(work.settings)
    with _listing(faults, work.contract):
        if reproduce is not None:
            _reproduce(reproduce, work, as_json=as_json)
            return
        is_logged = refuse_without_mlflow(work.settings)
        trained = train_version(work, say=partial(say, err=True), key=key)
    if as_json:
        told = trained.metadata.model_dump(mode="json", exclude={"golden"})
        print_json(told | {"path": str(trained.folder)})
    else:
        _say_trained(trained)
    if is_logged:
        _log_version(work, trained.folder)


def _say_trained(trained: "Trained") -> None:
    from skewless.models.artifact import CARD_PAGE

    print_metrics(trained.metadata.metrics)
    _say_what_it_is_worth(trained.metadata)
    outcome = "registered"
    if trained.already_there:
        outcome = "was trained before: verified and kept, with its first metrics"
    say(f"{trained.metadata.version} {outcome}")
    say(f"card: {trained.folder / CARD_PAGE}")


def _log_version(work: "Workspace", folder: Path) -> None:
    from skewless.models.artifact import read_artifact
    from skewless.training.tracking import log_version

    say("logging to MLflow", err=True)
    logged = log_version(work, read_artifact(folder))
    _say_logged(logged)
    if logged.model is None:
        say(
            "MLflow: no model is logged, as a pickle is all that there is of it",
            err=True,
        )


def _say_logged(logged: "Logged") -> None:
    done = "was logged before: kept" if logged.was_there else "logged"
    say(f"MLflow: run {logged.run} of experiment {logged.experiment} {done}", err=True)
    if logged.model is not None:
        say(f"MLflow: model {logged.model}", err=True)


def evaluate(
    context: typer.Context,
    table: Annotated[
        Path | None, typer.Argument(help="Default: data.path", show_default=False)
    ] = None,
    *,
    version: VersionOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Measure a version on the records that it never saw, beside the baseline.

    Example: evaluate --version 0.1.0-1a2b3c4d
    """
    from skewless.training.compare import evaluate_version

    work = open_workspace(context, config)
    registry = open_registry(work)
    evaluated, metrics = evaluate_version(work, registry, version=version, table=table)
    if as_json:
        print_json({"version": evaluated, "metrics": metrics})
    else:
        say(f"{evaluated} on {metrics['model']['rows']:,} records it never saw")
        print_metrics(metrics)


def compare(
    context: typer.Context,
    estimators: Annotated[
        list[str] | None,
        typer.Argument(help="Default: all that are installed", show_default=False),
    ] = None,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare estimators by cross-validation, beside the baseline.

    Nothing is written, unless MLFLOW_TRACKING_URI names a server to log to.

    Example: compare hist_gradient_boosting logistic_regression
    """
    from skewless.training import comparison, tracking

    work = open_workspace(context, config)
    is_logged = tracking.refuse_without_mlflow(work.settings)
    with progress("comparing", unit="fits") as advance:
        found = comparison.compare(work, estimators or [], advance=advance)
    for name, why in found.left_out.items():
        say(f"left out: {name}: {why}", err=True)
    table = list(_table(found))
    if as_json:
        print_json(_told(found))
    else:
        say(*table)
    if is_logged:
        say("logging to MLflow", err=True)
        text = "\n".join([*table, ""])
        _say_logged(tracking.log_comparison(work, found, told=_told(found), table=text))


def _told(found: "Comparison") -> dict[str, Any]:
    rows = {}
    for row in found.rows:
        rows[row.name] = {
            "cross_validated": {
                name: each._asdict() for name, each in row.cross_validated.items()
            },
            "holdout": {name: each._asdict() for name, each in row.holdout.items()},
            "behind": row.behind._asdict(),
            "costs": None if row.costs is None else row.costs._asdict(),
        }
    return {"chosen": found.chosen, "rows": rows, "left_out": dict(found.left_out)}


def _table(found: "Comparison") -> Iterator[str]:
    """Lay a comparison out: cross-validation, holdout, and what each costs."""
    best = found.rows[0].name
    yield "by cross-validation on the training side, with 95 % intervals"
    yield from _scores(found.rows, lambda row: row.cross_validated)
    yield ""
    yield f"log loss more than {best}, row by row: below 0 is better"
    for row in found.rows[1:]:
        said = f"  {row.name:24}{row.behind}"
        if row.behind.low <= 0 <= row.behind.high:
            said += "  no difference that shows"
        yield said
    yield ""
    yield "on the holdout, which is no reason to choose"
    yield from _scores(found.rows, lambda row: row.holdout)
    yield ""
    yield f"  {'costs':24}{'to train':>12}{'ONNX, a row':>14}{'size':>12}"
    for row in found.rows:
        if row.costs is not None:
            yield f"  {row.name:24}{_costs(row.costs)}"
    if found.chosen is not None:
        yield ""
        yield f"config.yaml chooses {found.chosen}; model.estimator changes that"


def _costs(costs: "Costs") -> str:
    taken = f"{costs.train_seconds:10.1f} s"
    if costs.microseconds is None or costs.bytes is None:
        return f"{taken}  it has no ONNX form"
    return f"{taken}{costs.microseconds:11.0f} µs{costs.bytes / 1024:9.0f} kB"


def _scores(
    rows: "Sequence[Row]", scores_of: "Callable[[Row], Mapping[str, Interval]]"
) -> Iterator[str]:
    heads = "".join(f"{name.replace('_', ' '):>26}" for name in SCORES)
    yield f"  {'':24}{heads}"
    for row in rows:
        found = scores_of(row)
        cells = "".join(
            f"{each.mean:10.4f} ({each.low:.4f}-{each.high:.4f})"
            for each in (found[name] for name in SCORES)
        )
        yield f"  {row.name:24}{cells}"


@contextmanager
def _listing(faults: Path | None, contract: "Contract") -> Iterator[None]:
    """Write the cells that a table is refused for where they are asked for."""
    from skewless.core.errors import TableError
    from skewless.tables.table import write_table

    try:
        yield
    except TableError as error:
        if faults is not None and error.faults is not None:
            write_table(error.faults, faults, contract)
            say(f"{faults}: {len(error.faults):,} broken cells", err=True)
        raise


def _reproduce(name: str, work: "Workspace", *, as_json: bool) -> None:
    from skewless.training.reproduce import reproduce

    done = reproduce(name, work, say=partial(say, err=True))
    if as_json:
        differences = {
            group: facts for group, facts in done.differences.items() if facts
        }
        print_json(
            {
                "version": done.version,
                "identical": done.identical,
                "differences": differences,
            }
        )
    else:
        say(*done.lines())
    done.refuse_another()
    if not as_json:
        say(f"identical: {done.version}")


def _say_what_it_is_worth(metadata: "Metadata") -> None:
    model = metadata.metrics["model"]["roc_auc"]
    baseline = metadata.metrics["baseline"]["roc_auc"]
    if "best possible" in metadata.metrics:
        say("the table is the simulator's: this model knows nothing of your data")
    again = metadata.holdout.repeated
    if again:
        say(
            f"{again:,} of the {metadata.holdout.rows:,} records held out equal one to "
            "train on, but for the id. If they are copies, they flatter the model: "
            "data.group names a column that keeps rows together"
        )
    if metadata.checkout.state != "clean":
        say(
            f"its code is of commit {metadata.commit}, "
            "so no commit is known to rebuild it from"
        )
    measured = Metrics.model_validate(metadata.metrics["model"])
    if measured.is_off:
        say(
            f"the probabilities are {measured.predicted_rate:.1%} on average where "
            f"{measured.event_rate:.1%} have the event: model.calibration maps them"
        )
    if model <= baseline:
        say("the model is no better than the baseline: do not use it")
