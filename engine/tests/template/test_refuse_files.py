import subprocess
import sys
from pathlib import Path

import pytest

from git_that_fails import DUBIOUS, say

SCRIPT = Path(__file__).parents[3] / "scripts" / "refuse_files.py"
MARK = "-" * 5  # pieced together here, so that this file passes itself


def refuse(*paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def header(kind: str) -> bytes:
    return f"{MARK}BEGIN {kind}{MARK}\n".encode()


@pytest.mark.parametrize(
    "kind",
    [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ],
)
@pytest.mark.slow
def test_a_private_key_is_refused_wherever_it_stands(tmp_path: Path, kind: str) -> None:
    path = written(
        tmp_path / "notes.bin", b"\x00\xff some text\n" + header(kind) + b"MIIB"
    )

    done = refuse(path)

    assert done.returncode == 1
    assert f"{path}: it holds a private key" in done.stderr


@pytest.mark.parametrize("kind", ["PUBLIC KEY", "CERTIFICATE", "RSA PUBLIC KEY"])
def test_what_is_public_passes(tmp_path: Path, kind: str) -> None:
    done = refuse(written(tmp_path / "public.pem", header(kind)))

    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_is_refused_from_one_byte_over_the_limit_on(tmp_path: Path) -> None:
    largest = written(tmp_path / "largest", bytes(1_000_000))
    too_large = written(tmp_path / "too_large", bytes(1_000_001))

    done = refuse(largest, too_large)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{too_large}: it has 1,000,001 bytes; at most 1,000,000 are allowed"
    ]


@pytest.mark.parametrize("name", [".env", ".env.production", ".env.local"])
def test_a_file_of_secrets_is_refused_by_its_name_even_when_empty(
    tmp_path: Path, name: str
) -> None:
    path = written(tmp_path / name, b"")

    done = refuse(path)

    assert done.returncode == 1
    assert f"{path}: it is a file of secrets" in done.stderr


@pytest.mark.parametrize(
    "name", [".env.example", ".envrc", "environment.py", "my.env.md"]
)
def test_a_name_that_only_resembles_one_passes(tmp_path: Path, name: str) -> None:
    assert refuse(written(tmp_path / name, b"CHURN_PORT=8000\n")).returncode == 0


def test_every_refusal_is_named_at_once(tmp_path: Path) -> None:
    both = written(tmp_path / ".env", header("PRIVATE KEY"))
    key = written(tmp_path / "key", header("PRIVATE KEY"))

    done = refuse(both, written(tmp_path / "fine", b"fine"), key)

    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        str(both),
        str(both),
        str(key),
    ]


def test_the_script_and_its_test_pass_themselves() -> None:
    assert refuse(SCRIPT, Path(__file__)).returncode == 0


def tracked(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--tracked"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def add_to_git(folder: Path) -> None:
    for words in (["init", "-q"], ["add", "--all", "--force"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


def test_every_file_that_git_has_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    written(tmp_path / "deep/a key.txt", header("PRIVATE KEY"))
    add_to_git(tmp_path)
    written(tmp_path / ".env", b"")  # which git does not have

    done = tracked(tmp_path)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("deep/a key.txt: it holds a private key")


@pytest.mark.posix
def test_what_cannot_be_looked_at_is_named_and_the_others_are_looked_at(
    tmp_path: Path,
) -> None:
    written(tmp_path / "gone", b"fine")
    written(tmp_path / "key\x1b[2K", header("PRIVATE KEY"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link to a folder").symlink_to("folder")
    (tmp_path / "link to nothing").symlink_to("nothing")
    add_to_git(tmp_path)
    (tmp_path / "gone").unlink()

    done = tracked(tmp_path)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "gone: it was not looked at, as no file is there; restore it, or git rm it",
        (
            "key\\x1b[2K: it holds a private key; remove it, "
            "and replace the key if it was ever pushed"
        ),
    ]


def test_a_repository_that_holds_nothing_secret_passes(tmp_path: Path) -> None:
    written(tmp_path / "fine", b"fine")
    add_to_git(tmp_path)

    assert (tracked(tmp_path).returncode, tracked(tmp_path).stderr) == (0, "")


@pytest.mark.posix
@pytest.mark.parametrize(
    ("git", "why"),
    [
        ("absent", "git cannot be run (No such file or directory)"),
        ("no repository", "not a git repository"),
        ("empty", "git has no file of this folder"),
        ("not trusted", "detected dubious ownership in repository at '/srv/churn'"),
    ],
)
def test_where_git_names_no_file_nothing_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: str, why: str
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    if git == "absent":
        monkeypatch.setenv("PATH", str(folder))
    elif git == "empty":
        add_to_git(folder)
    elif git == "not trusted":
        say(monkeypatch, tmp_path / "bin", DUBIOUS)

    done = tracked(folder)

    assert done.returncode == 1
    assert done.stderr.startswith(
        "NOT CHECKED: whether the repository holds a private key"
    )
    assert why in done.stderr
    assert "git init, git add --all, git commit" in done.stderr
