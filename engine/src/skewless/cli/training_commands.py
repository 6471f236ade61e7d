"""The commands that make a version and measure it: train, evaluate."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    VersionOption,
    open_registry,
    open_workspace,
    print_json,
    print_metrics,
    refuse_existing,
    say,
)
from skewless.core.metrics import Metrics
from skewless.models.signing import read_signing_key

if TYPE_CHECKING:
    from skewless.core.contract import Contract
    from skewless.core.workspace import Workspace
    from skewless.models.metadata import Metadata
    from skewless.training.pipeline import Trained


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
        _log_version(work, trained)


def _say_trained(trained: "Trained") -> None:
    from skewless.models.artifact import CARD_PAGE

    print_metrics(trained.metadata.metrics)
    say_what_it_is_worth(trained.metadata)
    outcome = "registered"
    if trained.already_there:
        outcome = "was trained before: verified and kept, with its first metrics"
    say(f"{trained.metadata.version} {outcome}")
    say(f"card: {trained.folder / CARD_PAGE}")


def _log_version(work: "Workspace", trained: "Trained") -> None:
    from skewless.models.artifact import read_artifact
    from skewless.training.tracking import log_version

    say("logging to MLflow", err=True)
    logged = log_version(work, read_artifact(trained.folder))
    done = "already has" if logged.was_there else "logged"
    name = trained.metadata.version
    say(f"MLflow: {done} run {name} in experiment {work.project.name}", err=True)
    model = f"model {logged.model}"
    if logged.model is None:
        model = "no model is logged, as a pickle is all that there is of it"
    say(f"MLflow: {model}", err=True)


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
    from skewless.training.evaluation import evaluate_version

    work = open_workspace(context, config)
    registry = open_registry(work)
    evaluated, metrics = evaluate_version(work, registry, version=version, table=table)
    if as_json:
        print_json({"version": evaluated, "metrics": metrics})
    else:
        say(f"{evaluated} on {metrics['model']['rows']:,} records it never saw")
        print_metrics(metrics)


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


def say_what_it_is_worth(metadata: "Metadata") -> None:
    """Say what speaks for a version and against it, ending with its card's verdict."""
    from skewless.models.card_words import capital, verdict, weights_of

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
        say(f"{_where_its_code_is(metadata)}, so no commit can rebuild it")
    measured = Metrics.model_validate(metadata.metrics["model"])
    weights = weights_of(metadata)
    if measured.is_off:
        say(
            f"the probabilities are {measured.predicted_rate:.1%} on average where "
            f"{measured.event_rate:.1%} have the event: model.calibration maps them"
        )
    elif weights:
        say(
            f"it was trained with {weights}, which makes an outcome look more likely "
            "than it is: model.calibration maps the probabilities"
        )
    worth = verdict(metadata)
    say(f"{capital(worth.said)}. {worth.reason}")


def _where_its_code_is(metadata: "Metadata") -> str:
    """Say why no commit holds the code that trained a version."""
    checkout = metadata.checkout
    if checkout.state == "unknown":
        return f"git cannot tell which commit its code is of: {checkout.reason}"
    if checkout.commit is None:
        return "nothing of its code is committed yet"
    return f"its code is commit {checkout.commit} with changes that are not committed"
