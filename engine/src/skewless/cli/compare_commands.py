"""The command that puts estimators side by side: compare."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    OverwriteOption,
    open_workspace,
    print_json,
    progress,
    refuse_existing,
    say,
)
from skewless.core.atomic import replace_file
from skewless.core.errors import ConfigError, SkewlessError
from skewless.core.metrics import SCORES

if TYPE_CHECKING:
    from skewless.core.bootstrap import Interval
    from skewless.core.workspace import Workspace
    from skewless.training.comparison import Comparison, Costs, Row
    from skewless.training.proposal import Proposal


def compare(
    context: typer.Context,
    estimators: Annotated[
        list[str] | None,
        typer.Argument(help="Default: all that are installed", show_default=False),
    ] = None,
    *,
    tune: Annotated[
        int | None,
        typer.Option(
            metavar="TRIALS",
            min=1,
            max=100_000,
            help="Search the knobs of each estimator, too, in this many trials",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page with pictures", show_default=False),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare estimators by cross-validation, beside the baseline.

    With --tune, the knobs are searched in the ranges that config.py declares, on the
    training side alone, and what config.yaml would have to say for the best is printed
    as a diff: `git apply` and `patch -p1` take the whole output. No version is written.
    If MLFLOW_TRACKING_URI names a server, all is logged there.

    Example: compare hist_gradient_boosting logistic_regression

    Example: compare --tune 30 --html compared.html | tee compared.txt
    """
    from skewless.training import comparison
    from skewless.training.tracking import refuse_without_mlflow

    _check_page(html, overwrite=overwrite)
    trials = tune or 0
    work = open_workspace(context, config)
    is_logged = refuse_without_mlflow(work.settings)
    path = config or work.settings.config
    text = path.read_bytes().decode()  # its line ends as they are
    with _interruptible(), progress("comparing", unit="fits") as advance:
        found = comparison.compare(
            work, estimators or [], trials=trials, advance=advance
        )
    proposal = _proposal(found, work, text, path=path) if trials else None
    _say_left_out(found)
    lines = list(_lines(found, proposal, work, trials=trials))
    told = _as_json(found, proposal)
    if as_json:
        print_json(told)
    else:
        say(*lines)
    # Whatever becomes of the one that comes first, the other is tried.
    try:
        if is_logged:
            _log(work, found, told=told, lines=lines)
    finally:
        _write_page(html, found, proposal, trials=trials)


def _check_page(path: Path | None, *, overwrite: bool) -> None:
    """Refuse a page that could not be written, before the work that it would show."""
    if path is None:
        return
    if str(path) == "-":
        msg = "--html -: a page is not printed; name a file, for example compared.html"
        raise ConfigError(msg)
    refuse_existing([path], overwrite=overwrite)
    folder = next(each for each in path.absolute().parents if each.exists())
    try:
        # Under another name, so that a page that is there stays.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".compare-"):
            pass
    except OSError as error:
        msg = (
            f"--html {path}: no file can be written in {folder} ({error.strerror}); "
            "name another place"
        )
        raise ConfigError(msg) from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Say what is lost where a person stops the work."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted: what was compared is lost, nothing was written", err=True)
        raise


def _say_left_out(found: "Comparison") -> None:
    for name, why in found.left_out.items():
        say(f"left out: {name}: {why}", err=True)


def _proposal(
    found: "Comparison", work: "Workspace", text: str, *, path: Path
) -> "Proposal | None":
    from skewless.training.proposal import propose

    name, folder = _place(path)
    return propose(found, work, text=text, name=name, folder=folder)


def _log(
    work: "Workspace", found: "Comparison", *, told: dict[str, Any], lines: list[str]
) -> None:
    from skewless.training.tracking import COMPARISON, log_comparison

    say("logging to MLflow", err=True)
    log_comparison(work, found, told=told, table="\n".join([*lines, ""]))
    name = work.project.name
    say(f"MLflow: logged run {COMPARISON} in experiment {name}", err=True)


def _write_page(
    path: Path | None,
    found: "Comparison",
    proposal: "Proposal | None",
    *,
    trials: int,
) -> None:
    if path is None:
        return
    from skewless.training.comparison_page import render_comparison

    page = render_comparison(found, proposal, trials=trials).encode()
    try:
        replace_file(path, page)
    except OSError as error:
        msg = (
            f"{path}: the page could not be written ({error.strerror}). The comparison "
            "is above; name another place with --html to have it as a page"
        )
        raise SkewlessError(msg) from error


