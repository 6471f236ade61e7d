"""Tell whether what belongs to the code agrees with it, and what to do.

That is the lock, the schema file, the documentation and the newest version. What cannot
be compared, as the lock is where there is no pyproject.toml, is unknown and not well.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from skewless.core.config_reference import config_schema
from skewless.core.errors import ConfigError, SkewlessError, StoreError
from skewless.core.provenance import engine_sha256
from skewless.core.workspace import Workspace
from skewless.models.artifact import sha256
from skewless.models.metadata import Metadata
from skewless.models.predict import open_predictor
from skewless.registry.registry import NEWEST, Registry
from skewless.training.pipeline import LOCK, NO_LOCK

SCHEMA: Final = "config.schema.json"
# A package's name and version; the third group is there if only some Pythons or systems
# get it.
NAMED: Final = re.compile(r"^([\w.-]+)(?:\[[\w,.-]+\])?==(\S+)( ;)?", re.MULTILINE)
REQUIRED: Final = re.compile(r"[\w.-]+")
LINK: Final = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


class Finding(BaseModel, frozen=True):
    """What was looked at, and what came of it."""

    name: str
    state: Literal["ok", "note", "todo", "unknown"]
    """A note is for a person to decide; unknown could not be looked at.

    The command ends with 3 if anything is unknown or to do.
    """
    said: str
    to_do: str | None = None


def judge(
    name: str, fault: str | None, to_do: str, *, fine: str, note: bool = False
) -> Finding:
    """Make a finding of a fault, or of there being none."""
    if fault is None:
        return Finding(name=name, state="ok", said=fine)
    return Finding(name=name, state="note" if note else "todo", said=fault, to_do=to_do)


def cannot_tell(name: str, why: str, to_do: str) -> Finding:
    """Make a finding of what could not be looked at.

    That is not the same as there being no fault.
    """
    return Finding(name=name, state="unknown", said=f"not checked: {why}", to_do=to_do)


def read_text(path: Path) -> str:
    """Read a file; one that is absent is empty."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def read_project(root: Path) -> dict[str, Any]:
    """Read pyproject.toml; empty where there is none.

    Raises
    ------
    ConfigError
        It cannot be understood, so nothing else would be.
    """
    try:
        return tomllib.loads(read_text(root / "pyproject.toml"))
    except tomllib.TOMLDecodeError as error:
        msg = f"pyproject.toml: not valid TOML ({error}); mend it, then ask again"
        raise ConfigError(msg) from error


def check_agreement(
    work: Workspace, *, registry: Registry, commands: Collection[str]
) -> Iterator[Finding]:
    """Compare what is written down with what it is about.

    See `skewless.cli.doctor.examine`.
    """
    root = work.root
    stale = None
    if read_text(root / SCHEMA) != config_schema(work.project):
        stale = f"{SCHEMA} is not what the code says"
    yield judge(
        "config schema", stale, "make schema", fine=f"{SCHEMA} is what the code says"
    )
    project = read_project(root)
    if project:
        yield from _locks(project, root)
        yield _docs(root, set(project["project"]["scripts"]), commands)
    else:
        for name in ("lock", "installed", "docs"):
            yield cannot_tell(
                name,
                "there is no pyproject.toml here",
                "ask in a clone of the repository",
            )
    yield from _newest(work, registry)


def _locks(project: dict[str, Any], root: Path) -> Iterator[Finding]:
    """Compare what is asked for with the locks, and the main one with what is there."""
    faults = []
    for name, required in _required(project, root).items():
        text = read_text(root / name)
        absent = sorted(required - {_plain(each[0]) for each in NAMED.findall(text)})
        if absent:
            missed = ", ".join(absent) if text else "anything"
            faults.append(f"{name} does not hold {missed}")
    fault = "; ".join(faults) or None
    yield judge("lock", fault, "make lock", fine="the locks hold every dependency")
    # The versions of each, as some are for one Python or system only.
    locked = dict[str, set[str]]()
    everywhere = set[str]()
    for name, number, some in NAMED.findall(read_text(root / LOCK)):
        locked.setdefault(_plain(name), set()).add(number)
        if not some:
            everywhere.add(_plain(name))
    yield _installed_as_locked(locked, everywhere)


def _installed_as_locked(locked: dict[str, set[str]], everywhere: set[str]) -> Finding:
    if not locked:
        return cannot_tell(
            "installed", f"{LOCK} holds nothing to compare with", "make lock"
        )
    found = {name: _installed(name) for name in locked}
    other = sorted(
        name for name, number in found.items() if number not in {None, *locked[name]}
    )
    absent = sorted(name for name in everywhere if found[name] is None)
    faults = []
    if other:
        faults.append(f"installed in another version than locked: {', '.join(other)}")
    if absent:
        faults.append(f"locked and not installed: {', '.join(absent)}")
    fault = "; ".join(faults) or None
    fine = "what is installed is what is locked"
    return judge("installed", fault, "make install", fine=fine)


