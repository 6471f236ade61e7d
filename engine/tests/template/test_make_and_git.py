"""What make asks of git is not passed where git does not answer."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import NOBODY, ROOT, copy_makefiles
from git_that_fails import DUBIOUS, say

pytestmark = [pytest.mark.posix, pytest.mark.needs("make")]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout of the Makefile, with tools that all find nothing.

    These programs stand in for the real tools.
    """
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "clone"
    (folder / "scripts").mkdir(parents=True)
    copy_makefiles(folder)
    for name in ("scripts/git_status.py", "scripts/refuse_files.py"):
        shutil.copy(ROOT / name, folder / name)
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *NOBODY, *words], cwd=folder, check=True)
    return folder


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", f"PYTHON={sys.executable}", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )


def fail(clone: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> str:
    """Let git fail; return what it says then."""
    if how == "not trusted":
        say(monkeypatch, clone.parent / "bin", DUBIOUS)
        return "detected dubious ownership"
    if how == "absent":
        programs = clone.parent / "programs"
        programs.mkdir()
        for name in ("make", "sh"):
            (programs / name).symlink_to(shutil.which(name))
        monkeypatch.setenv("PATH", str(programs))
        return "git cannot be run"
    shutil.rmtree(clone / ".git")  # as in a ZIP, or where copier has just been
    return "not a git repository"


HOW = pytest.mark.parametrize("how", ["not trusted", "absent", "no repository"])


def test_what_is_as_it_was_committed_is_unchanged(clone: Path):
    assert make(clone, "unchanged").returncode == 0


@pytest.mark.parametrize("staged", [True, False])
def test_what_is_not_as_it_was_committed_is_shown_staged_or_not(
    clone: Path, *, staged: bool
):
    (clone / "scripts/refuse_files.py").write_text("# another\n")
    if staged:
        subprocess.run(["git", "add", "--all"], cwd=clone, check=True)

    done = make(clone, "unchanged")

    assert (done.returncode != 0, "+# another" in done.stdout) == (True, True)


@pytest.mark.parametrize("told", ["--assume-unchanged", "--skip-worktree"])
def test_what_git_was_told_not_to_look_at_does_not_pass_for_unchanged(
    clone: Path, told: str
):
    subprocess.run(
        ["git", "update-index", told, "scripts/refuse_files.py"], cwd=clone, check=True
    )
    (clone / "scripts/refuse_files.py").write_text("# another\n")

    done = make(clone, "unchanged")

    assert done.returncode != 0
    assert "git was told not to look at scripts/refuse_files.py" in done.stderr


def test_what_the_repository_around_it_does_not_have_does_not_pass_for_unchanged(
    clone: Path,
):
    inside = clone / "copy"
    shutil.copytree(clone, inside, ignore=shutil.ignore_patterns(".git"))

    done = make(inside, "unchanged")

    assert done.returncode != 0
    assert "because git has no file of this folder" in done.stderr


@HOW
def test_without_an_answer_of_git_nothing_is_unchanged(
    clone: Path, monkeypatch: pytest.MonkeyPatch, how: str
):
    said = fail(clone, monkeypatch, how)

    done = make(clone, "unchanged")

    assert done.returncode != 0
    assert said in done.stderr
    assert "NOT CHECKED: whether files are as they were committed" in done.stderr
    assert "Install git, and run this in a clone" in done.stderr


def only_what_asks_git(clone: Path) -> None:
    """Leave of `check` the lines that need neither a tool nor the network."""
    text = (clone / "Makefile").read_text()
    head, check, rest = re.split(r"(?ms)^(check: .*?)(?=^\.PHONY)", text, maxsplit=1)
    kept = [line for line in check.splitlines()[1:] if "refuse_files" in line]
    assert kept, check
    recipe = "\n".join(["check:", *kept]).replace("$(BIN)/python", sys.executable)
    (clone / "Makefile").write_text(f"{head}{recipe}\n\n{rest}")


@HOW
@pytest.mark.slow
def test_make_check_does_not_pass_where_git_names_no_file(
    clone: Path, monkeypatch: pytest.MonkeyPatch, how: str
):
    only_what_asks_git(clone)
    passed = make(clone, "check")
    fail(clone, monkeypatch, how)

    done = make(clone, "check")

    assert passed.returncode == 0, passed.stderr
    assert (
        done.returncode != 0,
        "NOT CHECKED: whether the repository holds" in done.stderr,
    ) == (True, True)


@HOW
def test_a_workflow_is_told_no_time_of_a_commit_that_git_does_not_name(
    clone: Path, monkeypatch: pytest.MonkeyPatch, how: str
):
    known = make(clone, "source-date")
    fail(clone, monkeypatch, how)

    done = make(clone, "source-date")

    assert re.fullmatch(r"SOURCE_DATE_EPOCH=\d+\n", known.stdout)
    assert (done.returncode != 0, done.stdout) == (True, "")
