"""A version outlives added features and fields.

Otherwise it is refused, and the way back is named.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field, create_model

from churn_service.config import FeaturesConfig, ModelConfig
from churn_service.features import add_features
from churn_service.schema import Customer
from own import CONTRACT, PROJECT
from skewless.core.answer import decide
from skewless.core.errors import IncompatibleArtifactError
from skewless.core.project import Project
from skewless.core.sections import BaseConfig
from skewless.models import predict
from skewless.models.artifact import read_artifact
from skewless.models.predict import load_predictor


@pytest.fixture
def names(version: Path) -> tuple[str, ...]:
    return read_artifact(version).metadata.identity.feature_names


def with_features_by(change: Any) -> Project:
    """Let the code's features be what they are after a change of the made columns."""
    return replace(PROJECT, features=lambda *args: change(add_features(*args)))


def test_a_version_outlives_added_and_reordered_features(
    version: Path, names: tuple[str, ...]
):
    customers = [Customer(**CONTRACT.example())]
    before = load_predictor(version, PROJECT).predict(customers)
    changed = with_features_by(
        lambda made: {"new": made[names[0]], **dict(reversed(made.items()))}
    )

    after = load_predictor(version, changed).predict(customers)

    assert after == before


def test_a_version_outlives_an_added_field(version: Path):
    added = (Annotated[float, Field(ge=0, le=1)], ...)
    wider = replace(PROJECT, record=create_model("Wider", __base__=Customer, new=added))

    assert [column.name for column in wider.contract.columns][-1] == "new"
    assert load_predictor(version, wider).version == version.name


def test_a_removed_feature_is_refused_by_name_with_the_commit_that_can(
    version: Path, names: tuple[str, ...]
):
    without = with_features_by(lambda made: {name: made[name] for name in names[1:]})

    with pytest.raises(
        IncompatibleArtifactError,
        match=f"no longer has '{names[0]}'.*The commit that can serve",
    ):
        load_predictor(version, without)


def test_a_changed_formula_is_refused_because_the_golden_rows_come_out_otherwise(
    version: Path,
):
    changed = with_features_by(
        lambda made: {name: values * 0 for name, values in made.items()}
    )

    with pytest.raises(
        IncompatibleArtifactError,
        match=r"its golden rows come out .* away from what they were",
    ):
        load_predictor(version, changed)


def test_a_features_section_that_the_code_does_not_take_is_refused_by_its_key(
    version: Path,
):
    class WithAnotherKnob(FeaturesConfig):
        """A knob that the version knows nothing of."""

        another_knob: int

    changed = replace(PROJECT, config=BaseConfig[WithAnotherKnob, ModelConfig])

    with pytest.raises(
        IncompatibleArtifactError,
        match=r"does not take its features section \(another_knob\)",
    ):
        load_predictor(version, changed)


def test_answers_that_are_no_probabilities_are_refused(
    version: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        predict, "onnx_scorer", lambda _: lambda matrix: np.full(len(matrix), 67.0)
    )

    with pytest.raises(
        IncompatibleArtifactError, match="its answers are not probabilities"
    ):
        load_predictor(version, PROJECT)


@pytest.mark.parametrize("golden", [{}, {"a": []}, {"a": [1], "b": [1, 2]}])
def test_golden_rows_that_cannot_be_scored_are_refused(
    version: Path, golden: dict[str, list[int]]
):
    metadata = read_artifact(version).metadata
    broken = metadata.model_copy(
        update={"golden": metadata.golden.model_copy(update={"records": golden})}
    )

    with pytest.raises(IncompatibleArtifactError):
        predict.predictor_of(broken, PROJECT, lambda matrix: np.zeros(len(matrix)))


def test_no_customers_give_no_predictions(version: Path):
    assert load_predictor(version, PROJECT).predict([]) == []


def test_a_bound_belongs_to_the_tier_that_it_begins(version: Path):
    predictor = load_predictor(version, PROJECT)
    decision = predictor.source.decision
    bounds = np.array([0.0, decision.medium_risk, decision.high_risk, 1.0])
    around = np.array([decision.threshold, decision.threshold - 1e-9])

    _, tiers = decide(bounds, predictor.source)
    decisions, _ = decide(around, predictor.source)

    assert list(tiers) == ["LOW", "MEDIUM", "HIGH", "HIGH"]
    assert list(decisions) == [True, False]
