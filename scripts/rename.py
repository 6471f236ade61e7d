"""Give the project another name, and other nouns.

The nouns say what a record is, and which event is predicted.

Usage: python scripts/rename.py [NAME] [--record NOUN] [--event NOUN] [--dry-run]
    [--uncommitted]

copier calls this where it has copied the files to, also when it updates a project.

``my-service`` is the name and the command; the package becomes ``my_service``, and the
variables ``MY_…`` after the first word, in front of the names of settings. With the
record ``loan`` the class is `Loan`, a batch has `loans`, and the id is `loan_id`; with
the event ``default`` an answer has `default_probability`. The present words are read
from pyproject.toml. What the table calls its columns and values stays, and so does
LICENSE.
"""

import argparse
import ast
import contextlib
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from git_status import Refused, check_committed, list_files, uncommitted
from nouns import (
    EVENT,
    RECORD,
    Nouns,
    complaint_of_nouns,
    replace_nouns,
    replace_nouns_in_code,
)

ROOT: Final = Path(__file__).resolve().parents[1]
# PEP 508, and a module's name with _ for -.
NAME: Final = re.compile(r"[a-z][a-z0-9]{1,9}(-[a-z0-9]+)*")
# So many, and ten in the first word, leave the layout of the code as it is.
MOST_LETTERS: Final = 24
# Whoever wrote the template stays named; and what speaks of renaming shows names that
# are examples.
KEPT: Final = {
    Path(name)
    for name in (
        "LICENSE",
        "copier.yml",
        "docs/template.md",
        "engine/docs/promises.md",
        "engine/tests/template/test_copier.py",
        "engine/tests/template/test_levels.py",
        "engine/tests/template/test_rename.py",
        "scripts/nouns.py",
        "scripts/rename.py",
    )
}
# Where a file that knows the table speaks of the project; its other words are the
# table's own.
IMPORT: Final = rb"(?m)^[ \t]*(?:from|import)[ \t]+[\w.]+"
COMMENT: Final = rb"(?m)(?:^|[ \t])#.*"
OF_THE_PROJECT: Final = {
    "schema.py": IMPORT,
    "features.py": IMPORT,
    "test_features.py": IMPORT,
    "config.yaml": COMMENT,
}
# The engine knows them: in the clone, or where it is installed.
SETTINGS: Final = (
    "engine/src/*/core/settings.py",
    ".venv/lib/python*/site-packages/skewless/core/settings.py",
)
# What says nothing of a record or an event, or says what another table may call them.
WITHOUT_NOUNS: Final = (
    "engine",
    "CHANGELOG.md",
    "docs/adopting.md",
    "docs/decisions",
)
# Where the event's noun is a word of a sentence, and not the name of a host or a
# folder.
WITH_PROSE: Final = (
    "src",
    "tests",
    "notebooks",
    "examples",
    "README.md",
    "pyproject.toml",
    "config.yaml",
)
# The table that `make train` makes up where there is none; a noun names its id.
SIMULATED: Final = "data/customers.csv"
# Of a word, or behind an escape in a string.
START: Final = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"
END: Final = rb"(?![A-Za-z0-9_])"


class Names(NamedTuple):
    """What a project is called, by where it is called so."""

    command: str
    package: str
    prefix: str

    @classmethod
    def of(cls, name: str) -> "Names":
        """Derive the others from the name.

        >>> tuple(Names.of("credit-risk-model"))
        ('credit-risk-model', 'credit_risk_model', 'CREDIT_')
        """
        return cls(name, name.replace("-", "_"), name.partition("-")[0].upper() + "_")


class Change(NamedTuple):
    """A file, before and after: where it is, what it holds, how many names change."""

    path: Path
    moved: Path
    before: bytes
    after: bytes
    names: int


def settings(folder: Path) -> set[str]:
    """Name the variables of a project, and of this one, without their prefix."""
    found = set[str]()
    for top in {folder, ROOT}:
        for place in SETTINGS:
            for path in top.glob(place):
                found.update(_settings_in(path))
    return found


