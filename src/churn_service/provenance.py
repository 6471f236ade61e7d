"""Machine and checkout → what a version or an event records about where it came from."""

import getpass
import platform
import socket
import subprocess
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Final

CODE: Final = ("src", "requirements-dev.lock")  # config.yaml is recorded by its content
LIBRARIES: Final = ("numpy", "pandas", "scikit-learn", "onnx", "onnxruntime", "skl2onnx")


def provenance(root: Path) -> dict[str, Any]:
    """Name the git commit, Python, platform and libraries; the commit is None outside a checkout."""
    return {
        "git_commit": git_commit(root),
        "uncommitted_changes": bool(_git(root, "status", "--porcelain", "--", *CODE)),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": {name: library_version(name) for name in LIBRARIES},
    }


def git_commit(root: Path) -> str | None:
    """Name the commit that is checked out; None outside a checkout."""
    return _git(root, "rev-parse", "HEAD")


def who() -> str:
    """Name the user and the host, for the record."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603, S607 - fixed words, git from PATH
    except (OSError, subprocess.CalledProcessError):
        return None  # not a git checkout, or no git: provenance says so
    return done.stdout.strip()
