"""A full disk is an error that names what was lost, and nothing torn stays.

So is an output that takes nothing.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from own import PROJECT
from skewless.core.atomic import create_file, replace_file

pytestmark = [pytest.mark.fault, pytest.mark.posix]

COMMAND = [sys.executable, "-m", "churn_service"]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let the system refuse what would make a file larger, as a full disk does."""
    import resource  # Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "own"))


@pytest.mark.parametrize("put", [create_file, replace_file])
def test_what_does_not_fit_is_named_and_not_there(tmp_path: Path, put):
    with no_file_above(10), pytest.raises(OSError, match="File too large") as failed:
        put(tmp_path / "event.json", b"x" * 11)

    assert failed.value.filename == str(tmp_path / "event.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["sample", "new.csv"], "new.csv"),
        (["sample", "new.parquet"], "new.parquet"),
        (["score", "data/table.csv", "scores.csv"], "scores.csv"),
        (["score", "data/table.csv", "scores.parquet"], "scores.parquet"),
        (["train", "--config", "other.yaml"], "other/0."),
    ],
    ids=" ".join,
)
@pytest.mark.slow
def test_a_command_names_what_it_could_not_write_and_leaves_nothing_of_it(
    own: Path, run, words: list[str], named: str
):
    config = (own / "config.yaml").read_text()
    (own / "other.yaml").write_text(config.replace("path: models", "path: other"))
    before = {path for path in own.rglob("*") if path.is_file()}

    with no_file_above(4096):
        done = run(own, *words)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert named in last
    assert last.endswith("It was not written. Make room, and run the command again")
    assert {path for path in own.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "words", [["example"], ["registry", "list"], ["--help"]], ids=" ".join
)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.slow
def test_where_standard_output_takes_nothing_a_command_says_so_and_fails(
    own: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], unbuffered: str
):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=own,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: standard output cannot be written (No space left on device)"
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_where_standard_output_is_closed_a_command_does_nothing_and_says_so(own: Path):
    shutil.rmtree(own / "models")
    closed = ["sh", "-c", 'exec "$@" >&-', "sh"]

    words = [*closed, *COMMAND, "train"]
    done = subprocess.run(
        words, cwd=own, stderr=subprocess.PIPE, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output is closed")
    assert done.stderr.count("\n") == 1
    assert not (own / "models").exists()


@pytest.mark.parametrize(
    ("to", "said"), [(">/dev/full", "cannot be written"), (">&-", "is closed")]
)
@pytest.mark.parametrize("what", ["schema", "page"])
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.slow
def test_the_reference_that_cannot_be_printed_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, to: str, said: str, unbuffered: str, what: str
):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = [
        sys.executable,
        "-m",
        "skewless.core.config_reference",
        PROJECT.place,
        what,
    ]
    words = ["sh", "-c", f'exec "$@" {to}', "sh", *command]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith(f"error: standard output {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_who_has_read_enough_of_the_output_is_no_error(own: Path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, "--help"], cwd=own, **pipes) as shown:
        shown.stdout.close()
        said = shown.stderr.read()

    assert said == b""
