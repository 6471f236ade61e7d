"""Train-serve skew: every road from a record to the model is the same road."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn_service.arrays import as_columns, as_scalars
from churn_service.artifact import read_artifact
from churn_service.config import FeaturesConfig
from churn_service.feature_matrix import feature_matrix
from churn_service.features import add_features
from churn_service.predict import Predictor, load_predictor
from churn_service.schema import Customer
from churn_service.table import read_table, typed, write_table
from own import CONTRACT, ID, PROJECT
from strategies import customers


@pytest.fixture(scope="module")
def predictor(version: Path) -> Predictor:
    return load_predictor(version, PROJECT)


@pytest.fixture(scope="module")
def features(version: Path) -> FeaturesConfig:
    return FeaturesConfig(**read_artifact(version).metadata.identity.features)


def as_table(records: list[Customer]) -> pd.DataFrame:
    """Lay records out as a table that a person would have, before any check."""
    table = pd.DataFrame([record.model_dump() for record in records])
    table[ID] = [f"c-{row}" for row in range(len(records))]
    return table


@given(records=st.lists(customers(), min_size=1, max_size=8))
def test_features_of_a_table_of_arrays_and_of_scalars_are_equal_bit_for_bit(
    records: list[Customer], features: FeaturesConfig
):
    from_table = feature_matrix(PROJECT, typed(as_table(records), CONTRACT), features)

    from_arrays = feature_matrix(PROJECT, as_columns(records, CONTRACT), features)
    from_scalars = np.vstack(
        [feature_matrix(PROJECT, as_scalars(record, CONTRACT), features) for record in records]
    )

    assert from_table.dtype == np.float32
    assert from_table.tobytes() == from_arrays.tobytes() == from_scalars.tobytes()


@given(records=st.lists(customers(), min_size=2, max_size=8), data=st.data())
def test_a_customers_features_do_not_depend_on_who_else_is_in_the_table(
    records: list[Customer], data: st.DataObject, features: FeaturesConfig
):
    order = data.draw(st.permutations(range(len(records))))
    alone = [feature_matrix(PROJECT, as_columns([record], CONTRACT), features) for record in records]

    together = feature_matrix(
        PROJECT, typed(as_table([records[position] for position in order]), CONTRACT), features
    )

    assert together.tobytes() == np.vstack([alone[position] for position in order]).tobytes()


@given(records=st.lists(customers(), min_size=2, max_size=8), data=st.data())
def test_order_and_company_change_no_probability(
    records: list[Customer], data: st.DataObject, predictor: Predictor
):
    order = data.draw(st.permutations(range(len(records))))
    alone = [predictor.predict([record])[0] for record in records]

    together = predictor.predict([records[position] for position in order])

    assert together == [alone[position] for position in order]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(customers(), min_size=1, max_size=8))
def test_a_table_written_and_read_again_has_the_same_features(
    records: list[Customer], suffix: str, tmp_path: Path, features: FeaturesConfig
):
    path = tmp_path / f"table{suffix}"
    write_table(as_table(records), path, CONTRACT)

    read = feature_matrix(PROJECT, typed(read_table(path, CONTRACT), CONTRACT), features)

    assert read.tobytes() == feature_matrix(PROJECT, as_columns(records, CONTRACT), features).tobytes()


def test_the_matrix_has_the_wanted_features_in_the_wanted_order(features: FeaturesConfig):
    customer = as_scalars(Customer(**CONTRACT.example()), CONTRACT)
    names = list(add_features(customer, features))

    backwards = feature_matrix(PROJECT, customer, features, names=names[::-1])

    assert np.array_equal(backwards, feature_matrix(PROJECT, customer, features)[:, ::-1], equal_nan=True)


def test_editing_the_configuration_after_training_changes_no_answer(trained: Path, tmp_path: Path, run):
    edited = Path(shutil.copytree(trained, tmp_path / "edited"))
    document = yaml.safe_load((edited / "config.yaml").read_text())
    document["decision"] = dict.fromkeys(document["decision"], 1.0)
    document["features"] = {key: value + 1 for key, value in document["features"].items()}
    (edited / "config.yaml").write_text(yaml.safe_dump(document))
    before = run(trained, "score", "data/table.csv", tmp_path / "before.csv")

    after = run(edited, "score", "data/table.csv", tmp_path / "after.csv")

    assert (before.returncode, after.returncode) == (0, 0), after.stderr
    assert (tmp_path / "before.csv").read_bytes() == (tmp_path / "after.csv").read_bytes()
