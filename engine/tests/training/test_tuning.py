"""Knobs are searched on the training side; the best become a diff of config.yaml."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from conftest import ROOT
from own import PROJECT
from skewless.core.bootstrap import Interval
from skewless.core.errors import ConfigError, NotInstalledError
from skewless.testing import make_project, open_workspace, run_command
from skewless.training import comparison, cross_validation, tuning
from skewless.training.comparison import compare
from skewless.training.data import TrainingData, read_training_data
from skewless.training.proposal import Proposal, propose
from skewless.training.tuning import tune

TRIALS = 3
QUICK = ("logistic_regression",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a table, whose config.yaml has its comments."""
    folder = make_project(ROOT, tmp_path_factory.mktemp("tuned"))
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    # Knobs that trees choose badly, so that there is something to find.
    text = text.replace(
        "\n  calibration: none ",
        "\n  max_iter: 4  # trees; 1 or more\n  learning_rate: 0.9  # above 0 to 1"
        "\n  calibration: none ",
    )
    document = yaml.safe_load((folder / "config.yaml").read_text())
    path = yaml.safe_load(text)["data"]["path"]
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    run_command(
        PROJECT, folder, "sample", path, "--rows", document["data"]["sample"]["rows"]
    )
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> TrainingData:
    return read_training_data(open_workspace(PROJECT, folder / "config.yaml"))


def section(folder: Path, **knobs: Any) -> Any:
    found = open_workspace(PROJECT, folder / "config.yaml").config.model
    return found.model_copy(update=knobs)


def searched(data: TrainingData, section: Any, trials: int = TRIALS) -> tuning.Tuned:
    training = PROJECT.load_training()
    return tune(data, training, section, trials=trials, advance=lambda _: None)


@pytest.mark.slow
@pytest.mark.needs("optuna")
def test_better_knobs_are_found_and_are_numbers_that_a_person_would_write(
    folder: Path, data: TrainingData
):
    found = searched(data, section(folder))

    assert len(found.trials) == TRIALS
    assert found.knobs in [each.knobs for each in found.trials]
    assert min(each.log_loss for each in found.trials) == next(
        each.log_loss for each in found.trials if each.knobs == found.knobs
    )
    for name, value in found.knobs.items():
        assert value == float(f"{value:.3g}")
        assert getattr(found.section, name) == value
    assert found.section.random_state == section(folder).random_state


@pytest.mark.slow
@pytest.mark.needs("optuna")
def test_the_same_seed_tries_the_same_knobs_and_another_seed_others(
    folder: Path, data: TrainingData
):
    first = searched(data, section(folder), 3)
    second = searched(data, section(folder), 3)
    other = searched(data, section(folder, random_state=7), 3)

    assert first == second
    assert first.trials != other.trials


@pytest.mark.slow
@pytest.mark.needs("optuna")
def test_the_holdout_is_not_looked_at_when_knobs_are_chosen(
    folder: Path, data: TrainingData
):
    target = np.where(data.is_held_out, 1 - data.target, data.target)
    matrix = np.where(data.is_held_out[:, np.newaxis], -1, data.matrix)
    changed = replace(data, target=target, matrix=matrix.astype(np.float32))

    assert searched(changed, section(folder), 3) == searched(data, section(folder), 3)


