"""Tell whether git could bring a folder's files back.

A script asks this before it writes over them.

Usage: python scripts/git_status.py
    (fails if a tracked file differs from the commit, and shows how)
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 60
# How `ls-files -v` marks assume-unchanged and skip-worktree.
NOT_LOOKED_AT: Final = re.compile(r"[a-zS] ")
# Left out of a folder that is no checkout.
MADE: Final = {".git", ".venv", "__pycache__"}
QUIETLY: Final = ("--no-optional-locks", "-c", "core.fsmonitor=false")


class Refused(Exception):  # noqa: N818 - it reads as what happened
    """It cannot be done here or now, or did not come out as it should.

    The message says why.
    """


def shown(text: str) -> str:
    """Write a name on one line, with control characters by their code."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode()
        for sign in text
    )


def ask_git(folder: Path, *words: str) -> str:
    """Run git in a folder, and return what it printed.

    Raises
    ------
    Refused
        It is absent, failed or did not end; the message is its reason.
    """
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", *QUIETLY, *words],  # noqa: S607 - git from PATH, as people call it
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except OSError as error:
        msg = f"git cannot be run ({error.strerror})"
        raise Refused(msg) from error
    except subprocess.TimeoutExpired as error:
        msg = f"git did not end within {PATIENCE_SECONDS} seconds"
        raise Refused(msg) from error
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().partition("\n")[0]
        msg = f"git does not tell ({shown(said) or done.returncode})"
        raise Refused(msg)
    return os.fsdecode(done.stdout)


def tracked(folder: Path) -> list[str]:
    """Name the files of a folder and below that git has, as paths below the folder.

    Raises
    ------
    Refused
        Git cannot tell, or has none.
    """
    names = _listed(ask_git(folder, "ls-files", "-z"))
    if not names:
        msg = "git has no file of this folder"
        raise Refused(msg)
    return names


def unseen(folder: Path) -> list[str]:
    """Name the files that git was told not to look at.

    They are marked assume-unchanged or skip-worktree.
    """
    marked = _listed(ask_git(folder, "ls-files", "-v", "-z"))
    return [entry[2:] for entry in marked if NOT_LOOKED_AT.match(entry)]


def uncommitted(folder: Path, names: Iterable[str] = ()) -> list[str]:
    """Name the files whose content no commit holds, or perhaps none does.

    Parameters
    ----------
    folder
        A checkout, or a folder in one.
    names
        Files below it that git has to have, if they are there; a file that git ignores
        is not changed to git.

    Raises
    ------
    Refused
        Git cannot tell, or has no file of the folder.
    """
    known = set(tracked(folder))
    words = [
        "--porcelain",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignore-submodules=none",
    ]
    # Status names files from the top.
    above = ask_git(folder, "rev-parse", "--show-prefix").strip("\n")
    status = _listed(ask_git(folder, "status", *words, "--", "."))
    changed = [entry[3:].removeprefix(above) for entry in status]
    foreign = [
        name for name in names if name not in known and os.path.lexists(folder / name)
    ]
    return [
        *changed,
        *unseen(folder),
        *(name for name in foreign if name not in changed),
    ]


def list_files(folder: Path) -> Iterator[Path]:
    """Yield what a clone of a folder has or will have, as paths below it.

    Raises
    ------
    Refused
        It is a checkout, and git does not say what is in it: secrets and data may lie
        there too.
    """
    try:
        known = ask_git(
            folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
        )
    except Refused:
        if (folder / ".git").exists():
            raise
        known = ""
    if known:
        yield from map(Path, sorted(set(_listed(known))))
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_dir() and not MADE.intersection(name.parts):
            yield name


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
        Not everything is committed, git does not have all of the files, or does not
        tell.
    """
    to_do = (
        "commit first, so that git can take you back; "
        "or say --uncommitted (FORCE=1 behind make)"
    )
    try:
        changed = uncommitted(folder, names)
    except Refused as why:
        msg = f"{to_do}; {why}"
        raise Refused(msg) from why
    if changed:
        msg = f"{to_do}; no commit holds {shown(changed[0])} as it is"
        raise Refused(msg)


def _listed(said: str) -> list[str]:
    return [entry for entry in said.split("\0") if entry]


def _diff(folder: Path) -> str:
    """Return how the tracked files of a folder differ from the commit."""
    tracked(folder)  # refuses: where git has no file, it would show no difference
    hidden = unseen(folder)
    if hidden:
        msg = (
            f"git was told not to look at {shown(hidden[0])}: "
            "assume-unchanged or skip-worktree"
        )
        raise Refused(msg)
    return ask_git(folder, "diff", "--no-ext-diff", "--no-textconv", "HEAD", "--", ".")


def main() -> int:
    """Show how the tracked files differ from the commit.

    Return 1 if any does or git cannot tell, else 0.
    """
    try:
        changes = _diff(Path.cwd())
    except Refused as why:
        print(
            f"NOT CHECKED: whether files are as they were committed, because {why}. "
            "Install git, and run this in a clone; "
            "or git init, git add --all, git commit",
            file=sys.stderr,
        )
        return 1
    print(changes, end="")
    return int(bool(changes))


if __name__ == "__main__":
    sys.exit(main())
