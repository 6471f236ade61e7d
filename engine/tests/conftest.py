"""What every test can ask for: a project, a trained version, a command line.

Programs that are absent are named.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from own import PROJECT
from skewless import testing
from skewless.core.checkout import Checkout
from skewless.models.artifact import FILES, MANIFEST, sha256
from skewless.testing import Done, projects

ROOT = Path(__file__).parents[2]
MAKEFILES = (ROOT / "Makefile", *sorted((ROOT / "make").glob("*.mk")))
pytest_plugins = ["service_fixtures", "postgres_fixtures"]

TABLE = projects.TABLE
UNTRACED = Checkout("unknown", reason="a test wrote it")

# PostgreSQL's programs are there in bin of a folder per version, not on PATH
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")

# A wide table on a busy machine is slow, and not wrong. `make test` tries fewer
# examples than `make test-all`.
settings.register_profile("some", deadline=None, max_examples=25)
settings.register_profile("all", deadline=None)

LONGEST = {"template", "testing"}  # folders whose tests copy and build projects

absent_programs: dict[str, int] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="fail if a program that a test needs is absent",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say how many examples are tried; heed Ctrl-C and a closed terminal.

    A background job ignores both signals, and so would the programs that a test starts.
    """
    settings.load_profile("all" if config.getoption("--all") else "some")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):  # Windows has none
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def is_here(name: str) -> bool:
    """Tell whether a program, or a package of an extra, is installed."""
    return find_program(name) is not None or find_spec(name) is not None


def find_program(name: str) -> str | None:
    """Look for a program on PATH, in this environment and in Debian's PostgreSQL."""
    places = [
        Path(sys.executable).parent,
        *sorted(DEBIAN_POSTGRES.glob("*/bin"), reverse=True),
    ]
    elsewhere = os.pathsep.join(map(str, places))
    return shutil.which(name) or shutil.which(name, path=elsewhere)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    kept, left_out = [], []
    for item in items:
        marks = item.iter_markers("needs")
        absent = [name for mark in marks for name in mark.args if not is_here(name)]
        (left_out if absent else kept).append(item)
        for name in absent:
            absent_programs[name] = absent_programs.get(name, 0) + 1
    if absent_programs and config.getoption("--all"):
        message = (
            f"absent: {', '.join(absent_programs)}; "
            "`make services` installs what the tests need"
        )
        raise pytest.UsageError(message)
    config.hook.pytest_deselected(items=left_out)
    # What takes longest begins first, so that no process ends alone with it.
    items[:] = sorted(kept, key=lambda item: item.path.parent.name not in LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in absent_programs.items():
        terminalreporter.write_line(
            f"left out {count} tests that need {name}: `make services` installs it"
        )


def make_project(folder: Path) -> Path:
    """Copy what a command needs of a clone: the lock, and a small configuration."""
    return testing.make_project(ROOT, folder, model={"max_iter": 40})


NOBODY = [
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.org",
    "-c",
    "commit.gpgsign=false",
]


def commit_code(folder: Path) -> str:
    """Commit some code and the lock, and nothing else; return the commit.

    The project becomes a git checkout.
    """
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src/code.py").write_text("# what an owner wrote\n")
    for words in (
        ["init", "-q"],
        ["add", "src", "requirements-dev.lock"],
        ["commit", "-q", "-m", "Begin"],
    ):
        subprocess.run(["git", *NOBODY, *words], cwd=folder, check=True)
    return subprocess.check_output(
        ["git", "rev-parse", "HEAD"], cwd=folder, text=True
    ).strip()


def copy_makefiles(folder: Path) -> None:
    """Copy what make reads."""
    for path in MAKEFILES:
        copied = folder / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)


def write_manifest(folder: Path) -> None:
    """Make the hashes agree again, as somebody would who hides a change."""
    lines = [
        f"{sha256((folder / name).read_bytes())}  {name}\n" for name in sorted(FILES)
    ]
    (folder / MANIFEST).write_text("".join(lines))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a fresh project folder, without a table and without a model."""
    return make_project(tmp_path / "project")


def run_command(folder: Path, *words: object) -> Done:
    """Run a command of this project in a folder."""
    return testing.run_command(PROJECT, folder, *words)


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def run() -> Run:
    return run_command


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """Return a project with one registered version; do not change it.

    Its code is committed, and it has a table.
    """
    folder = make_project(tmp_path_factory.mktemp("trained") / "project")
    commit_code(folder)
    for command in ("sample", "train"):
        done = run(folder, command)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def version(trained: Path) -> Path:
    """Return the folder of the registered version; do not change it."""
    (folder,) = (trained / "models").glob("*-*")
    return folder


@pytest.fixture
def own_version(version: Path, tmp_path: Path) -> Path:
    """Return a copy of the registered version that the test may damage."""
    return Path(shutil.copytree(version, tmp_path / "models" / version.name))