def _settings_in(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.ClassDef) and node.name == "Settings":
            for field in node.body:
                match field:
                    case ast.AnnAssign(target=ast.Name(id=name)):
                        yield name.upper()
                    case _:
                        pass


def replace(
    content: bytes, old: Names, new: Names, *, variables: AbstractSet[str]
) -> tuple[bytes, int]:
    r"""Put new names for the old ones, where they are whole words, and count them.

    >>> old, new = Names.of("churn-service"), Names.of("my-service")
    >>> said = b"churn-service churn_service.api event_rate the-churn-service"
    >>> replace(said, old, new, variables=set())
    (b'my-service my_service.api event_rate the-churn-service', 2)
    >>> said = b"CHURN_PORT CHURN_{name} CHURN_RISK CHURN_PORTS"
    >>> replace(said, old, new, variables={"PORT"})
    (b'MY_PORT MY_{name} CHURN_RISK CHURN_PORTS', 2)
    """
    names = {
        one.encode(): other.encode()
        for one, other in zip(old, new, strict=True)
        if one != other  # two names may begin with the same word
    }
    if not any(name in content for name in names):
        return content, 0  # the usual case, many times faster
    command, package, prefix = (re.escape(word.encode()) for word in old)
    # Or none: what follows is made up when it runs.
    known = "|".join(sorted(variables)).encode()
    words = b"(?:%s|%s)%s" % (command, package, END)
    if old.prefix != new.prefix:
        words += b"|%s(?=(?:%s)?%s)" % (prefix, known, END)
    return re.subn(START + b"(?:%s)" % words, lambda found: names[found[0]], content)


def replace_in(
    name: Path, content: bytes, *, old: Names, new: Names, variables: AbstractSet[str]
) -> tuple[bytes, int]:
    """Put new names for the old ones in a file.

    In one that knows the table, do so where it names the project.
    """
    if name.name not in OF_THE_PROJECT:
        return replace(content, old, new, variables=variables)
    counts = [0]

    def within(found: re.Match[bytes]) -> bytes:
        after, count = replace(found[0], old, new, variables=variables)
        counts.append(count)
        return after

    return re.sub(OF_THE_PROJECT[name.name], within, content), sum(counts)


def is_kept(name: Path) -> bool:
    """Tell whether a file keeps its words.

    One that shows names does, and one of the engine, which knows no project.
    """
    return name in KEPT or name.is_relative_to("engine/src")


def present_words(folder: Path) -> "Words":
    """Read what a project, a record and the event are called now."""
    document = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    nouns = document.get("tool", {}).get("nouns", {})
    present = Nouns(nouns.get("record", RECORD), nouns.get("event", EVENT))
    return Words(Names.of(document["project"]["name"]), present)


def complaint(name: str, folder: Path) -> str | None:
    """Say what is wrong with a name by itself, or None."""
    if not NAME.fullmatch(name) or len(name) > MOST_LETTERS:
        return (
            "it must be words of small letters and digits with - between, "
            "such as my-service; "
            f"the first of two to ten letters, all of at most {MOST_LETTERS}"
        )
    locks = "".join(
        path.read_text(encoding="utf-8") for path in folder.glob("requirements*.lock")
    )
    if name.replace("-", "_") in sys.stdlib_module_names or f"\n{name}==" in locks:
        return "a package that the project installs is called so"
    present = present_words(folder).names.command
    if "-" in name and "-" not in present:
        return f"from {present}, a name of one word, only to another of one word"
    return None


