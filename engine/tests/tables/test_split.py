"""No row stands on both sides of the holdout, and what belongs together stays so."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from own import CONTRACT, ID, TARGET
from skewless.core.errors import TableError
from skewless.core.sections import FormatConfig, Split
from skewless.tables.simulate import simulate
from skewless.tables.split import read_split, repeated
from skewless.tables.table import write_table

HALF = Split(fraction=0.5, salt="s", together=True)
WITHOUT_IDS = FormatConfig(row_ids=True)


@pytest.fixture
def copies() -> pd.DataFrame:
    """Return 100 records without an id, each four times."""
    table = pd.DataFrame(simulate(100, 3, CONTRACT)).drop(columns=ID)
    return pd.concat([table] * 4, ignore_index=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_equal_rows_without_an_id_are_on_one_side(
    copies: pd.DataFrame, tmp_path: Path, suffix: str
):
    path = tmp_path / f"table{suffix}"
    write_table(copies, path, CONTRACT)

    table, is_held_out = read_split(path, CONTRACT, WITHOUT_IDS, split=HALF)

    assert table[ID].is_unique
    assert repeated(table, is_held_out, CONTRACT) == 0
    assert is_held_out.reshape(4, 100).std(axis=0).max() == 0
    assert 20 < is_held_out[:100].sum() < 80


def test_of_an_earlier_version_equal_rows_are_where_they_were(
    copies: pd.DataFrame, tmp_path: Path
):
    write_table(copies, tmp_path / "table.csv", CONTRACT)
    split = Split(fraction=0.5, salt="s")

    table, is_held_out = read_split(
        tmp_path / "table.csv", CONTRACT, WITHOUT_IDS, split=split
    )

    assert repeated(table, is_held_out, CONTRACT) > 50


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(households=st.lists(st.integers(0, 9), min_size=60, max_size=60))
def test_a_group_is_on_one_side(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, households: list[int]
):
    path = tmp_path_factory.mktemp("grouped") / f"table{suffix}"
    table = pd.DataFrame(simulate(60, 3, CONTRACT)).assign(household=households)
    write_table(table, path, CONTRACT)
    split = HALF.model_copy(update={"group": "household"})

    checked, is_held_out = read_split(path, CONTRACT, FormatConfig(), split=split)

    sides = pd.Series(is_held_out).groupby(households).nunique()
    assert sides.max() == 1
    assert "household" not in checked


@pytest.mark.parametrize(
    ("households", "told"),
    [
        (None, "data.group: the table has no column household; it has "),
        ([1, None] * 30, "data.group: 30 rows have no household"),
    ],
)
def test_a_group_that_is_not_known_is_refused(
    tmp_path: Path, households: list[int | None] | None, told: str
):
    table = pd.DataFrame(simulate(60, 3, CONTRACT))
    if households is not None:
        table = table.assign(household=pd.array(households, dtype="Int64"))
    write_table(table, tmp_path / "table.csv", CONTRACT)
    split = HALF.model_copy(update={"group": "household"})

    with pytest.raises(TableError, match=told):
        read_split(tmp_path / "table.csv", CONTRACT, FormatConfig(), split=split)


def test_what_is_predicted_is_no_group(tmp_path: Path):
    write_table(
        pd.DataFrame(simulate(60, 3, CONTRACT)), tmp_path / "table.csv", CONTRACT
    )
    split = HALF.model_copy(update={"group": TARGET})

    with pytest.raises(TableError, match="is what is predicted"):
        read_split(tmp_path / "table.csv", CONTRACT, FormatConfig(), split=split)


def test_records_that_repeat_under_other_ids_are_counted():
    table = pd.DataFrame(simulate(60, 3, CONTRACT))
    copied = table.assign(**{ID: [f"copy-{row}" for row in range(60)]})
    both = pd.concat([table, copied], ignore_index=True)
    is_held_out = np.arange(120) >= 60

    assert repeated(both, is_held_out, CONTRACT) == 60
    other = both.assign(
        **{TARGET: np.where(is_held_out, 1 - both[TARGET], both[TARGET])}
    )
    assert repeated(other, is_held_out, CONTRACT) == 0