def _place(path: Path) -> tuple[str, str | None]:
    """Return the path of config.yaml for a diff, and the folder to apply the diff in.

    Without a folder, it is applied where the command ran.
    """
    here = Path.cwd()
    if path.resolve().is_relative_to(here):
        return path.resolve().relative_to(here).as_posix(), None
    return path.name, str(path.parent)


def _as_json(found: "Comparison", proposal: "Proposal | None") -> dict[str, Any]:
    rows = {}
    for row in found.rows:
        told: dict[str, Any] = {
            "cross_validated": {
                name: each._asdict() for name, each in row.cross_validated.items()
            },
            "holdout": {name: each._asdict() for name, each in row.holdout.items()},
            "behind": row.behind._asdict(),
            "estimator": None,
            "tuned": {},
            "costs": None,
        }
        if row.trained is not None:
            told["estimator"] = row.trained.estimator
            told["tuned"] = dict(row.trained.tuned)
            told["costs"] = row.trained.costs._asdict()
        rows[row.name] = told
    return {
        "chosen": found.chosen,
        "rows": rows,
        "left_out": dict(found.left_out),
        "untuned": dict(found.untuned),
        "runtime": found.runtime,
        "proposal": None if proposal is None else proposal._asdict(),
    }


def _lines(
    found: "Comparison", proposal: "Proposal | None", work: "Workspace", *, trials: int
) -> Iterator[str]:
    """Write a comparison for people."""
    yield from _table(found)
    if trials:
        yield from _tuning(found, proposal, work)


def _table(found: "Comparison") -> Iterator[str]:
    """Lay a comparison out: cross-validation, holdout, and what each costs."""
    best = found.rows[0].name
    width = max(len(row.name) for row in found.rows) + 2
    yield "by cross-validation on the training side, with 95 % intervals"
    yield from _scores(found.rows, lambda row: row.cross_validated, width)
    yield ""
    yield f"log loss more than {best}, row by row: below 0 is better"
    for row in found.rows[1:]:
        said = f"  {row.name:{width}}{row.behind}"
        if row.behind.low <= 0 <= row.behind.high:
            said += "  no difference that shows"
        yield said
    yield ""
    yield "on the holdout, which is no reason to choose"
    yield from _scores(found.rows, lambda row: row.holdout, width)
    yield ""
    by = f"{found.runtime}, a row"
    yield f"  {'costs':{width}}{'to train':>12}{by:>22}{'size':>12}"
    for row in found.rows:
        if row.trained is not None:
            yield f"  {row.name:{width}}{_costs(row.trained.costs)}"
    if found.chosen is not None:
        yield ""
        yield f"config.yaml chooses {found.chosen}; model.estimator changes that"


def _costs(costs: "Costs") -> str:
    return (
        f"{costs.train_seconds:10.1f} s{costs.microseconds:19.0f} µs"
        f"{costs.bytes / 1024:9.0f} kB"
    )


def _scores(
    rows: "Sequence[Row]",
    scores_of: "Callable[[Row], Mapping[str, Interval]]",
    width: int,
) -> Iterator[str]:
    heads = "".join(f"{name.replace('_', ' '):>26}" for name in SCORES)
    yield f"  {'':{width}}{heads}"
    for row in rows:
        found = scores_of(row)
        cells = "".join(
            f"{each.mean:10.4f} ({each.low:.4f}-{each.high:.4f})"
            for each in (found[name] for name in SCORES)
        )
        yield f"  {row.name:{width}}{cells}"


def _tuning(
    found: "Comparison", proposal: "Proposal | None", work: "Workspace"
) -> Iterator[str]:
    """Say which knobs were found, and what to write into config.yaml."""
    from skewless.training.proposal import why_nothing

    yield ""
    yield "tuned on the training side, in other folds"
    for row in found.rows:
        if row.trained is not None and row.trained.tuned:
            knobs = row.trained.tuned.items()
            yield f"  {row.name}: " + ", ".join(f"{key} {each}" for key, each in knobs)
    for name, why in found.untuned.items():
        yield f"  {name}: {why}"
    yield ""
    nothing = why_nothing(found, work.config.model.estimator)
    if nothing is not None:
        yield nothing
    if proposal is None or found.chosen is None:
        return
    best = found.rows[0].name
    behind = found.named[found.chosen].behind
    shows = "" if behind.low > 0 else ": no difference that shows"
    yield f"{found.chosen} as in config.yaml loses {behind} more than {best}{shows}"
    yield ""
    yield from proposal.lines()
