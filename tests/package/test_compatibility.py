"""A version outlives added features and fields; else it is refused, with the way back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from churn_service import contract, features, predict
from churn_service.artifact import read_artifact
from churn_service.contract import Column, columns
from churn_service.errors import IncompatibleArtifactError
from churn_service.features import FeaturesConfig, add_features
from churn_service.predict import load_predictor
from churn_service.schema import Customer


@pytest.fixture
def names(version: Path) -> tuple[str, ...]:
    return read_artifact(version).metadata.identity.feature_names


def make_features_by(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let the code's features be what they are after a change of the made columns."""
    monkeypatch.setattr(features, "add_features", lambda *args: change(add_features(*args)))


def test_a_version_outlives_added_and_reordered_features(
    version: Path, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    before = load_predictor(version).predict([Customer(**contract.example())])
    make_features_by(monkeypatch, lambda made: {"new": made[names[0]], **dict(reversed(made.items()))})

    after = load_predictor(version).predict([Customer(**contract.example())])

    assert after == before


def test_a_version_outlives_an_added_field(version: Path, monkeypatch: pytest.MonkeyPatch):
    added = Column(name="new", kind="number", minimum=0, maximum=1)
    make_features_by(monkeypatch, lambda made: made)
    wider = (*columns(), added)
    monkeypatch.setattr(contract, "columns", lambda *_: wider)

    assert load_predictor(version).version == version.name


def test_a_removed_feature_is_refused_by_name_with_the_commit_that_can(
    version: Path, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    make_features_by(monkeypatch, lambda made: {name: made[name] for name in names[1:]})

    with pytest.raises(
        IncompatibleArtifactError, match=f"no longer has '{names[0]}'.*The commit that can serve"
    ):
        load_predictor(version)


def test_a_changed_formula_is_refused_because_the_golden_rows_come_out_otherwise(
    version: Path, monkeypatch: pytest.MonkeyPatch
):
    make_features_by(monkeypatch, lambda made: {name: values * 0 for name, values in made.items()})

    with pytest.raises(
        IncompatibleArtifactError, match=r"its golden rows come out .* away from what they were"
    ):
        load_predictor(version)


def test_a_features_section_that_the_code_does_not_take_is_refused_by_its_key(
    version: Path, monkeypatch: pytest.MonkeyPatch
):
    class WithAnotherKnob(FeaturesConfig):
        """A knob that the version knows nothing of."""

        another_knob: int

    monkeypatch.setattr(predict, "FeaturesConfig", WithAnotherKnob)

    with pytest.raises(
        IncompatibleArtifactError, match=r"does not take its features section \(another_knob\)"
    ):
        load_predictor(version)


def test_answers_that_are_no_probabilities_are_refused(version: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predict, "onnx_scorer", lambda _: lambda matrix: np.full(len(matrix), 67.0))

    with pytest.raises(IncompatibleArtifactError, match="its answers are not probabilities"):
        load_predictor(version)


@pytest.mark.parametrize("golden", [{}, {"a": []}, {"a": [1], "b": [1, 2]}])
def test_golden_rows_that_cannot_be_scored_are_refused(version: Path, golden: dict[str, list[int]]):
    metadata = read_artifact(version).metadata
    broken = metadata.model_copy(update={"golden": metadata.golden.model_copy(update={"customers": golden})})

    with pytest.raises(IncompatibleArtifactError):
        predict.predictor_of(broken, lambda matrix: np.zeros(len(matrix)))


def test_no_customers_give_no_predictions(version: Path):
    assert load_predictor(version).predict([]) == []


def test_a_bound_belongs_to_the_tier_that_it_begins(version: Path):
    predictor = load_predictor(version)
    decision = predictor.source.decision

    tiers = predictor.decide([0.0, decision.medium_risk, decision.high_risk, 1.0])
    at, below = predictor.decide([decision.threshold, decision.threshold - 1e-9])

    assert [each.risk_tier for each in tiers] == ["LOW", "MEDIUM", "HIGH", "HIGH"]
    assert at.churn_prediction
    assert not below.churn_prediction