def read(path: Path) -> bytes:
    """Read a file; of a link, where it leads."""
    return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Write a file in place, so that it keeps its mode; let a link lead elsewhere."""
    if path.is_symlink():
        path.unlink()
        path.symlink_to(os.fsdecode(content))
    else:
        path.write_bytes(content)


def tidy(folder: Path) -> None:
    """Remove a folder that has only what Python made in it, and so those around it."""
    if {path.name for path in folder.glob("*")} <= {"__pycache__"}:
        shutil.rmtree(folder, ignore_errors=True)
        tidy(folder.parent)


class Words(NamedTuple):
    """All that a project is called by."""

    names: Names
    nouns: Nouns


def plan(
    folder: Path,
    files: list[Path],
    *,
    old: Words,
    new: Words,
    variables: AbstractSet[str],
) -> Iterator[Change]:
    """Work out every change.

    Raises
    ------
    Refused
        The new names stand somewhere already, so the old ones could not be put back.
    """
    for name in files:
        path = folder / name
        if is_kept(name) or not (path.is_file() or path.is_symlink()):
            continue
        before = read(path)
        there = os.fsencode(name)
        moved, moves = replace(there, old.names, new.names, variables=variables)
        after = before
        count = 0
        if b"\0" not in before and old.names != new.names:
            after, count = replace_in(
                name, before, old=old.names, new=new.names, variables=variables
            )
            _, taken = replace_in(
                name,
                there + b"\n" + before,
                old=new.names,
                new=old.names,
                variables=variables,
            )
            if taken:
                *words, last = [word for word in new.names if word not in old.names]
                msg = f"{name} has {', '.join(words)} or {last} in it already"
                raise Refused(msg)
        after, nouns = nouns_in(name, after, old=old.nouns, new=new.nouns)
        if count or moves or nouns:
            yield Change(
                path, folder / os.fsdecode(moved), before, after, count + moves + nouns
            )


def nouns_in(
    name: Path, content: bytes, *, old: Nouns, new: Nouns
) -> tuple[bytes, int]:
    """Put new nouns for the old ones in a file of the project, and count them."""
    is_silent = any(name.is_relative_to(place) for place in WITHOUT_NOUNS)
    if old == new or is_silent or b"\0" in content:
        return content, 0
    text = content.decode(errors="surrogateescape")
    prose = old.event == EVENT and any(
        name.is_relative_to(place) for place in WITH_PROSE
    )
    if name.name not in OF_THE_PROJECT:
        after, count = replace_nouns(text, old, new, prose=prose)
    elif name.suffix == ".py":
        after, count = replace_nouns_in_code(text, old, new)
    else:  # config.yaml, whose values are the table's
        comment = re.compile(COMMENT.decode())
        put = partial(replace_nouns, old=old, new=new, prose=prose)
        after = comment.sub(lambda found: put(found[0])[0], text)
        count = sum(put(found[0])[1] for found in comment.finditer(text))
    return after.encode(errors="surrogateescape"), count


def apply(changes: list[Change]) -> None:
    """Make every change, or none if one fails."""
    done = list[Change]()
    try:
        for change in changes:
            done.append(change)
            write(change.path, change.after)
            change.moved.parent.mkdir(parents=True, exist_ok=True)
            change.path.replace(change.moved)
    except BaseException:
        for change in reversed(done):
            change.path.parent.mkdir(parents=True, exist_ok=True)
            # The one that failed had not moved.
            with contextlib.suppress(FileNotFoundError):
                change.moved.replace(change.path)
            write(change.path, change.before)
        raise
    finally:
        for change in changes:
            tidy(change.moved.parent)
            tidy(change.path.parent)


def rename(
    folder: Path, wanted: Words, files: list[Path], *, variables: AbstractSet[str]
) -> list[Change]:
    """Work out how some of a project's files change for another name, or other nouns.

    Raises
    ------
    Refused
        A word cannot be used.
    """
    old = present_words(folder)
    name = wanted.names.command
    wrong = None if old.names == wanted.names else complaint(name, folder)
    if wrong:
        msg = f"{name}: {wrong}"
        raise Refused(msg)
    wrong = complaint_of_nouns(wanted.nouns, old.nouns, folder)
    if wrong:
        raise Refused(wrong)
    if old == wanted:
        return []
    return list(plan(folder, files, old=old, new=wanted, variables=variables))


def template_only(folder: Path) -> list[str]:
    """Name what a clone has only to make projects, if git could bring it back.

    That is what copier leaves out. None in a project that copier made, and none where
    git does not tell.
    """
    listed = folder / "copier.yml"
    if not listed.exists():
        return []
    always = re.findall(r"(?m)^  - ([\w./]+)$", listed.read_text(encoding="utf-8"))
    try:
        changed = uncommitted(folder)
    except Refused:
        return []
    present = [name for name in always if name != ".git" and (folder / name).exists()]
    return [name for name in present if not _is_or_holds(name, changed)]


def _is_or_holds(name: str, paths: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}/") for path in paths)


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files and folders."""
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def introduce(folder: Path, description: str = "", holder: str = "") -> None:
    """Say what the project is, and who holds the copyright of what is added.

    Each is said where it is known.
    """
    if description:
        line = f"description = {json.dumps(description, ensure_ascii=False)}"
        _replace_line(folder / "pyproject.toml", r"description = .*", lambda _: line)
    if holder:
        line_below = f"\nCopyright (c) {holder}"
        _replace_line(
            folder / "LICENSE", r"Copyright .*", lambda found: found[0] + line_below
        )


