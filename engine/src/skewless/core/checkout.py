"""Folder of a project → the commit of its code, and whether that is all of it.

The state is clean, dirty or unknown. Unknown is an answer of its own, with the reason:
a question that git could not answer was not answered well.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Final, Literal

from skewless.core.escaping import printable

# of the project, and of the engine where it is in the clone
SOURCES: Final = ("src", "engine/src")
# config.yaml is recorded by its content
CODE: Final = (*SOURCES, "requirements-dev.lock")
IGNORED_CODE: Final = (
    # git's * also stands for folders
    *(f"{folder}/*{suffix}" for folder in SOURCES for suffix in all_suffixes()),
    # what Python made of the sources itself
    *(f":(exclude){folder}/*__pycache__/*" for folder in SOURCES),
)
SEALED: Final = "image-revision"  # the Dockerfile writes it, as an image holds no git
SEALED_REVISION: Final = re.compile(
    r"(?P<commit>[0-9a-f]{40}|[0-9a-f]{64})(?P<changed>-changed)?"
)
PATIENCE_SECONDS: Final = 60
LONGEST_REASON: Final = 300  # characters
# how `ls-files -v` marks assume-unchanged and skip-worktree
NOT_LOOKED_AT: Final = re.compile(r"[a-zS] ")
QUIETLY: Final = ("--no-optional-locks", "-c", "core.fsmonitor=false")
"""Write nothing, not even git's index; believe no daemon that says nothing changed."""

State = Literal["clean", "dirty", "unknown"]


class GitError(Exception):
    """Git gave no answer; the message is its own reason, on one line."""


@dataclass(frozen=True)
class Checkout:
    """Which commit the code is of, and whether that is all of it."""

    state: State
    """Clean if the commit holds every line, else dirty; unknown if git cannot tell."""
    commit: str | None = None
    """What is checked out; None if that is unknown, or before the first commit."""
    reason: str | None = None
    """Why the state is unknown."""

    def __str__(self) -> str:
        """Say it behind the word commit."""
        if self.state == "unknown":
            return f"unknown ({self.reason})"
        commit = self.commit or "none yet"
        return commit if self.state == "clean" else f"{commit} with uncommitted changes"


def read_checkout(root: Path) -> Checkout:
    """Ask git about the code below a folder; in an image, read what was sealed into it.

    Parameters
    ----------
    root
        The folder of config.yaml.

    Returns
    -------
    Checkout
        Dirty also for files that nobody added to git, whatever git is configured to
        show, and for ignored files that Python imports, compiled ones included: all of
        them run. Unknown if git cannot answer, does not have the code, or was told not
        to look at a part of it.
    """
    try:
        status = _status(root)
        marked = _listed(ask_git(root, "ls-files", "-v", "-z", "--", *CODE))
        ignored = [
            "ls-files",
            "--others",
            "--ignored",
            "--exclude-standard",
            "-z",
            "--",
            *IGNORED_CODE,
        ]
        hidden = _listed(ask_git(root, *ignored))
    except GitError as error:
        return _read_sealed(root / SEALED) or Checkout("unknown", reason=str(error))
    commit = _commit(status)
    if hidden or any(not line.startswith("# ") for line in status):
        return Checkout("dirty", commit)
    if not any(line[2:].startswith(f"{SOURCES[0]}/") for line in marked):
        return Checkout("unknown", commit, f"git has no file of {SOURCES[0]}/ here")
    unseen = [line[2:] for line in marked if NOT_LOOKED_AT.match(line)]
    if unseen:
        name = printable(unseen[0])[:LONGEST_REASON]
        why = f"git was told not to look at {name}: assume-unchanged or skip-worktree"
        return Checkout("unknown", commit, why)
    return Checkout("clean", commit)


def ask_git(root: Path, *words: str) -> str:
    """Run a git command that only looks, in a folder; return what it printed.

    Raises
    ------
    GitError
        Git is absent, failed or did not end.
    """
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", *QUIETLY, *words],  # noqa: S607 - from PATH, as a person calls it
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        msg = "git is not installed, or not on PATH"
        raise GitError(msg) from None
    except subprocess.TimeoutExpired:
        msg = f"git did not end within {PATIENCE_SECONDS} seconds"
        raise GitError(msg) from None
    except OSError as error:
        msg = f"git cannot be run: {error.strerror}"
        raise GitError(msg) from error
    if done.returncode:
        reason = _reason(os.fsdecode(done.stderr))
        raise GitError(reason or f"git ended with {done.returncode}")
    return os.fsdecode(done.stdout)


def _status(root: Path) -> list[str]:
    """List what differs from the commit, behind lines that tell of the commit.

    Those begin with #.
    """
    words = [
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--untracked-files=all",
        "--ignore-submodules=none",
    ]
    return _listed(ask_git(root, *words, "--", *CODE))


def _listed(said: str) -> list[str]:
    return [entry for entry in said.split("\0") if entry]


def _commit(status: list[str]) -> str | None:
    for line in status:
        if line.startswith("# branch.oid "):
            commit = line.removeprefix("# branch.oid ")
            return None if commit == "(initial)" else commit
    return None


def _read_sealed(path: Path) -> Checkout | None:
    """Read which commit an image was built of; None where there is no such file."""
    if not path.is_file():
        return None
    sealed = path.read_text(encoding="utf-8", errors="replace")
    found = SEALED_REVISION.fullmatch(sealed.strip())
    if found is None:
        return Checkout(
            "unknown",
            reason="the image was built without REVISION, which names its commit",
        )
    return Checkout("dirty" if found["changed"] else "clean", found["commit"])


def _reason(stderr: str) -> str:
    """Take the line that says what is wrong out of what git printed."""
    lines = [" ".join(line.split()) for line in stderr.splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith(("fatal: ", "error: "))]
    first = (wrong or lines or [""])[0]
    reason = first.removeprefix("fatal: ").removeprefix("error: ")
    return printable(reason)[:LONGEST_REASON]
