"""The command `score`."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    OverwriteOption,
    VersionOption,
    open_registry,
    open_workspace,
    print_json,
    progress,
    refuse_existing,
    say,
)
from skewless.core.errors import ConfigError, TableError
from skewless.core.formats import READABLE
from skewless.core.sections import PLAIN
from skewless.core.url import Url

if TYPE_CHECKING:
    from skewless.core.workspace import Workspace
    from skewless.scoring.batch import Recipe
    from skewless.scoring.places import Listing
    from skewless.scoring.score import How

FAILURES_SHOWN = 10
SCORED: Final = "scored.parquet"
"""Where the answers go if nothing is named."""
# No other file could be written either.
HOPELESS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@dataclass(frozen=True)
class Job:
    """What a person asked for."""

    source: Url
    out: Url
    key: str
    overwrite: bool
    threads: int
    dask: str | None


def add_commands(app: typer.Typer) -> None:
    """Register this command."""
    app.command()(score)


def score(
    context: typer.Context,
    source: Annotated[
        Url | None,
        typer.Argument(
            parser=Url,
            metavar="SOURCE",
            help=(
                f"A file, a folder or a pattern; path or URL. {READABLE}. "
                "Default: data.path"
            ),
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Url | None,
        typer.Argument(
            parser=Url,
            metavar="OUT",
            help=(
                "For a file CSV or Parquet, else a folder; path or URL. "
                "Without SOURCE: scored.parquet"
            ),
            show_default=False,
        ),
    ] = None,
    *,
    version: VersionOption = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Or worker processes of --dask local. Default: one per core"
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            help="Work on a cluster: 'local', or a scheduler's address, tcp://HOST:8786"
        ),
    ] = None,
    log: Annotated[
        bool,
        typer.Option("--log", help="Note the answers in the prediction log as well"),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Of a folder only the files that fit, as '*.csv'; may be repeated",
        ),
    ] = None,
    spreadsheet: Annotated[
        bool,
        typer.Option(
            "--spreadsheet",
            help="CSV for a person: a ' before text that a spreadsheet would run",
        ),
    ] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Score a file, or every file of a folder.

    Bad rows go to a .rejects.csv beside the output, with the reasons. A folder's
    outputs are Parquet, each there whole or not at all: repeat the command to go on
    where a run ended. What begins with _ or . is left out, and said. Exit 3: some files
    could not be scored, or something in the folder is not a table; then nothing is,
    unless --only chooses.

    Example: score records.parquet scored.parquet
    """
    from joblib import cpu_count

    from skewless.scoring.batch import Model, Recipe, load_model
    from skewless.scoring.score import How

    work = open_workspace(context, config)
    source, out = _places(work, source, out)
    listing = _list(source, only or ())
    if spreadsheet:
        _refuse_parquet(out, is_folder=listing is not None)
    registry = open_registry(work)
    name = registry.load(version).metadata.version
    model = Model(
        work.project,
        work.config.registry,
        work.root,
        work.config.serving,
        name,
        signed=registry.public_key is not None,
    )
    load_model(model)  # what is refused here would be refused for each file
    how = How(work.config.data.format, spreadsheet=spreadsheet)
    key = _key(name, how, log=log)
    if log:
        from skewless.monitoring.scored_log import keeper

        how = replace(how, keep=keeper(work))
    job = Job(
        source, out, key, overwrite=overwrite, threads=threads or cpu_count(), dask=dask
    )
    recipe = Recipe(model, how)
    if listing is None:
        result = _score_file(job, recipe)
    else:
        result = _score_folder(job, recipe, listing)
    _tell(result, str(out), name, as_json=as_json)


def _places(work: Workspace, source: Url | None, out: Url | None) -> tuple[Url, Url]:
    """Take the training table where nothing else is named."""
    if source is None:
        return Url(str(work.root / work.config.data.path)), Url(str(work.root / SCORED))
    if out is None:
        msg = f"where do the answers to {source} go? Name a file or a folder behind it"
        raise ConfigError(msg)
    return source, out


def _list(source: Url, only: Sequence[str]) -> Listing | None:
    from skewless.scoring.places import find_sources

    listing = find_sources(source, only)
    if listing is None and only:
        msg = (
            f"--only chooses among the files of a folder, and {source} is one. "
            "Do without it"
        )
        raise ConfigError(msg)
    return listing


def _key(version: str, how: How, *, log: bool) -> str:
    """Say by what is scored, and in which way."""
    key = version
    if how.form != PLAIN:
        key += f", {how.form.model_dump_json()}"
    if log:
        key += ", logged"
    return key