def _replace_line(path: Path, line: str, by: Callable[[re.Match[str]], str]) -> None:
    text = path.read_bytes().decode()
    path.write_bytes(re.sub(rf"(?m)^{line}$", by, text, count=1).encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="of the project; default: as it is"
    )
    parser.add_argument("--record", metavar="NOUN", help="what a row is, such as loan")
    parser.add_argument(
        "--event", metavar="NOUN", help="what is predicted, such as default"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change")
    parser.add_argument(
        "--uncommitted", action="store_true", help="even if git could not take you back"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT, help="the project; default: this one"
    )
    parser.add_argument(
        "--copied", action="store_true", help="only files that this project has, too"
    )
    parser.add_argument(
        "--description", default="", help="what the project is, in a sentence"
    )
    parser.add_argument(
        "--holder", default="", help="who holds the copyright of what is added"
    )
    return parser


def main(words: list[str] | None = None) -> str:
    """Rename the project, or show what would change; return what to do next, if any."""
    said = _parser().parse_args(words)
    folder = said.folder.resolve()
    nouns = present_words(folder).nouns
    leaving = [] if said.copied else template_only(folder)
    try:
        changes = _changes(folder, said, leaving)
    except Refused as why:
        sys.exit(f"refused: {why}")
    for change in changes:
        before = change.path.relative_to(folder).as_posix()
        after = change.moved.relative_to(folder).as_posix()
        there = "" if before == after else f" -> {after}"
        print(f"{before}: {change.names}{there}")
    print(f"{sum(change.names for change in changes)} names in {len(changes)} files")
    if changes and leaving:
        print(f"removed, as it only makes projects: {', '.join(leaving)}")
    if not said.dry_run:
        apply(changes)
        introduce(folder, said.description, said.holder)
        remove(folder, leaving if changes else [])
    if not changes or said.dry_run or said.copied:
        return ""
    return next_step(folder, has_new_nouns=present_words(folder).nouns != nouns)


def next_step(folder: Path, *, has_new_nouns: bool) -> str:
    """Say what to do once the project is renamed."""
    step = "make format check test, then commit"
    if has_new_nouns and (folder / SIMULATED).exists():
        step += f"; remove {SIMULATED}, the simulator makes the table anew"
    return step


def _changes(
    folder: Path, said: argparse.Namespace, leaving: list[str]
) -> list[Change]:
    present = present_words(folder)
    nouns = Nouns(
        said.record or present.nouns.record, said.event or present.nouns.event
    )
    wanted = Words(Names.of(said.name or present.names.command), nouns)
    source = ROOT if said.copied else folder
    files = [name for name in list_files(source) if not _is_in(name, leaving)]
    changes = rename(folder, wanted, files, variables=settings(folder))
    if changes and not said.dry_run and not said.uncommitted:
        check_committed(
            folder, [str(change.path.relative_to(folder)) for change in changes]
        )
    moved = [change.moved for change in changes if change.moved != change.path]
    taken = [path for path in moved if path.exists()]
    # What copier updates is there, and it merges what an owner changed.
    if taken and not said.copied:
        msg = f"{taken[0]} is there already"
        raise Refused(msg)
    return changes


def _is_in(name: Path, folders: Iterable[str]) -> bool:
    return any(name.is_relative_to(folder) for folder in folders)


if __name__ == "__main__":
    if step := main():
        print(f"next: {step}")
