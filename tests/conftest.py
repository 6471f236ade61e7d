"""What the tests share: this project, trained once on a small simulated table."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from skewless.testing import Done, make_project, open_workspace, run_command

from churn_service.config import FeaturesConfig
from churn_service.project import project

ROOT = Path(__file__).parents[1]
ABSENT = {"path": "data/absent.csv", "sample": {"rows": 2_000, "random_state": 42}}

# A test decides, and times nothing: on a busy machine an example may take long.
settings.register_profile("untimed", deadline=None, max_examples=30)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def run() -> Callable[..., Done]:
    """Return what runs the project's commands in a folder: ``run(folder, "train")``."""
    return partial(run_command, project)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., Done]) -> Path:
    """Return a folder with a table and one version; do not change it."""
    folder = make_project(ROOT, tmp_path_factory.mktemp("trained"))
    for command in ("sample", "train"):
        done = run(folder, command)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def version(trained: Path) -> Path:
    """Return the folder of that version; do not change it."""
    (folder,) = (trained / "models").glob("*-*")
    return folder


@pytest.fixture(scope="session")
def features(trained: Path) -> FeaturesConfig:
    """Return the knobs that the version was trained with."""
    return open_workspace(project, trained / "config.yaml").config.features


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the notebooks, in a small project that has no table yet."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    make_project(ROOT, tmp_path, data=ABSENT)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    return tmp_path / "notebooks"


@pytest.fixture(scope="session")
def run_notebook() -> Callable[[Path], tuple[str, list[Any]]]:
    """Return what runs a notebook: it returns what the cells printed, and all outputs.

    A cell that raises fails the test with its traceback.
    """
    # Both take seconds to import, and most tests need neither.
    import nbformat
    from nbclient import NotebookClient

    def run_cells(path: Path) -> tuple[str, list[Any]]:
        notebook = nbformat.read(path, as_version=4)
        place = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=120, resources=place).execute()
        outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
        said = [each.text for each in outputs if each.get("name") == "stdout"]
        return "".join(said), outputs

    return run_cells
