"""Every estimator of config.yaml trains a version that is proven, calibrated or not."""

from pathlib import Path
from typing import Any

import pytest

from churn_service.config import Config
from conftest import ROOT
from own import PROJECT
from skewless.core.sections import choices
from skewless.models.artifact import read_artifact
from skewless.models.export import PARITY
from skewless.testing import make_project, run_command

BOOSTERS = {"xgboost", "lightgbm"}
ESTIMATORS = [
    pytest.param(
        name,
        marks=pytest.mark.needs("onnxmltools", name) if name in BOOSTERS else (),
    )
    for name in choices(Config, "model")
]
FEWER = {
    "hist_gradient_boosting": {"max_iter": 30},
    "logistic_regression": {},
    "random_forest": {"n_estimators": 20, "min_samples_leaf": 40},
    "xgboost": {"n_estimators": 30},
    "lightgbm": {"n_estimators": 30},
}


def trained(folder: Path, **model: Any) -> tuple[str, Path]:
    """Train in a folder of its own; return what was said, and the version's folder."""
    folder = make_project(ROOT, folder, model=model)
    for command in ("sample", "train"):
        done = run_command(PROJECT, folder, command)
        assert done.returncode == 0, done.stderr
    (version,) = (folder / "models").glob("*-*")
    return done.stdout, version


@pytest.mark.slow
@pytest.mark.parametrize("calibration", ["none", "sigmoid", "isotonic"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_estimator_makes_a_version_that_is_proven_and_beats_the_baseline(
    tmp_path: Path, estimator: str, calibration: str
):
    _, version = trained(
        tmp_path, estimator=estimator, calibration=calibration, **FEWER[estimator]
    )

    metadata = read_artifact(version).metadata
    assert metadata.proof.difference <= PARITY
    assert (metadata.proof.splits > 0) == (estimator != "logistic_regression")
    scores = {name: each["log_loss"] for name, each in metadata.metrics.items()}
    assert scores["best possible"] < scores["model"] < scores["baseline"]
    assert metadata.training["model"]["estimator"] == estimator


@pytest.mark.slow
@pytest.mark.parametrize("calibration", ["none", "sigmoid"])
def test_weights_make_probabilities_too_high_which_is_said_unless_they_are_calibrated(
    tmp_path: Path, calibration: str
):
    said, version = trained(
        tmp_path, class_weight="balanced", calibration=calibration, max_iter=30
    )

    is_said = calibration == "none"
    card = (version / "card.md").read_text()
    assert ("have the event: model.calibration maps them" in said) == is_said
    assert ("**The probabilities are not calibrated.**" in card) == is_said


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["xgboost", "lightgbm", "random_forest"])
@pytest.mark.needs("onnxmltools", "xgboost", "lightgbm")
def test_the_same_configuration_trains_the_same_version(tmp_path: Path, estimator: str):
    first, second = (
        trained(tmp_path / folder, estimator=estimator, **FEWER[estimator])[1]
        for folder in ("one", "two")
    )

    assert first.name == second.name
