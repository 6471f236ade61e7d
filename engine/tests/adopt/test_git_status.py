"""A script overwrites what git can bring back, and nothing else unless told to."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import git_status
import pytest
from git_status import Refused, uncommitted

from conftest import NOBODY

FILES = ("README.md", "src/code.py")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *NOBODY, *words], cwd=folder, check=True)


@pytest.fixture(
    params=["", "project"], ids=["at the top", "in a folder of a repository"]
)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a project that is committed."""
    folder = tmp_path / "repository" / request.param
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("before\n")
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "Begin"]):
        git(tmp_path / "repository", *words)
    return folder


def edit(folder: Path) -> None:
    (folder / "README.md").write_text("after\n")


def stage(folder: Path) -> None:
    edit(folder)
    git(folder, "add", "--all")


def edit_what_git_does_not_look_at(folder: Path) -> None:
    git(folder, "update-index", "--assume-unchanged", "README.md")
    edit(folder)


def edit_what_is_not_checked_out(folder: Path) -> None:
    git(folder, "update-index", "--skip-worktree", "README.md")
    edit(folder)


def take_out_and_ignore(folder: Path) -> None:
    git(folder, "rm", "-q", "--cached", "README.md")
    git(folder, "commit", "-q", "-m", "Ignore it")
    exclude = subprocess.check_output(
        ["git", "rev-parse", "--git-path", "info/exclude"], cwd=folder, text=True
    )
    (folder / exclude.strip()).write_text("*.md\n")


def take_out(folder: Path) -> None:
    git(folder, "rm", "-q", "--cached", "README.md")
    git(folder, "commit", "-q", "-m", "Forget it")
    git(folder, "config", "status.showUntrackedFiles", "no")


def test_what_is_committed_can_be_brought_back(project: Path):
    assert uncommitted(project, FILES) == []


@pytest.mark.parametrize(
    "change",
    [
        edit,
        stage,
        edit_what_git_does_not_look_at,
        edit_what_is_not_checked_out,
        take_out,
        take_out_and_ignore,
    ],
    ids=lambda change: change.__name__,
)
def test_what_no_commit_holds_is_named_as_seen_from_the_project(
    project: Path, change: Callable[[Path], None]
):
    change(project)

    assert set(uncommitted(project, FILES)) == {"README.md"}


def test_a_file_that_is_yet_to_be_written_needs_no_way_back(project: Path):
    assert uncommitted(project, ["src/new.py"]) == []


def test_a_folder_that_the_repository_around_it_ignores_has_no_way_back(project: Path):
    (project / ".gitignore").write_text("another/\n")
    git(project, "add", "--all")
    git(project, "commit", "-q", "-m", "Ignore another")
    (project / "another").mkdir()
    (project / "another/README.md").write_text("nowhere else\n")

    with pytest.raises(Refused, match="git has no file of this folder"):
        uncommitted(project / "another", ["README.md"])


@pytest.mark.posix
def test_a_git_that_does_not_end_is_not_waited_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    programs = project / "bin"
    programs.mkdir()
    (programs / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(git_status, "PATIENCE_SECONDS", 0.1)

    with pytest.raises(Refused, match="git did not end within"):
        uncommitted(project, FILES)
