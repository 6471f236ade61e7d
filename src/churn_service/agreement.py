"""Lock, schema file, documentation, newest version → whether they agree with the code, and what to do.

Where there is no pyproject.toml, as in an image, locks and pages are passed over.
"""

import re
import tomllib
from collections.abc import Collection, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from churn_service.artifact import sha256
from churn_service.config import config_schema
from churn_service.contract import columns
from churn_service.errors import ChurnError, ConfigError
from churn_service.metadata import Metadata
from churn_service.pipeline import LOCK
from churn_service.predict import load_predictor
from churn_service.registry import NEWEST, Registry
from churn_service.sections import Config

SCHEMA: Final = "config.schema.json"
# A package's name and version; the third group is there if only some Pythons or systems get it.
NAMED: Final = re.compile(r"^([\w.-]+)(?:\[[\w,.-]+\])?==(\S+)( ;)?", re.MULTILINE)
REQUIRED: Final = re.compile(r"[\w.-]+")
LINK: Final = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


class Finding(BaseModel, frozen=True):
    """What was looked at, and what came of it."""

    name: str
    state: Literal["ok", "note", "todo"]
    """A note is for a person to decide; what is to do makes `doctor` end with 3."""
    said: str
    to_do: str | None = None


def judge(name: str, fault: str | None, to_do: str, *, fine: str, note: bool = False) -> Finding:
    """Make a finding of a fault, or of there being none."""
    if fault is None:
        return Finding(name=name, state="ok", said=fine)
    return Finding(name=name, state="note" if note else "todo", said=fault, to_do=to_do)


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
    root: Path, config: Config, *, registry: Registry, commands: Collection[str]
) -> Iterator[Finding]:
    """Compare what is written down with what it is about; see `churn_service.doctor.examine`."""
    stale = None if read_text(root / SCHEMA) == config_schema() else f"{SCHEMA} is not what the code says"
    yield judge("config schema", stale, "make schema", fine=f"{SCHEMA} is what the code says")
    if project := read_project(root):
        yield from _locks(project, read_text(root / LOCK))
        yield _docs(root, set(project["project"]["scripts"]), commands)
    yield _version(root, config, registry)


def _locks(project: dict[str, Any], lock: str) -> Iterator[Finding]:
    locked = {_plain(name): (number, some) for name, number, some in NAMED.findall(lock)}
    absent = sorted(_required(project) - locked.keys())
    fault = f"{LOCK} does not hold {', '.join(absent) if lock else 'anything'}" if absent else None
    yield judge("lock", fault, "make lock", fine=f"{LOCK} holds every dependency")
    other = sorted(
        name for name, (number, some) in locked.items() if not some and _installed(name) not in {None, number}
    )
    fault = f"installed otherwise than locked: {', '.join(other)}" if other else None
    yield judge("installed", fault, "make install", fine="what is installed is what is locked")


def _required(project: dict[str, Any]) -> set[str]:
    """Name what pyproject.toml asks for, in every extra and group."""
    extras = project["project"].get("optional-dependencies", {})
    groups = project.get("dependency-groups", {})
    lists = [project["project"]["dependencies"], *extras.values(), *groups.values()]
    return {_plain(found[0]) for each in lists for line in each if (found := REQUIRED.match(line))}


def _plain(name: str) -> str:
    return re.sub(r"[._-]+", "-", name).lower()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # not needed on this system
        return None


def _docs(root: Path, programs: Collection[str], commands: Collection[str]) -> Finding:
    """Follow the links of the documentation, and look for the commands that it speaks of."""
    spoken = re.compile(rf"(?:`|\$ |/)(?:{'|'.join(programs)}) ([a-z]+)")
    wrong = []
    for page in filter(Path.is_file, [root / "README.md", *sorted((root / "docs").rglob("*.md"))]):
        text = read_text(page)
        lost = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
        lost += sorted(set(spoken.findall(text)) - set(commands))
        wrong += [f"{page.relative_to(root).as_posix()}: {each}" for each in lost]
    fault = f"what it names is not there: {'; '.join(wrong)}" if wrong else None
    return judge("docs", fault, "correct the pages", fine="what it links to and every command is there")


def _version(root: Path, config: Config, registry: Registry) -> Finding:
    """Tell whether the newest version is what this code, configuration and lock would make."""
    try:
        folder = registry.find(NEWEST)
        load_predictor(folder, public_key=registry.public_key)
    except ChurnError as error:
        return judge("version", str(error), "make train", fine="")
    metadata = registry.metadata(folder.name)
    others = ", ".join(_others(metadata, config, root))
    fault = f"{folder.name} was trained by another {others}" if others else None
    return judge("version", fault, "make train", fine=f"{folder.name} is of this code and configuration")


def _others(metadata: Metadata, config: Config, root: Path) -> Iterator[str]:
    made, ours = metadata.identity, config.model_dump(mode="json")
    lock = read_text(root / LOCK)
    if lock and made.lock_sha256 != sha256(lock.encode()):
        yield "lock"
    if made.columns != columns():
        yield "schema.py"
    sections = {
        "features": made.features,
        "decision": made.decision.model_dump(mode="json"),
        **metadata.training,
    }
    yield from (f"{name} section" for name, section in sections.items() if section != ours[name])