@pytest.mark.slow
@pytest.mark.needs("optuna")
def test_the_folds_of_the_search_are_others_than_those_that_are_compared_by(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    seeds: dict[str, set[int]] = {"search": set(), "comparing": set()}

    def watch(module: Any, name: str) -> None:
        folds = cross_validation.folds

        def watched(*words: Any, seed: int) -> Any:
            seeds[name].add(seed)
            return folds(*words, seed=seed)

        monkeypatch.setattr(module, "folds", watched)

    watch(tuning, "search")
    watch(cross_validation, "comparing")
    work = open_workspace(PROJECT, folder / "config.yaml")

    compare(work, QUICK, trials=1, advance=lambda _: None)

    assert seeds == {"search": {44}, "comparing": {42, 43}}


@pytest.mark.needs("optuna")
def test_a_large_seed_still_has_folds_of_its_own():
    section = type("Section", (), {"random_state": 2**32 - 1})

    assert [cross_validation.seed_of(section, repeat) for repeat in range(3)] == [
        2**32 - 1,
        0,
        1,
    ]


@pytest.fixture(scope="module")
def told(folder: Path) -> str:
    """Return what is printed."""
    done = run_command(
        PROJECT, folder, "compare", "hist_gradient_boosting", "--tune", TRIALS
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


APPLY = {"git": ["git", "apply"], "patch": ["patch", "-p1", "--quiet"]}


@pytest.mark.slow
@pytest.mark.needs("optuna", "patch")
@pytest.mark.parametrize("program", APPLY)
def test_what_is_printed_can_be_applied_and_the_configuration_trains(
    folder: Path, told: str, tmp_path: Path, program: str
):
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    before = (own / "config.yaml").read_text().splitlines()

    subprocess.run(APPLY[program], cwd=own, input=told, text=True, check=True)

    after = (own / "config.yaml").read_text().splitlines()
    comments = {line.partition("#")[2] for line in before}
    assert comments <= {line.partition("#")[2] for line in after}
    assert [line for line in after if line not in before and "#" not in line] == []
    model = yaml.safe_load((own / "config.yaml").read_text())["model"]
    assert model["learning_rate"] != 0.9
    assert f"learning_rate {model['learning_rate']}" in told
    done = run_command(PROJECT, own, "train")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.needs("optuna")
def test_the_same_seed_prints_the_same_diff(folder: Path, told: str):
    words = ("compare", "hist_gradient_boosting", "--tune", TRIALS, "--json")

    found = json.loads(run_command(PROJECT, folder, *words).stdout)

    proposal = found["proposal"]
    assert told.endswith(proposal["diff"])
    assert proposal["removed"] == []
    assert proposal["settings"].keys() > {"estimator", "learning_rate"}
    best = next(iter(found["rows"].values()))
    assert best["estimator"] == "hist_gradient_boosting"
    assert set(best["tuned"]) > {"learning_rate", "max_iter"}
    assert found["rows"]["hist_gradient_boosting"]["tuned"] == {}
    assert found["rows"]["hist_gradient_boosting"]["behind"]["mean"] > 0


@pytest.fixture(scope="module")
def of_another(folder: Path) -> comparison.Comparison:
    """Return a comparison that another estimator than config.yaml's has won."""
    work = open_workspace(PROJECT, folder / "config.yaml")
    return compare(work, ("hist_gradient_boosting", *QUICK), advance=lambda _: None)


def proposed(
    found: comparison.Comparison, folder: Path, text: str | None = None
) -> Proposal | None:
    work = open_workspace(PROJECT, folder / "config.yaml")
    text = text or (folder / "config.yaml").read_text()
    return propose(found, work, text=text, name="config.yaml")


@pytest.mark.slow
def test_another_estimator_takes_the_place_of_the_one_before_with_its_knobs(
    folder: Path, of_another: comparison.Comparison, tmp_path: Path
):
    own = Path(shutil.copytree(folder, tmp_path / "own"))

    found = proposed(of_another, folder)

    assert of_another.rows[0].name == "logistic_regression"
    assert found is not None
    assert found.removed == ("max_iter", "learning_rate")
    subprocess.run(["git", "apply"], cwd=own, input=found.diff, text=True, check=True)
    model = open_workspace(PROJECT, own / "config.yaml").config.model
    assert (model.estimator, model.max_iter) == ("logistic_regression", 500)


@pytest.mark.slow
def test_the_best_that_config_yaml_has_already_needs_no_diff(
    folder: Path, of_another: comparison.Comparison
):
    same = replace(of_another, chosen=of_another.rows[0].name)

    assert proposed(same, folder) is None


@pytest.mark.slow
def test_a_configuration_without_a_last_line_break_can_be_patched(
    folder: Path, of_another: comparison.Comparison, tmp_path: Path
):
    model = "model:\n  estimator: hist_gradient_boosting\n  random_state: 42"
    (tmp_path / "config.yaml").write_text(model)

    found = proposed(of_another, folder, model)

    assert found is not None
    subprocess.run(
        ["git", "apply"], cwd=tmp_path, input=found.diff, text=True, check=True
    )
    assert (tmp_path / "config.yaml").read_text() == model.replace(
        "hist_gradient_boosting", "logistic_regression"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "model: {estimator: hist_gradient_boosting, learning_rate: 0.9}\n",
        (
            "model:\n  estimator: hist_gradient_boosting\n  learning_rate: 0.9\n\n"
            "registry:\n  path: s3://me:secret@host/models\n"
        ),
    ],
)
def test_where_no_diff_can_be_shown_the_changes_are_said(
    folder: Path, of_another: comparison.Comparison, text: str
):
    found = proposed(of_another, folder, text)

    assert found is not None
    assert list(found.lines()) == [
        "in the section model of config.yaml, write estimator: logistic_regression",
        "and take out learning_rate",
    ]


@pytest.mark.slow
def test_line_ends_of_windows_make_no_diff_that_could_not_be_applied(
    folder: Path, of_another: comparison.Comparison
):
    text = (folder / "config.yaml").read_text().replace("\n", "\r\n")

    found = proposed(of_another, folder, text)

    assert found is not None
    assert found.diff is None
    assert next(found.lines()).endswith("write estimator: logistic_regression")


@pytest.fixture
def compared(
    of_another: comparison.Comparison, monkeypatch: pytest.MonkeyPatch
) -> comparison.Comparison:
    """Compare nothing: the command gets what was compared before."""
    monkeypatch.setattr(comparison, "compare", lambda *_, **__: of_another)
    return of_another


@pytest.mark.slow
@pytest.mark.usefixtures("compared")
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_command_reads_line_ends_as_they_are(
    folder: Path, tmp_path: Path, line_end: str
):
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    text = (own / "config.yaml").read_text(encoding="utf-8")
    (own / "config.yaml").write_bytes(text.replace("\n", line_end).encode())

    done = run_command(PROJECT, own, "compare", "--tune", "1")

    assert ("--- a/config.yaml" in done.stdout) == (line_end == "\n")
    assert ("in the section model of config.yaml" in done.stdout) == (
        line_end == "\r\n"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("compared")
def test_a_diff_of_another_folder_says_which_and_applies_there(
    folder: Path, tmp_path: Path
):
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    (own / "inner").mkdir()

    done = run_command(
        PROJECT, own / "inner", "compare", "--tune", "1", "--config", "../config.yaml"
    )

    assert "to be applied in the folder ..\n" in done.stdout
    subprocess.run(["git", "apply"], cwd=own, input=done.stdout, text=True, check=True)
    model = yaml.safe_load((own / "config.yaml").read_text())["model"]
    assert model["estimator"] == "logistic_regression"


@pytest.mark.slow
@pytest.mark.usefixtures("compared")
def test_a_program_gets_what_is_proposed_though_there_is_no_diff(
    folder: Path, tmp_path: Path
):
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    document = yaml.safe_load((own / "config.yaml").read_text(encoding="utf-8"))
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in document.items()]
    (own / "config.yaml").write_text("".join(lines), encoding="utf-8")

    done = run_command(PROJECT, own, "compare", "--tune", "1", "--json")

    assert json.loads(done.stdout)["proposal"] == {
        "settings": {"estimator": "logistic_regression"},
        "removed": ["max_iter", "learning_rate"],
        "diff": None,
        "folder": None,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "behind", "told"),
    [
        ({"chosen": None}, None, "Name that, too, to compare both"),
        (
            {"chosen": None, "left_out": {"hist_gradient_boosting": "why"}},
            None,
            "hist_gradient_boosting, which config.yaml chooses, was left out",
        ),
        ({}, Interval(0.1, -0.1, 0.3), "no estimator is better than the baseline"),
    ],
)
def test_nothing_is_proposed_without_a_reason_to_change_and_that_is_said(
    folder: Path,
    of_another: comparison.Comparison,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    behind: Interval | None,
    told: str,
):
    rows = tuple(
        replace(row, behind=behind or row.behind)
        if row.name == comparison.BASELINE
        else row
        for row in of_another.rows
    )
    found = replace(of_another, rows=rows, **changes)
    monkeypatch.setattr(comparison, "compare", lambda *_, **__: found)

    done = run_command(PROJECT, folder, "compare", "--tune", "1")

    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert "+++" not in done.stdout
    assert proposed(found, folder) is None


