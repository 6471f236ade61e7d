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
from skewless.core.errors import ConfigError, NotInstalledError
from skewless.testing import make_project, open_workspace, run_command
from skewless.training import comparison, cross_validation
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
    fit_rows = cross_validation.fit_rows

    def some(*words: Any, config: Any) -> Any:
        if config.estimator != "logistic_regression":
            absent()
        return fit_rows(*words, config=config)

    monkeypatch.setattr(cross_validation, "fit_rows", some)
    work = open_workspace(PROJECT, folder / "config.yaml")

    found = compare(work, [], advance=lambda _: None)

    assert found.rows[0].name == "logistic_regression"
    assert "xgboost" in found.left_out
    assert found.chosen is None
    with pytest.raises(ConfigError, match="is not installed"):
        compare(work, ["xgboost"], advance=lambda _: None)
