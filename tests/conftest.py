"""What the tests share: this project, trained once on a small simulated table."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from skewless.testing import Done, make_project, open_workspace, run_command

from churn_service.config import FeaturesConfig
from churn_service.project import project

ROOT = Path(__file__).parents[1]

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
