"""The training table: every cell that breaks the contract is named.

Nobody moves into the holdout.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skewless.notebook import find_faults, is_holdout, read_table
from skewless.testing import Done

from churn_service.project import project

CONTRACT = project.contract


@pytest.fixture(scope="module")
def table(trained: Path) -> pd.DataFrame:
    return read_table(trained / "data/table.csv", CONTRACT)


def test_the_simulated_table_keeps_the_contract(table: pd.DataFrame):
    assert find_faults(table, CONTRACT).empty


@pytest.mark.parametrize("column", [each.name for each in CONTRACT.columns])
def test_a_cell_that_breaks_the_contract_is_named(table: pd.DataFrame, column: str):
    broken = table.astype({column: object})
    broken.loc[[3, 7], column] = "no such value"

    faults = find_faults(broken, CONTRACT)

    assert set(faults["column"]) == {column}
    assert set(faults["row"]) == {3, 7}


def test_training_on_a_broken_table_lists_the_rows_and_makes_no_version(
    trained: Path, tmp_path: Path, run
):
    text = (trained / "data/table.csv").read_text()
    (tmp_path / "config.yaml").write_text((trained / "config.yaml").read_text())
    (tmp_path / "data").mkdir()
    (tmp_path / "data/table.csv").write_text(
        text + "," * text.splitlines()[0].count(",") + "\n"
    )

    done: Done = run(tmp_path, "train")

    assert (done.returncode, "must be" in done.stderr) == (3, True), done.stderr
    assert not (tmp_path / "models").exists()


@given(
    ids=st.lists(st.text(min_size=1), min_size=1, unique=True),
    other=st.lists(st.text(min_size=1)),
)
def test_who_is_in_the_holdout_depends_on_nobody_else(ids: list[str], other: list[str]):
    alone = is_holdout(pd.Series(ids, dtype=object), fraction=0.3, salt="2026")

    together = is_holdout(
        pd.Series([*other, *ids], dtype=object), fraction=0.3, salt="2026"
    )

    assert np.array_equal(together[len(other) :], alone)
