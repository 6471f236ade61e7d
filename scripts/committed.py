"""Make the folder of a rehearsal a git checkout of this project's code.

That way the gate sees the code committed.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCES: Final = ("src", "engine/src")
LOCK: Final = "requirements-dev.lock"
# Whoever rehearses may have no name in git, and need not sign.
ANYBODY: Final = [
    *("-c", "user.name=Rehearsal", "-c", "user.email=rehearsal@example.org"),
    *("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"),
]


def commit_code(folder: Path) -> None:
    """Copy the code that runs, and the lock, into a folder, and commit both there.

    Without git, end with 1.
    """
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for sources in SOURCES:
        shutil.copytree(
            ROOT / sources, folder / sources, ignore=leave_out, dirs_exist_ok=True
        )
    shutil.copy(ROOT / LOCK, folder)
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--force", *SOURCES, LOCK)
    _git(folder, "commit", "--quiet", "--message=The code that is rehearsed")


def _git(folder: Path, *words: str) -> None:
    try:
        subprocess.run(  # noqa: S603 - fixed words
            ["git", *ANYBODY, *words],  # noqa: S607 - git from PATH
            cwd=folder,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"git is needed, and failed: {error}")