def _refuse_parquet(out: Url, *, is_folder: bool) -> None:
    if is_folder or not out.get_secret_value().endswith(".csv"):
        what = "a folder is scored to Parquet" if is_folder else f"{out} is not CSV"
        msg = (
            f"--spreadsheet: {what}. Score one file to a .csv, "
            "or do without it: Parquet holds no formulas"
        )
        raise ConfigError(msg)


def _score_file(job: Job, recipe: Recipe) -> dict[str, Any]:
    from skewless.core.atomic import check_suffix
    from skewless.scoring.batch import Part, key_of, score_part
    from skewless.scoring.places import find_source, is_there
    from skewless.scoring.score import REJECTS

    if job.dask is not None:
        msg = (
            f"--dask: a cluster works on the files of a folder, and {job.source} is "
            "one. Do without it"
        )
        raise ConfigError(msg)
    part = Part(job.source, job.out, key_of(find_source(job.source), job.key))
    out = job.out.get_secret_value()
    check_suffix(Path(str(job.out)))
    rejects = out.rpartition(".")[0] + REJECTS
    paths = [Path(out), Path(rejects)]
    # Its own source is never replaced, asked or not.
    written = {path.resolve() for path in paths}
    own = Path(job.source.get_secret_value()).resolve() in written
    refuse_existing(paths, overwrite=job.overwrite and not own)
    if not job.overwrite and is_there(job.out):
        msg = f"{job.out} exists already; name another, or --overwrite"
        raise ConfigError(msg)
    with progress("scoring") as advance:
        how = replace(recipe.how, threads=job.threads, progress=advance)
        scored = score_part(part, recipe._replace(how=how))
    where = str(Url(rejects)) if scored.rejected else None
    return {**scored._asdict(), "rejects": where}


def _score_folder(job: Job, recipe: Recipe, listing: Listing) -> dict[str, Any]:
    from skewless.scoring.batch import plan_parts, score_parts

    plan = plan_parts(
        job.source, listing.sources, job.out, key=job.key, overwrite=job.overwrite
    )
    rows = plan.done.rows
    rejected = plan.done.rejected
    failed = []
    with (
        progress("scoring") as advance,
        _executor(job, len(plan.todo)) as (executor, threads),
    ):
        # Whoever reads a folder of Parquet leaves out what begins with an underscore.
        how = replace(recipe.how, threads=threads, aside="_")
        for part, came in score_parts(plan.todo, recipe._replace(how=how), executor):
            if isinstance(came, OSError) and came.errno in HOPELESS:
                raise came
            if isinstance(came, Exception):
                reason = str(came) or type(came).__name__
                failed.append({"source": str(part.source), "reason": reason})
            else:
                rows += came.rows
                rejected += came.rejected
                advance(came.rows)
    return {
        "rows": rows,
        "rejected": rejected,
        "files": len(listing.sources),
        "files_done_before": plan.files_done,
        "failed": failed,
        "left_out": listing.left_out,
    }


@contextmanager
def _executor(job: Job, parts: int) -> Iterator[tuple[Executor, int]]:
    """Give what works on files, and the threads that each file gets."""
    if job.dask is not None:
        from skewless.scoring.cluster import open_cluster

        with open_cluster(job.dask, job.threads) as executor:
            yield executor, 1
        return
    together = max(1, min(job.threads, parts))
    with ThreadPoolExecutor(together) as executor:
        yield executor, job.threads // together


def _tell(result: dict[str, Any], out: str, version: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**result, "output": out, "model_version": version})
    else:
        _print(result, out, version)
    if result.get("failed"):
        raise typer.Exit(TableError.exit_code)


def _print(result: dict[str, Any], out: str, version: str) -> None:
    good = result["rows"] - result["rejected"]
    say(f"{out}: {good:,} of {result['rows']:,} rows by {version}")
    if result["rejected"]:
        where = result.get("rejects") or f"{out}/**/_*.rejects.csv"
        say(f"{where}: {result['rejected']:,} rows refused, with the reasons")
    if result.get("files_done_before"):
        say(
            f"{result['files_done_before']:,} of {result['files']:,} files "
            "were done before"
        )
    if result.get("left_out"):
        say(
            "left out, as what begins with _ or . is not data: "
            f"{_named(result['left_out'])}"
        )
    failed = result.get("failed", [])
    for each in failed[:FAILURES_SHOWN]:
        say(f"{each['source']}: {each['reason']}", err=True)
    if failed:
        line = (
            f"error: {len(failed):,} of {result['files']:,} files were not scored. "
            "Mend them and repeat"
        )
        say(line, err=True)


def _named(names: Sequence[str]) -> str:
    named = ", ".join(names[:FAILURES_SHOWN])
    more = len(names) - FAILURES_SHOWN
    return f"{named} and {more:,} more" if more > 0 else named
