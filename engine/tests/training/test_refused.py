"""What would answer otherwise than it was trained never becomes a version."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import yaml

from conftest import ROOT
from fields import NUMBERS, field
from own import CONTRACT, PROJECT
from skewless.core.errors import (
    ConfigError,
    ParityError,
    SkewlessError,
    TableError,
)
from skewless.models.export import PARITY
from skewless.tables.simulate import simulate
from skewless.tables.table import write_table
from skewless.testing import make_project, open_workspace
from skewless.training import pipeline
from skewless.training.pipeline import make_version, train_version

NUMBER = field(*NUMBERS).name
OPTIONAL = [column.name for column in CONTRACT.columns if column.nullable]
needs_a_gap = pytest.mark.skipif(not OPTIONAL, reason="an adopted table may have none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_project(ROOT, tmp_path)


def with_table(folder: Path, *, gaps: bool = True) -> Path:
    """Write a small table, with missing values or without one."""
    table = pd.DataFrame(simulate(1_500, 9, CONTRACT))
    if not gaps:
        table = table.dropna()
    write_table(table, folder / "data/table.csv", CONTRACT)
    return folder / "config.yaml"


def refusal(path: Path, kind: type[SkewlessError], **changes: Any) -> str:
    """Train a changed project; return why it is refused. Nothing is written."""
    work = open_workspace(replace(PROJECT, **changes), path)
    with pytest.raises(kind) as refused:
        train_version(work, say=lambda _: None)
    assert not (path.parent / "models").exists()
    return str(refused.value)


def test_a_feature_of_other_rows_makes_no_version(folder: Path):
    def add_features(records: Any, features: Any) -> dict[str, Any]:
        made = PROJECT.features(records, features)
        return made | {"above": records[NUMBER] - np.mean(records[NUMBER])}

    said = refusal(with_table(folder), ConfigError, features=add_features)

    assert said.startswith("features.py: above depends on other records. Of 200 ")


@needs_a_gap
def test_an_estimator_that_takes_no_missing_value_is_told_with_its_line(folder: Path):
    said = refusal(with_table(folder), ConfigError, training="faulty:line")

    assert said.startswith("faulty.py: ValueError: Input X contains NaN.")
    assert "return LogisticRegression().fit(matrix, target)" in said
    assert said.endswith(
        "an estimator that takes no NaN needs a SimpleImputer before it"
    )


@needs_a_gap
def test_a_forest_whose_table_has_no_missing_value_is_refused_where_one_is_allowed(
    folder: Path,
):
    path = with_table(folder, gaps=False)

    said = refusal(path, ParityError, training="faulty:forest")

    assert "put a SimpleImputer before the estimator, in train.py" in said
    assert any(name in said for name in OPTIONAL)


def test_a_package_that_is_not_installed_is_told_with_the_command(folder: Path):
    said = refusal(with_table(folder), ConfigError, training="faulty:absent")

    assert said == (
        "xgboost is not installed. `make install EXTRAS=boosters` installs "
        "XGBoost and LightGBM"
    )


def test_another_package_that_is_not_installed_is_told_with_its_line(folder: Path):
    said = refusal(with_table(folder), ConfigError, training="faulty:elsewhere")

    assert said.startswith("faulty.py: ModuleNotFoundError: No module named 'no_such_")
    assert "EXTRAS" not in said
    assert "SimpleImputer" not in said


@needs_a_gap
def test_an_estimator_that_fails_only_where_something_is_missing_is_told_the_remedy(
    folder: Path,
):
    said = refusal(with_table(folder), ParityError, training="faulty:complete")

    assert said.startswith("train.py: LogisticRegression cannot answer where ")
    assert said.endswith("schema.py allows: put a SimpleImputer before it")


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ("faulty:silent", "cannot be exported|gives no probabilities"),
        ("faulty:unwritten", "cannot be written .* no lambda, no inner function"),
    ],
)
def test_what_gives_no_probabilities_or_cannot_be_written_is_told(
    folder: Path, training: str, told: str
):
    assert re.search(told, refusal(with_table(folder), ParityError, training=training))


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ("faulty:returnless", "train returned nothing. End it with `return "),
        ("faulty:unfitted", "train returned a HistGradientBoostingClassifier, which"),
    ],
)
def test_a_train_that_returns_no_fitted_model_is_told_so(
    folder: Path, training: str, told: str
):
    assert told in refusal(with_table(folder), ConfigError, training=training)


def test_what_is_no_probability_is_refused_with_the_value(folder: Path):
    path = with_table(folder)
    document = yaml.safe_load(path.read_text())
    document["serving"] |= {"runtime": "scikit-learn", "allow_pickle": True}
    path.write_text(yaml.safe_dump(document))

    said = refusal(path, ParityError, training="faulty:sevens")

    assert re.search(r"Sevens gives \d\S* as a probability, and what is not from", said)


def test_a_split_that_holds_nobody_out_is_refused_before_training(folder: Path):
    path = with_table(folder)
    document = yaml.safe_load(path.read_text())
    document["data"]["holdout_fraction"] = 1e-9
    path.write_text(yaml.safe_dump(document))

    said = refusal(path, TableError, training="faulty:line")

    assert said.startswith("no record is held out: data.holdout_salt put all 1,500 ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_package\n", "ModuleNotFoundError: .*; line 1: import no_such"),
        ("training = (\n", r"SyntaxError: .*\(broken.py, line 1\)"),
    ],
)
def test_training_code_that_cannot_be_imported_is_told_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
):
    (folder / "broken.py").write_text(text)
    monkeypatch.syspath_prepend(folder)

    said = refusal(with_table(folder), ConfigError, training="broken:training")

    assert re.match(f"broken.py: {told}", said)


def test_a_model_that_always_says_the_same_is_exported(folder: Path):
    work = replace(PROJECT, training="faulty:same")

    metadata, _ = make_version(
        open_workspace(work, with_table(folder)), say=lambda _: None
    )

    assert metadata.proof.difference <= PARITY


def test_a_pickle_that_nobody_allowed_is_refused_before_the_work(folder: Path):
    path = with_table(folder)
    document = yaml.safe_load(path.read_text())
    document["serving"]["runtime"] = "scikit-learn"
    path.write_text(yaml.safe_dump(document))

    said = refusal(path, ConfigError, training="no_such_module:training")

    assert said.endswith("serving.allow_pickle: true allows it")


def test_probabilities_of_the_other_class_are_refused(folder: Path):
    said = refusal(with_table(folder), ParityError, training="faulty:turned")

    assert "classes of HistGradientBoostingClassifier are [1, 0]" in said


def test_trees_behind_an_imputer_are_proven_at_every_split(folder: Path):
    work = replace(PROJECT, training="faulty:imputed")

    metadata, _ = make_version(
        open_workspace(work, with_table(folder)), say=lambda _: None
    )

    assert metadata.proof.splits_checked == metadata.proof.splits > 50


@needs_a_gap
def test_an_imputer_that_fills_in_something_else_in_the_export_is_seen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    export = pipeline.export_model

    def filled_otherwise(fitted: Any, features: int) -> bytes:
        model = onnx.load_from_string(export(fitted, features))
        (imputer,) = [node for node in model.graph.node if node.op_type == "Imputer"]
        (values,) = [
            each for each in imputer.attribute if each.name == "imputed_value_floats"
        ]
        values.floats[:] = [value + 1e6 for value in values.floats]
        return bytes(model.SerializeToString())

    monkeypatch.setattr(pipeline, "export_model", filled_otherwise)

    said = refusal(with_table(folder), ParityError, training="faulty:imputed")

    assert "away from what was trained, in" in said
    assert any(name in said for name in OPTIONAL)


def test_a_version_that_the_service_could_not_load_is_not_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    golden = pipeline._golden  # noqa: SLF001 - what it answers is made wrong

    def otherwise(*words: Any) -> Any:
        found = golden(*words)
        return found.model_copy(
            update={"probabilities": [1 - each for each in found.probabilities]}
        )

    monkeypatch.setattr(pipeline, "_golden", otherwise)

    said = refusal(with_table(folder), SkewlessError)

    assert "its golden rows come out" in said
