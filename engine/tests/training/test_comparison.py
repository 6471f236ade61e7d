"""Estimators are compared on the same rows, and the holdout decides nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from own import PROJECT
from skewless.core.errors import (
    ConfigError,
    NotInstalledError,
    ParityError,
    TableError,
)
from skewless.models.predict import joblib_scorer
from skewless.testing import make_project, open_workspace, run_command
from skewless.training import comparison, cross_validation, pipeline
from skewless.training import data as training_data
from skewless.training.comparison import compare
from skewless.training.data import read_training_data

TWO = ("logistic_regression", "hist_gradient_boosting")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(
        ROOT, tmp_path_factory.mktemp("compared"), model={"max_iter": 20}
    )
    run_command(PROJECT, folder, "sample")
    return folder


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    done = run_command(PROJECT, folder, "compare", *TWO, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_estimators_stand_in_order_beside_baseline_and_best_possible(
    told: dict[str, Any],
):
    names = list(told["rows"])
    losses = [
        row["cross_validated"]["log_loss"]["mean"] for row in told["rows"].values()
    ]

    assert set(names[:2]) == set(TWO)
    assert names[2:] == ["baseline", "best possible"]
    assert losses[3] < losses[0] <= losses[1] < losses[2]
    assert told["chosen"] == "hist_gradient_boosting"
    for row in told["rows"].values():
        for side in ("cross_validated", "holdout"):
            for found in row[side].values():
                assert found["low"] <= found["mean"] <= found["high"]
    assert told["rows"][names[0]]["behind"] == {"mean": 0, "low": 0, "high": 0}
    assert told["rows"]["baseline"]["behind"]["low"] > 0
    assert told["rows"]["baseline"]["costs"] is None
    assert told["rows"][names[0]]["costs"]["bytes"] > 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(folder: Path, told: dict[str, Any]):
    again = json.loads(run_command(PROJECT, folder, "compare", *TWO, "--json").stdout)

    for name, row in told["rows"].items():
        assert again["rows"][name]["cross_validated"] == row["cross_validated"]
        assert again["rows"][name]["holdout"] == row["holdout"]


@pytest.mark.slow
def test_the_holdout_changes_neither_the_order_nor_what_is_cross_validated(
    folder: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    work = open_workspace(PROJECT, folder / "config.yaml")
    data = read_training_data(work)
    target = np.where(data.is_held_out, 1 - data.target, data.target)
    monkeypatch.setattr(
        comparison, "read_training_data", lambda _: replace(data, target=target)
    )

    found = compare(work, TWO, advance=lambda _: None)

    assert [row.name for row in found.rows] == list(told["rows"])
    for row in found.rows:
        expected = told["rows"][row.name]
        scores = {name: each._asdict() for name, each in row.cross_validated.items()}
        assert scores == expected["cross_validated"]
        assert row.holdout["roc_auc"].mean != expected["holdout"]["roc_auc"]["mean"]


@given(
    keys=st.lists(st.integers(0, 40), min_size=60, max_size=200).filter(
        lambda keys: len(set(keys)) >= cross_validation.FOLDS
    )
)
def test_rows_of_one_key_are_in_one_fold_and_each_row_is_asked_once(
    keys: list[int],
):
    target = np.arange(len(keys)) % 2

    asked = np.zeros(len(keys))
    for seen, fold in cross_validation.folds(target, np.array(keys), seed=3):
        together = {keys[row] for row in seen} & {keys[row] for row in fold}
        assert together == set()
        asked[fold] += 1

    assert set(asked) == {1}


@pytest.mark.slow
def test_the_table_says_what_decides_and_what_does_not(folder: Path):
    done = run_command(PROJECT, folder, "compare", "logistic_regression")

    assert done.stdout.startswith("by cross-validation on the training side")
    assert "on the holdout, which is no reason to choose" in done.stdout
    assert "logistic_regression" in done.stdout


def test_an_estimator_that_config_does_not_know_is_refused_by_name(folder: Path):
    work = open_workspace(PROJECT, folder / "config.yaml")

    with pytest.raises(
        ConfigError, match=r"svm: config\.py has no such choice; allowed"
    ):
        compare(work, ["svm"], advance=lambda _: None)


def absent(*_: Any, **__: Any) -> Any:
    msg = "xgboost is not installed. `make install EXTRAS=boosters` installs it"
    raise NotInstalledError(msg)


@pytest.mark.slow
def test_what_is_not_installed_is_left_out_unless_it_was_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    fit_rows = training_data.fit_rows

    def some(*words: Any, config: Any) -> Any:
        if config.estimator != "logistic_regression":
            absent()
        return fit_rows(*words, config=config)

    monkeypatch.setattr(training_data, "fit_rows", some)
    work = open_workspace(PROJECT, folder / "config.yaml")

    found = compare(work, [], advance=lambda _: None)

    assert found.rows[0].name == "logistic_regression"
    assert "xgboost" in found.left_out
    assert found.chosen is None
    with pytest.raises(ConfigError, match="is not installed"):
        compare(work, ["xgboost"], advance=lambda _: None)


@pytest.fixture
def where_trees_are_turned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a workspace in whose train.py trees have the classes of a notebook."""
    training = PROJECT.load_training()

    def train(matrix: Any, target: Any, model: Any) -> Any:
        if model.estimator == "logistic_regression":
            return training.train(matrix, target, model)
        fitted = training.train(matrix, target, model)
        fitted.classes_ = np.array(["no", "yes"])
        return fitted

    changed = replace(training, train=train)
    monkeypatch.setattr(type(PROJECT), "load_training", lambda _: changed)
    work = open_workspace(PROJECT, folder / "config.yaml")
    choices = comparison.choices

    def two(*words: Any) -> Any:
        return {name: kind for name, kind in choices(*words).items() if name in TWO}

    monkeypatch.setattr(comparison, "choices", two)
    return work


