"""Write new texts of the project's files, all together or not at all.

They are tried in a copy first.
"""

import difflib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from skewless.core.atomic import replace_file
from skewless.core.errors import SkewlessError, TableError

NEEDED: Final = ("config.yaml", "pyproject.toml")
TRIAL: Final = "skewless.adopt.trial"


def formatted(source: str, name: str, root: Path) -> str:
    """Lay out a Python file by the project's own rules, without unused imports."""
    for words in (["check", "--fix-only", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(  # noqa: S603 - the project's own formatter
            [sys.executable, "-m", "ruff", *words, "--stdin-filename", name, "-"],
            cwd=root,
            input=source,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            msg = f"{name} could not be laid out: {done.stderr.strip()}"
            raise SkewlessError(msg)
        source = done.stdout
    return source


def stage(root: Path, files: Mapping[str, str], scratch: Path, *, package: str) -> Path:
    """Copy the project's code and settings, with new files in place of the old."""
    copy = scratch / "project"
    unread = shutil.ignore_patterns("__pycache__")
    for folder in (package, "tests"):
        shutil.copytree(root / folder, copy / folder, ignore=unread)
    for name in NEEDED:
        shutil.copy(root / name, copy / name)
    for name, text in files.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8", newline="\n")
    return copy


def try_out(staged: Path, table: Path, place: str) -> str:
    """Let the changed project read the whole table; return its config.yaml's schema.

    `place` is where the project is, ``package.module:name``.

    Raises
    ------
    TableError
        The project refuses the table, or cannot learn from it.
    SkewlessError
        The project does not work with the new files: a fault of adoption.
    """
    environment = dict(os.environ)  # noqa: TID251 - the trial inherits ours
    done = subprocess.run(  # noqa: S603 - our own trial
        [sys.executable, "-m", TRIAL, place, str(table)],
        cwd=staged,
        env=environment | {"PYTHONPATH": str(staged / "src")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode == TableError.exit_code:
        raise TableError(*done.stderr.strip().split("\n"))
    if done.returncode:
        msg = (
            "the project fails with the new files, so nothing was changed. "
            "Please report this:"
        )
        raise SkewlessError(msg, *done.stderr.strip().split("\n"))
    return done.stdout


def changes(root: Path, files: Mapping[str, str]) -> str:
    """Show what would change, as a unified diff."""
    shown = list[str]()
    for name, text in files.items():
        old = _lines(root / name)
        new = text.splitlines(keepends=True)
        lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
        shown += [line if line.endswith("\n") else f"{line}\n" for line in lines]
    return "".join(shown)


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def write_all(root: Path, files: Mapping[str, str]) -> None:
    """Write every file, or put back what was there."""
    before = {name: (root / name).read_bytes() for name in files}
    try:
        for name, text in files.items():
            replace_file(root / name, text.encode())
    except BaseException:
        for name, content in before.items():
            if (root / name).read_bytes() != content:
                replace_file(root / name, content)
        raise
