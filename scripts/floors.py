"""Cut a project down to a floor: whole files go, and so do the marked parts of the others.

Usage: python scripts/floors.py {package,service,monitored,settled} FOLDER [--dry-run] [--uncommitted]

A part is marked ``floor: service`` to ``end floor``, each in a comment on a line of its own; a mark behind
other text stands for that line alone. Two floors are none: ``template``, which serves to make projects from
this one, goes from every project that is made; ``adoption``, which serves to begin, stays until ``settled``.
generate.py also cuts what can hold no marks.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from git_status import Refused, ask_git, shown, uncommitted

ROOT: Final = Path(__file__).resolve().parents[1]
FLOORS: Final = ("package", "service", "monitored")
FILES: Final = {
    "service": (
        "src/churn_service/answer.py",
        "src/churn_service/api.py",
        "src/churn_service/application.py",
        "src/churn_service/background.py",
        "src/churn_service/evidence.py",
        "src/churn_service/gate.py",
        "src/churn_service/messages.py",
        "src/churn_service/pool.py",
        "src/churn_service/problems.py",
        "src/churn_service/promotion.py",
        "src/churn_service/promotion_commands.py",
        "src/churn_service/json_route.py",
        "src/churn_service/service_sections.py",
        "src/churn_service/serving",
        "notebooks/03_from_notebook_to_service.ipynb",
        "tests/service",
        "tests/fronts.py",
        "tests/hostile.py",
        "tests/logged.py",
        "tests/object_store.py",
        "tests/running.py",
        "tests/scraped.py",
        "tests/scraping.py",
        "tests/shipped.py",
        "tests/steady.py",
        "tests/versions.py",
        "benchmarks/load.py",
        "benchmarks/serve.py",
        "benchmarks/start.py",
        "docs/service",
        "docs/decisions/0005-no-micro-batching.md",
        "docs/decisions/0017-a-route-class-of-our-own.md",
        "docs/decisions/0011-what-waits-together-is-done-together.md",
        "docs/decisions/0012-asyncio-and-not-uvloop.md",
        "docs/decisions/0013-rate-limits-in-forty-lines.md",
        "deploy/compose",
        "deploy/grafana",
        "deploy/kubernetes",
        "deploy/prometheus",
        "examples",
        "scripts/committed.py",
        "scripts/demo.py",
        "scripts/release_notes.py",
        ".github/workflows/release.yml",
        "scripts/rehearse.py",
        "deploy/image",
        "scripts/engines.py",
        "scripts/image.py",
        "scripts/image_contents.py",
        "scripts/smoke.py",
        "requirements-jobs.lock",
        "Dockerfile",
        ".dockerignore",
    ),
    "monitored": (
        "src/churn_service/monitoring",
        "src/churn_service/retrain.py",
        "src/churn_service/retrain_commands.py",
        "tests/monitoring",
        "tests/browser.py",
        "tests/postgres.py",
        "tests/remembered.py",
        "benchmarks/log.py",
        "tests/windows.py",
        "benchmarks/drift.py",
        "tests/recorded.py",
        "benchmarks/outcomes.py",
        "docs/monitoring",
        "deploy/grafana/drift.json",
        "deploy/kubernetes/base/predictions.yaml",
        "deploy/kubernetes/production/jobs.yaml",
        "deploy/kubernetes/production/jobs.patch.yaml",
        "scripts/drill.py",
        ".github/workflows/retrain.yml",
    ),
    "template": (
        ".ci",
        "copier.yml",
        ".copier-answers.yml.copier",
        "docs/promises.md",
        "docs/template.md",
        "docs/decisions/0007-copier-and-three-floors.md",
        "scripts/generate.py",
        "scripts/rename.py",
        "scripts/unmarked.py",
        "tests/made.py",
        "tests/template",
    ),
    "adoption": ("scripts/adopt*", "docs/adopting*", "scripts/floors.py"),
}
ABSENT: Final = {
    "package": {"service", "monitored", "template"},
    "service": {"monitored", "template"},
    "monitored": {"template"},
    "settled": {"template", "adoption"},
}
MADE: Final = {".git", ".venv", "__pycache__"}  # left out of a folder that is no checkout
BEGIN: Final = re.compile(r"(?:#|<!--) floor: (?P<floor>\w+)(?: -->)?\s*$")
END: Final = re.compile(r"^\s*(?:#|<!--) end floor(?: -->)?\s*$")


def list_files(folder: Path) -> Iterator[Path]:
    """Yield what a clone of a folder has or will have, as paths below it.

    Raises
    ------
    Refused
        It is a checkout, and git does not say what is in it: secrets and data may lie there too.
    """
    try:
        known = ask_git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except Refused:
        if (folder / ".git").exists():
            raise
        known = ""
    if known:
        yield from (Path(name) for name in sorted(set(known.split("\0")) - {""}))
    else:
        paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir())
        yield from (path for path in paths if not MADE.intersection(path.parts))


def tidy(folder: Path) -> None:
    """Remove a folder in which nothing is left but what Python made, and so those around it."""
    if {path.name for path in folder.glob("*")} <= {"__pycache__"}:
        shutil.rmtree(folder, ignore_errors=True)
        tidy(folder.parent)


def cut(text: str, absent: AbstractSet[str], unmarked: AbstractSet[str] = frozenset()) -> str:
    r"""Leave out the marked parts of absent floors, and of other floors the marks if they are named.

    >>> cut("a\n# floor: service\nb\n# end floor\nc  # floor: service\nd\n", {"service"})
    'a\nd\n'
    >>> nested = "# floor: service\na\n# floor: monitored\nb\n# end floor\nc  # floor: service\n# end floor\n"
    >>> cut(nested, {"monitored"})
    '# floor: service\na\nc  # floor: service\n# end floor\n'
    >>> cut(nested, {"monitored"}, {"service"})
    'a\nc\n'
    >>> cut(nested, {"service", "monitored"})
    ''
    """
    kept, inside = [], list[str]()  # the floors of the parts that a line stands in
    for line in text.splitlines(keepends=True):
        begin, is_end = BEGIN.search(line), END.search(line) is not None
        before = line[: begin.start()].rstrip() if begin else ""
        if begin:
            inside.append(begin["floor"])
        if not absent & {*inside}:
            is_mark = (begin or is_end) and inside[-1] in unmarked
            kept.append(line if not is_mark else before and before + line[len(line.rstrip()) :])
        if is_end or before:
            inside.pop()
    if inside:
        msg = "a floor's part has no end"
        raise ValueError(msg)
    return "".join(kept).rstrip("\n") + "\n" * bool(kept)  # a part cut at the end leaves no blank line


def is_of(name: Path, floors: AbstractSet[str]) -> bool:
    """Tell whether a file belongs to one of some floors as a whole."""
    above = [path.as_posix() for path in (name, *name.parents)]
    return any(fnmatch(path, pattern) for floor in floors for pattern in FILES[floor] for path in above)


def check_committed(folder: Path, names: Iterable[str]) -> None:
    """Ask for a way back.

    Parameters
    ----------
    folder
        The project.
    names
        Files below it that will be changed.

    Raises
    ------
    Refused
        Not everything is committed, git does not have all of the files, or does not tell.
    """
    to_do = "commit first, so that git can take you back; or say --uncommitted (FORCE=1 behind make)"
    try:
        changed = uncommitted(folder, names)
    except Refused as why:
        msg = f"{to_do}; {why}"
        raise Refused(msg) from why
    if changed:
        msg = f"{to_do}; no commit holds {shown(changed[0])} as it is"
        raise Refused(msg)


def plan(floor: str, folder: Path) -> Iterator[tuple[Path, bytes, bytes | None]]:
    """Yield what files of a copy of this project change: what each holds and will hold, None if it goes."""
    absent = ABSENT[floor]
    for name in list_files(ROOT):
        path = folder / name
        if is_of(name, absent) and (path.is_file() or path.is_symlink()):
            yield path, b"", None
        elif path.is_file() and not path.is_symlink():
            before = path.read_bytes()
            text = before.decode(errors="surrogateescape")
            shorter = cut(text, absent, {*FLOORS, *absent}) if "floor" in text else text
            if shorter != text:
                yield path, before, shorter.encode(errors="surrogateescape")


def main(floor: str, folder: Path, *, dry_run: bool = False) -> list[str]:
    """Cut the copy of this project in a folder, and tell what goes; what else is there stays as it is."""
    told = list[str]()
    for path, before, after in list(plan(floor, folder)):  # all is worked out before the first is changed
        lines = before.count(b"\n") - (after or b"").count(b"\n")
        told.append(f"{path.relative_to(folder).as_posix()}: {'all' if after is None else lines or 'marks'}")
        if dry_run:
            continue
        if after is None:
            path.unlink()
            tidy(path.parent)
        else:
            path.write_bytes(after)
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("floor", choices=ABSENT)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="show what would go")
    parser.add_argument("--uncommitted", action="store_true", help="even if git could not take you back")
    said = parser.parse_args()
    try:
        folder = said.folder.resolve()
        if not said.dry_run and not said.uncommitted:
            check_committed(folder, (str(path.relative_to(folder)) for path, *_ in plan(said.floor, folder)))
        told = main(said.floor, folder, dry_run=said.dry_run)
    except Refused as why:
        sys.exit(f"refused: {why}")
    print(*told, f"{len(told)} files lose so many lines, or marks behind some, or all", sep="\n")