def _required(project: dict[str, Any], root: Path) -> dict[str, set[str]]:
    """Name what pyproject.toml asks for, by the lock that has to hold it.

    An extra may have a lock of its own; what all others and the groups ask for is in
    the main one.
    """
    extras = project["project"].get("optional-dependencies", {})
    groups = project.get("dependency-groups", {})
    required = {LOCK: _names([*project["project"]["dependencies"]])}
    for lines in groups.values():
        required[LOCK] |= _names(lines)
    for name, lines in extras.items():
        lock = f"requirements-{name}.lock"
        if not (root / lock).is_file():
            lock = LOCK
        required[lock] = required.get(lock, set()) | _names(lines)
    return required


def _names(lines: Sequence[Any]) -> set[str]:
    found = [REQUIRED.match(line) for line in lines if isinstance(line, str)]
    return {_plain(each[0]) for each in found if each is not None}


def _plain(name: str) -> str:
    return re.sub(r"[._-]+", "-", name).lower()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # not needed on this system
        return None


def _docs(root: Path, programs: Collection[str], commands: Collection[str]) -> Finding:
    """Follow the links of the documentation, and look for the commands in it."""
    spoken = re.compile(rf"(?:`|\$ |/)(?:{'|'.join(programs)}) ([a-z]+)")
    expected = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    pages = [page for page in expected if page.is_file()]
    if not pages:
        return cannot_tell(
            "docs",
            "there is no README.md and no page in docs/ here",
            "put the pages back",
        )
    wrong = []
    for page in pages:
        text = read_text(page)
        lost = [
            link for link in LINK.findall(text) if not (page.parent / link).exists()
        ]
        lost += sorted(set(spoken.findall(text)) - set(commands))
        wrong += [f"{page.relative_to(root).as_posix()}: {each}" for each in lost]
    fault = f"what it names is not there: {'; '.join(wrong)}" if wrong else None
    return judge(
        "docs",
        fault,
        "correct the pages",
        fine="what it links to and every command is there",
    )


def _newest(work: Workspace, registry: Registry) -> Iterator[Finding]:
    """Tell whether this configuration and lock would make the newest version.

    Tell also which commit it is of.
    """
    try:
        artifact = registry.load(NEWEST)
        # Its golden rows must come out as they were.
        open_predictor(artifact, work.project, work.config.serving)
    except StoreError as error:
        yield cannot_tell("version", str(error), "ask again when the registry answers")
        return
    except SkewlessError as error:
        yield judge("version", "; ".join(error.args), "make train", fine="")
        return
    yield _version(artifact.metadata, work, stale=registry.stale)
    yield _commit(artifact.metadata)


def _version(metadata: Metadata, work: Workspace, *, stale: str | None) -> Finding:
    if stale is not None:
        return cannot_tell("version", stale, "ask again when the registry answers")
    others = ", ".join(_others(metadata, work))
    if others:
        fault = f"{metadata.version} was trained by another {others}"
        return judge("version", fault, "make train", fine="")
    if not read_text(work.root / LOCK) and metadata.identity.lock_sha256 != NO_LOCK:
        why = f"{LOCK}, which {metadata.version} was trained by, is not here or empty"
        return cannot_tell("version", why, "ask in a clone of the repository")
    fine = (
        f"{metadata.version} is of this schema, configuration and lock, "
        "and answers as when it was trained"
    )
    return judge("version", None, "", fine=fine)


def _commit(metadata: Metadata) -> Finding:
    """Tell whether a commit holds all of the code that trained the newest version."""
    state = metadata.checkout.state
    said = f"{metadata.version} was trained by commit {metadata.commit}"
    if state == "unknown":
        to_do = "make `git status` answer here, raise model.version, make train"
        return cannot_tell("commit", said, to_do)
    fault = said if state == "dirty" else None
    to_do = "commit, raise model.version, make train, before it goes into production"
    return judge("commit", fault, to_do, fine=said, note=True)


def _others(metadata: Metadata, work: Workspace) -> Iterator[str]:
    made = metadata.identity
    config = work.config
    ours = config.model_dump(mode="json") | {
        "decision": config.decision.decided.model_dump(mode="json")
    }
    lock = read_text(work.root / LOCK)
    if lock and made.lock_sha256 != sha256(lock.encode()):
        yield "lock"
    if made.engine_sha256 != engine_sha256():
        yield "engine"
    if made.columns != work.contract.columns:
        yield "schema.py"
    sections = {
        "features": made.features,
        "decision": made.decision.model_dump(mode="json"),
        **metadata.training,
    }
    for name, section in sections.items():
        if section != ours[name]:
            yield f"{name} section"
