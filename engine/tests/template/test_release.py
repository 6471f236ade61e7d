"""A release tells what is new in it, or is refused before anything is built."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from conftest import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
HEAD = "# Changelog\n\n## [Unreleased]\n\n- Later.\n\n"
TAIL = "\n## [0.0.1] - 2020-01-01\n\n- Long ago.\n\n[Unreleased]: https://example.org\n"


def notes(folder: Path, tag: str, section: str) -> subprocess.CompletedProcess[str]:
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/release_notes.py", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "CHANGELOG.md").write_text(HEAD + section + TAIL)
    words = [sys.executable, folder / "scripts/release_notes.py", tag]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_notes_are_the_versions_own(tmp_path: Path):
    done = notes(
        tmp_path,
        f"v{VERSION}",
        f"## [{VERSION}] - 2026-01-31\n\n### Added\n\n- This.\n",
    )

    assert (done.returncode, done.stdout) == (0, "### Added\n\n- This.\n")


@pytest.mark.parametrize(
    ("tag", "section"),
    [
        ("v9.9.9", f"## [{VERSION}] - 2026-01-31\n\n- This.\n"),
        ("", f"## [{VERSION}] - 2026-01-31\n\n- This.\n"),
        (f"v{VERSION}", ""),
        (f"v{VERSION}", f"## [{VERSION}]\n\n- Undated.\n"),
        (f"v{VERSION}", f"## [{VERSION}] - 2026-01-31\n\n"),
    ],
)
def test_a_release_that_is_not_written_down_is_refused(
    tmp_path: Path, tag: str, section: str
):
    done = notes(tmp_path, tag, section)

    assert (done.returncode, done.stdout) == (1, "")
    assert VERSION in done.stderr


def test_nothing_is_pushed_before_the_tests_have_passed():
    jobs = WORKFLOW["jobs"]

    steps = jobs["images"]["steps"]
    (tried,) = (
        place
        for place, step in enumerate(steps)
        if "make image smoke" in step.get("run", "")
    )
    pushed = {
        step["with"]["target"]: place
        for place, step in enumerate(steps)
        if "target" in step.get("with", {})
    }

    assert jobs["images"]["needs"] == "test"
    assert jobs["release"]["needs"] == "images"
    assert tried < min(pushed.values())
    assert set(pushed) == set(
        re.findall(r"(?m)^FROM \S+ AS (serve|jobs)$", (ROOT / "Dockerfile").read_text())
    )