@pytest.mark.slow
@pytest.mark.needs("optuna")
def test_best_knobs_that_train_would_refuse_are_no_row_and_the_reason_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    load = comparison.load_scorer
    calls = []

    def wrong_the_second_time(models: Any) -> Any:
        calls.append(models)
        score = load(models)
        return score if len(calls) == 1 else lambda rows: score(rows) + 0.1

    monkeypatch.setattr(comparison, "load_scorer", wrong_the_second_time)
    work = open_workspace(PROJECT, folder / "config.yaml")

    found = compare(work, ["hist_gradient_boosting"], trials=TRIALS)

    reason = found.untuned["hist_gradient_boosting"]
    assert reason.startswith("with the best knobs, train would refuse it: ")
    assert [row.name for row in found.rows if row.trained] == ["hist_gradient_boosting"]


def test_without_optuna_nothing_is_trained_and_the_command_that_installs_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(comparison, "read_training_data", None)
    work = open_workspace(PROJECT, folder / "config.yaml")

    with pytest.raises(NotInstalledError, match="make install EXTRAS=tuning"):
        compare(work, [], trials=1, advance=lambda _: None)


@pytest.mark.needs("optuna")
def test_without_any_range_there_is_nothing_to_search(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(comparison, "searched_knobs", lambda _: {})
    work = open_workspace(PROJECT, folder / "config.yaml")

    with pytest.raises(ConfigError, match=r"no knob of .* declares a range to search"):
        compare(work, QUICK, trials=1, advance=lambda _: None)
