"""Score every file of a folder into another, by threads or a cluster.

A file is the unit of work: it is scored whole or not at all, and never twice. What was
scored, by which version, stands in the output's own metadata; so to go on with a run
that was broken off is to repeat it.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from skewless.core.errors import ConfigError
from skewless.core.project import Project
from skewless.core.sections import RegistryConfig, ServingConfig
from skewless.core.settings import load_settings
from skewless.core.url import Url
from skewless.models.predict import Predictor, open_predictor
from skewless.models.signing import read_public_key
from skewless.registry.remote import open_registry
from skewless.scoring.places import (
    Source,
    brought,
    delivered,
    is_below,
    names_below,
    opened,
)
from skewless.scoring.score import How, Scored, rejects_of, score_file, scored_before

LOOKS = 16  # at outputs, at a time


@dataclass(frozen=True)
class Model:
    """A version by reference: whoever scores finds, verifies and loads it."""

    project: Project[Any, Any]
    registry: RegistryConfig
    root: Path
    """What the registry's relative paths start from."""
    serving: ServingConfig
    version: str
    signed: bool
    """Whether it must have its owner's signature."""


class Part(NamedTuple):
    """A file to score."""

    source: Url
    output: Url
    key: str
    """What is scored, in which state, by what."""


class Recipe(NamedTuple):
    """What is the same for all parts."""

    model: Model
    how: How


@dataclass(frozen=True)
class Plan:
    """What there is to do, and what was done before."""

    todo: tuple[Part, ...]
    done: Scored
    files_done: int


def plan_parts(
    source: Url, sources: Sequence[Source], out: Url, *, key: str, overwrite: bool
) -> Plan:
    """Name the outputs, and find those that are there already.

    Parameters
    ----------
    source, sources
        The folder or pattern, and the files in it.
    out
        The folder or URL of the outputs: a Parquet file for each, under its source's
        path.
    key
        What makes an answer besides the source: the version.
    overwrite
        Replace outputs of another version, or of another state of their source.

    Raises
    ------
    ConfigError
        An output would be a source, or two sources would have one output, or a file is
        there that is none of this work.
    """
    home = out.get_secret_value()
    if out.is_url:
        home = home.rstrip("/")
    else:  # a worker may work in another folder
        home = Path(home).expanduser().absolute().as_posix()
    parts = [
        Part(each.url, Url(f"{home}/{_name(each)}"), key_of(each, key))
        for each in sources
    ]
    _refuse_confusion(source, out, parts)
    there = names_below(out)
    present = [
        part for part, each in zip(parts, sources, strict=True) if _name(each) in there
    ]
    done = _done_before(present)
    others = [str(part.output) for part in present if part not in done]
    if others and not overwrite:
        more = ", …" if others[3:] else ""
        msg = (
            f"{', '.join(others[:3])}{more}: "
            "not made of this source as it is now, by this version and in this way. "
            "Name another folder, or --overwrite"
        )
        raise ConfigError(msg)
    todo = tuple(part for part in parts if part not in done)
    scored = Scored(
        rows=sum(each.rows for each in done.values()),
        rejected=sum(each.rejected for each in done.values()),
    )
    return Plan(todo, scored, len(done))


def key_of(source: Source, key: str) -> str:
    """Say what is scored, in which state and by what.

    An output keeps it, so it is without passwords.
    """
    return json.dumps([str(source.url), source.tag, key])


def score_parts(
    parts: Sequence[Part], recipe: Recipe, executor: Executor
) -> Iterator[tuple[Part, Scored | Exception]]:
    """Score files, and tell of each when it is done; one that fails holds up no other.

    Parameters
    ----------
    parts, recipe
        What to do.
    executor
        Who does it: threads, or a Dask cluster's `get_executor()`.
    """
    futures = {executor.submit(score_part, part, recipe): part for part in parts}
    try:
        for future in as_completed(futures):
            yield futures[future], _came_of(future)
    finally:
        for future in futures:
            future.cancel()  # does nothing to what was begun


def score_part(part: Part, recipe: Recipe) -> Scored:
    """Score one file, here.

    The version is verified and loaded, the file is brought here, and the answers are
    taken to their place.

    Raises
    ------
    SkewlessError
        The file is no table of the contract, the version is refused, or a place cannot
        be asked.
    """
    predictor = load_model(recipe.model)
    rejects = rejects_of(PurePosixPath(part.output.get_secret_value()), recipe.how)
    with brought(part.source) as source, delivered(part.output, rejects) as output:
        return score_file(source, output, predictor, how=recipe.how, key=part.key)


@cache
def load_model(model: Model) -> Predictor:
    """Find, verify and load a version, once in a process.

    Raises
    ------
    ArtifactError
        It is not there, or refused.
    ConfigError
        It must be signed, and this process was not told by whom.
    """
    settings = load_settings(model.project.prefix)
    key = read_public_key(settings)
    if model.signed and key is None:
        variable = settings.variable("public_key")
        msg = (
            f"{variable} is not set where a worker runs, so nothing is verified. "
            "Set it there"
        )
        raise ConfigError(msg)
    registry = open_registry(model.registry, model.root, public_key=key)
    return open_predictor(registry.load(model.version), model.project, model.serving)


def _name(source: Source) -> str:
    if source.name.endswith(".parquet"):
        return source.name
    return f"{source.name}.parquet"  # b.csv is not b.txt


def _came_of(future: Future[Scored]) -> Scored | Exception:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - one file is told of, the others go on
        return error


def _done_before(present: Sequence[Part]) -> dict[Part, Scored]:
    """Find the parts whose output was made of just what would be scored now."""
    with ThreadPoolExecutor(LOOKS) as pool:  # in a store each look is a request
        looks = list(pool.map(_before, present))
    done = {}
    for part, found in zip(present, looks, strict=True):
        if found is None:
            continue
        key, scored = found
        if key == part.key:
            done[part] = scored
    return done


def _before(part: Part) -> tuple[str, Scored] | None:
    with opened(part.output) as file:
        return scored_before(file)


def _refuse_confusion(source: Url, out: Url, parts: Sequence[Part]) -> None:
    if len({part.output for part in parts}) < len(parts):
        msg = (
            f"{source}: a text and a Parquet file would have the same output. "
            "Move one of them, or rename it"
        )
        raise ConfigError(msg)
    if is_below(out, source):
        msg = (
            f"{out}: what is written there would be among the sources next time. "
            "Name a folder elsewhere"
        )
        raise ConfigError(msg)
