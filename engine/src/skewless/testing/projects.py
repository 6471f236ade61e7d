"""A project in a folder of its own, and its commands in this process."""

import contextlib
import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from skewless.cli.cli import run
from skewless.core.project import Project
from skewless.core.sections import PLAIN

TABLE = "data/table.csv"
ROWS = 3_000


def make_project(root: Path, folder: Path, **sections: Mapping[str, Any]) -> Path:
    """Copy what a command reads: the configuration and the lock.

    The configuration is made to ask for a small simulated table.

    Parameters
    ----------
    root
        The project's own folder.
    folder
        Where to; it is made.
    sections
        Keys of config.yaml to change, by section.
    """
    document = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    document["data"] |= {"path": TABLE, "sample": {"rows": ROWS, "random_state": 42}}
    # Whatever the project's own table looks like.
    document["data"]["format"] = PLAIN.model_dump(mode="json")
    document["serving"]["drain_seconds"] = 0  # a test that waits says so itself
    for name, values in sections.items():
        document[name] = document.get(name, {}) | values
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    shutil.copy(root / "requirements-dev.lock", folder)
    return folder


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


def run_command(project: Project[Any, Any], folder: Path, *words: object) -> Done:
    """Run a command of a project in a folder.

    It runs in this process, because importing pandas takes a second.
    """
    out = io.StringIO()
    err = io.StringIO()
    code: object = 0
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            run(project, [str(word) for word in words])
        except SystemExit as ended:
            code = ended.code
    return Done(int(str(code or 0)), out.getvalue(), err.getvalue())