@pytest.mark.slow
def test_what_train_would_refuse_takes_no_part_and_its_reason_is_told(
    where_trees_are_turned: Any,
):
    found = compare(where_trees_are_turned, [])

    assert [row.name for row in found.rows if row.trained] == ["logistic_regression"]
    assert found.left_out.keys() == {"hist_gradient_boosting"}
    reason = found.left_out["hist_gradient_boosting"]
    assert reason.startswith("train would refuse it: ")
    assert "\n" not in reason


@pytest.mark.parametrize("name", ["hist_gradient_boosting"])
def test_what_train_would_refuse_is_refused_before_the_folds_where_it_is_asked_for(
    where_trees_are_turned: Any, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr(comparison, "cross_validated", None)

    with pytest.raises(ParityError):
        compare(where_trees_are_turned, [name])


def test_a_difference_between_what_is_served_and_what_was_trained_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    load = pipeline.load_scorer
    monkeypatch.setattr(
        comparison, "load_scorer", lambda models: lambda rows: load(models)(rows) + 0.1
    )
    work = open_workspace(PROJECT, folder / "config.yaml")

    with pytest.raises(ParityError, match="away from what was trained"):
        compare(work, ["logistic_regression"])


def test_where_no_estimator_is_left_all_reasons_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(training_data, "fit_rows", absent)
    work = open_workspace(PROJECT, folder / "config.yaml")

    with pytest.raises(ParityError) as refused:
        compare(work, [])

    assert "no estimator is left to compare" in str(refused.value)
    assert "random_forest: xgboost is not installed" in str(refused.value)


def test_a_holdout_of_one_outcome_is_refused_before_anything_is_trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(training_data, "fit_rows", None)
    work = open_workspace(PROJECT, folder / "config.yaml")
    data = read_training_data(work)
    same = replace(data, target=np.where(data.is_held_out, 1, data.target))

    with pytest.raises(TableError, match="of the holdout have the same outcome"):
        compare(work, TWO, data=same)


@pytest.mark.slow
def test_the_time_is_that_of_what_would_be_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = make_project(
        ROOT, tmp_path, serving={"runtime": "scikit-learn", "allow_pickle": True}
    )
    run_command(PROJECT, folder, "sample")
    loaded = []

    def watched(model: bytes) -> Any:
        loaded.append(len(model))
        return joblib_scorer(model)

    monkeypatch.setattr(pipeline, "joblib_scorer", watched)

    done = run_command(PROJECT, folder, "compare", "logistic_regression")

    assert done.returncode == 0, done.stderr
    assert "scikit-learn, a row" in done.stdout
    assert "ONNX" not in done.stdout
    assert f"{loaded[0] / 1024:9.0f} kB" in done.stdout


def test_a_pickle_that_nobody_allowed_is_not_compared(tmp_path: Path):
    folder = make_project(ROOT, tmp_path, serving={"runtime": "scikit-learn"})

    done = run_command(PROJECT, folder, "compare")

    assert done.returncode == ConfigError.exit_code
    assert "serving.allow_pickle: true allows it" in done.stderr
