"""Train-serve skew: every path from record to model computes the same features."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from skewless import feature_matrix
from skewless.notebook import load_predictor, read_table, typed, write_table
from skewless.testing import as_columns, as_scalars, records

from churn_service.config import FeaturesConfig
from churn_service.project import project
from churn_service.schema import Customer

CONTRACT = project.contract
LAST_DIGITS = 1e-6  # trees answer the same to the last bit, a linear model nearly
CUSTOMERS = st.lists(records(CONTRACT), min_size=1, max_size=8)


def as_table(customers: list[Customer]) -> pd.DataFrame:
    """Lay customers out as somebody's table would be, before any check."""
    table = pd.DataFrame([customer.model_dump() for customer in customers])
    table[CONTRACT.id] = [f"c-{row}" for row in range(len(customers))]
    return table


@given(customers=CUSTOMERS)
def test_training_and_serving_see_the_same_features(
    customers: list[Customer], features: FeaturesConfig
):
    at_training = feature_matrix(
        project, typed(as_table(customers), CONTRACT), features
    )

    columns = as_columns(customers, CONTRACT)
    in_a_batch = feature_matrix(project, columns, features)
    one_by_one = [
        feature_matrix(project, as_scalars(each, CONTRACT), features)
        for each in customers
    ]

    assert at_training.dtype == np.float32
    assert (
        at_training.tobytes() == in_a_batch.tobytes() == np.vstack(one_by_one).tobytes()
    )


@given(customers=CUSTOMERS, data=st.data())
def test_features_do_not_depend_on_who_else_is_in_the_table(
    customers: list[Customer], data: st.DataObject, features: FeaturesConfig
):
    order = data.draw(st.permutations(range(len(customers))))
    alone = [
        feature_matrix(project, as_columns([each], CONTRACT), features)
        for each in customers
    ]

    reordered = [customers[position] for position in order]
    table = typed(as_table(reordered), CONTRACT)
    together = feature_matrix(project, table, features)

    assert (
        together.tobytes()
        == np.vstack([alone[position] for position in order]).tobytes()
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(customers=CUSTOMERS)
def test_a_table_that_was_written_and_read_again_has_the_same_features(
    customers: list[Customer],
    suffix: str,
    tmp_path_factory: pytest.TempPathFactory,
    features: FeaturesConfig,
):
    path = tmp_path_factory.mktemp("table") / f"table{suffix}"
    write_table(as_table(customers), path, CONTRACT)

    read = feature_matrix(
        project, typed(read_table(path, CONTRACT), CONTRACT), features
    )

    columns = as_columns(customers, CONTRACT)
    served = feature_matrix(project, columns, features)
    assert read.tobytes() == served.tobytes()


@given(customers=CUSTOMERS, data=st.data())
def test_order_and_company_change_no_answer(
    customers: list[Customer], data: st.DataObject, version: Path
):
    predictor = load_predictor(version, project)
    order = data.draw(st.permutations(range(len(customers))))
    alone = [predictor.predict([each])[0] for each in customers]

    reordered = [customers[position] for position in order]
    together = predictor.predict(reordered)

    expected = [alone[position].probability for position in order]
    assert [each.probability for each in together] == pytest.approx(
        expected, abs=LAST_DIGITS
    )


def changed(knobs: dict[str, Any]) -> dict[str, Any]:
    """Give each number or truth value the first of a few others that is accepted."""
    for name, value in knobs.items():
        if not isinstance(value, int | float):
            continue
        for other in (value + 1, value - 1, value / 2, not value):
            with suppress(ValidationError):
                FeaturesConfig(**knobs | {name: other})
                knobs = knobs | {name: other}
                break
    return knobs


def test_an_edit_of_the_configuration_changes_no_answer_until_you_train(
    trained: Path, tmp_path: Path, run
):
    edited = Path(shutil.copytree(trained, tmp_path / "edited"))
    document = yaml.safe_load((edited / "config.yaml").read_text())
    document["decision"] = dict.fromkeys(document["decision"], 1.0)
    document["features"] = changed(document["features"])
    (edited / "config.yaml").write_text(yaml.safe_dump(document))
    before = run(trained, "score", "data/table.csv", tmp_path / "before.csv")

    after = run(edited, "score", "data/table.csv", tmp_path / "after.csv")

    assert (before.returncode, after.returncode) == (0, 0), after.stderr
    assert (tmp_path / "before.csv").read_bytes() == (
        tmp_path / "after.csv"
    ).read_bytes()
