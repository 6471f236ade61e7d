"""Which commit the code is of, and whether that is all of it.

Unknown is never taken for clean.
"""

import subprocess
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from conftest import NOBODY, commit_code, make_project
from git_that_fails import DUBIOUS, say
from skewless.core.checkout import SEALED, Checkout, read_checkout

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a project whose code is committed."""
    folder = make_project(tmp_path / "project")
    commit_code(folder)
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.check_output(
        ["git", *NOBODY, *words], cwd=folder, text=True
    ).strip()


def test_committed_code_is_clean_and_its_commit_is_named(checkout: Path):
    assert read_checkout(checkout) == Checkout(
        "clean", git(checkout, "rev-parse", "HEAD")
    )


def test_asking_changes_nothing_not_even_the_index(checkout: Path):
    (checkout / "src/code.py").touch()
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}

    read_checkout(checkout)

    assert {
        path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()
    } == before


def edit(folder: Path) -> None:
    (folder / "src/code.py").write_text("# edited\n")


def stage(folder: Path) -> None:
    edit(folder)
    git(folder, "add", "src")


def remove(folder: Path) -> None:
    (folder / "src/code.py").unlink()


def edit_the_lock(folder: Path) -> None:
    (folder / "requirements-dev.lock").write_text("")


def add(folder: Path) -> None:
    (folder / "src/more").mkdir()
    (folder / "src/more/new.py").write_text("")


def add_where_git_shows_no_new_files(folder: Path) -> None:
    git(folder, "config", "status.showUntrackedFiles", "no")
    add(folder)


def add_what_git_ignores(folder: Path) -> None:
    (folder / ".gitignore").write_text("more/\n")
    add(folder)


def add_a_compiled_module_that_git_ignores(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.so\n*.pyd\n")
    (folder / f"src/code{EXTENSION_SUFFIXES[0]}").touch()


@pytest.mark.parametrize(
    "change",
    [
        edit,
        stage,
        remove,
        edit_the_lock,
        add,
        add_where_git_shows_no_new_files,
        add_what_git_ignores,
        add_a_compiled_module_that_git_ignores,
    ],
    ids=lambda change: change.__name__,
)
@pytest.mark.slow
def test_code_that_the_commit_does_not_hold_is_dirty_however_git_is_configured(
    checkout: Path, change: Callable[[Path], None]
):
    change(checkout)

    assert read_checkout(checkout) == Checkout(
        "dirty", git(checkout, "rev-parse", "HEAD")
    )


def test_what_python_makes_of_committed_code_changes_nothing(checkout: Path):
    (checkout / ".gitignore").write_text("__pycache__/\n")
    (checkout / "src/__pycache__").mkdir()
    (checkout / "src/__pycache__/code.cpython-311.pyc").write_bytes(b"")

    assert read_checkout(checkout).state == "clean"


def test_before_the_first_commit_the_code_is_dirty_and_of_no_commit(tmp_path: Path):
    folder = make_project(tmp_path / "project")
    (folder / "src").mkdir()
    (folder / "src/code.py").touch()
    git(folder, "init", "-q")
    git(folder, "add", "src")

    assert read_checkout(folder) == Checkout("dirty")
    assert str(read_checkout(folder)) == "none yet with uncommitted changes"


def unknown(folder: Path) -> str:
    """Return the reason why git cannot tell."""
    found = read_checkout(folder)
    assert (found.state, str(found)) == ("unknown", f"unknown ({found.reason})")
    return found.reason


@pytest.mark.posix
def test_a_checkout_that_git_does_not_trust_is_unknown_in_gits_own_words(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    edit(checkout)
    say(monkeypatch, tmp_path / "bin", DUBIOUS)

    assert (
        unknown(checkout) == "detected dubious ownership in repository at '/srv/churn'"
    )


@pytest.mark.posix
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("warning: slow\nerror: index file corrupt\nfatal: too", "index file corrupt"),
        ("what\x1b[2J a\tmess", r"what\x1b[2J a mess"),
        ("", "git ended with 128"),
        ("x" * 5_000, "x" * 300),
    ],
)
def test_the_reason_is_one_line_of_printable_text(
    checkout: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    reason: str,
):
    say(monkeypatch, tmp_path / "bin", said)

    assert unknown(checkout) == reason


def test_without_git_the_state_is_unknown(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert unknown(checkout) == "git is not installed, or not on PATH"


def test_a_folder_that_is_no_repository_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    folder = make_project(tmp_path / "project")

    assert "not a git repository" in unknown(folder)


def test_a_damaged_repository_is_unknown(checkout: Path):
    (checkout / ".git/index").write_bytes(b"torn")

    assert "index" in unknown(checkout)


def test_a_repository_that_has_none_of_the_code_is_unknown(tmp_path: Path):
    folder = make_project(tmp_path / "project")
    git(folder, "init", "-q")
    git(folder, "add", "requirements-dev.lock")
    git(folder, "commit", "-q", "-m", "Begin")

    assert unknown(folder) == "git has no file of src/ here"


@pytest.mark.parametrize("told", ["--assume-unchanged", "--skip-worktree"])
@pytest.mark.parametrize(
    ("name", "change"),
    [("src/code.py", edit), ("requirements-dev.lock", edit_the_lock)],
)
def test_what_git_was_told_not_to_look_at_is_unknown(
    checkout: Path, told: str, name: str, change: Callable[[Path], None]
):
    git(checkout, "update-index", told, name)
    change(checkout)

    assert unknown(checkout).startswith(f"git was told not to look at {name}")


@pytest.mark.parametrize(
    ("sealed", "found"),
    [
        (COMMIT, Checkout("clean", COMMIT)),
        (f"{COMMIT}-changed\n", Checkout("dirty", COMMIT)),
        ("unknown\n", None),
        ("", None),
        ("v1.2.0", None),
    ],
)
def test_an_image_knows_the_commit_that_was_sealed_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: str, found: Checkout | None
):
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = make_project(tmp_path / "app")
    (folder / SEALED).write_text(sealed)

    assert (
        read_checkout(folder) == found
        if found
        else "without REVISION" in unknown(folder)
    )


def test_a_checkout_is_asked_before_what_is_sealed(checkout: Path):
    (checkout / SEALED).write_text(COMMIT)
    edit(checkout)

    assert read_checkout(checkout) == Checkout(
        "dirty", git(checkout, "rev-parse", "HEAD")
    )
