"""A table that breaks the contract is refused, with every broken cell named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_service.contract import Column, columns
from churn_service.errors import TableError
from churn_service.faults import check_table, find_faults
from churn_service.schema import ID, TARGET
from churn_service.simulate import simulate
from churn_service.table import read_table, write_table

NUMBERS = [column for column in columns() if column.kind in {"integer", "number"} and not column.nullable]
INTEGERS = [column for column in NUMBERS if column.kind == "integer"]
CATEGORIES = [column for column in columns() if column.kind == "category" and not column.nullable]


@pytest.fixture
def table() -> pd.DataFrame:
    made = pd.DataFrame(simulate(50, 1))
    made.index = pd.RangeIndex(1, 51)
    return made.astype({column.name: object for column in columns()} | {ID: object, TARGET: object})


def only_fault(table: pd.DataFrame) -> pd.Series:
    faults = find_faults(table, training=True)
    assert len(faults) == 1, faults
    return faults.iloc[0]


def test_a_good_table_has_no_fault_and_gets_the_contracts_types(table: pd.DataFrame):
    checked = check_table(table)

    assert list(checked) == [ID, *(column.name for column in columns()), TARGET]
    assert all(checked[column.name].dtype == column.dtype for column in NUMBERS)
    assert checked[TARGET].dtype == np.int64


@pytest.mark.parametrize("column", NUMBERS, ids=lambda column: column.name)
@pytest.mark.parametrize("beyond", [-1, 1])
def test_a_number_out_of_range_is_named(table: pd.DataFrame, column: Column, beyond: int):
    wrong = column.minimum - 1 if beyond < 0 else column.maximum + 1
    table.loc[7, column.name] = wrong

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["rule"]) == (7, column.name, column.rule)
    assert float(fault["found"]) == wrong


@pytest.mark.parametrize("wrong", ["abc", "1;2", "true"])
@pytest.mark.parametrize("column", NUMBERS, ids=lambda column: column.name)
def test_text_in_a_number_column_is_named_and_the_other_rows_are_not(
    table: pd.DataFrame, column: Column, wrong: str
):
    table[column.name] = table[column.name].astype(str)
    table.loc[3, column.name] = wrong

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["found"]) == (3, column.name, wrong)


@pytest.mark.parametrize("column", INTEGERS, ids=lambda column: column.name)
def test_a_fraction_in_an_integer_column_is_named(table: pd.DataFrame, column: Column):
    table.loc[9, column.name] = column.minimum + 0.5

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["rule"]) == (9, column.name, "an integer")


@pytest.mark.parametrize("column", CATEGORIES, ids=lambda column: column.name)
def test_an_unknown_category_is_named(table: pd.DataFrame, column: Column):
    table.loc[4, column.name] = "no such category"

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["found"]) == (4, column.name, "no such category")


@pytest.mark.parametrize("name", [ID, TARGET, *(c.name for c in NUMBERS + CATEGORIES)])
def test_a_missing_cell_where_none_may_be_is_named(table: pd.DataFrame, name: str):
    table.loc[5, name] = None

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["rule"]) == (5, name, "not missing")


@pytest.mark.parametrize("name", [ID, TARGET, *(column.name for column in columns())])
def test_a_missing_column_is_named(table: pd.DataFrame, name: str):
    fault = only_fault(table.drop(columns=name))

    assert pd.isna(fault["row"])
    assert (fault["column"], fault["rule"]) == (name, "present as a column")


def test_a_second_row_with_the_same_id_is_named(table: pd.DataFrame):
    table.loc[8, ID] = table.loc[2, ID]

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["rule"]) == (8, ID, "unique")


def test_a_target_with_one_outcome_is_refused(table: pd.DataFrame):
    table[TARGET] = 0

    fault = only_fault(table)

    assert (fault["column"], fault["rule"]) == (TARGET, "both 0 and 1 must occur")


def test_a_table_without_rows_is_refused(table: pd.DataFrame):
    with pytest.raises(TableError, match="at least one row"):
        check_table(table.iloc[:0])


def test_faults_of_all_kinds_are_reported_together_with_their_counts(table: pd.DataFrame):
    (integer, number, *_), (category, *_) = NUMBERS[:2], CATEGORIES
    table.loc[[1, 2, 3], integer.name] = integer.maximum + 1
    table.loc[4, number.name] = "abc"
    table.loc[5, category.name] = "no such category"
    table.loc[6, ID] = table.loc[7, ID]
    table = table.drop(columns=TARGET)

    with pytest.raises(TableError) as refused:
        check_table(table)

    message = str(refused.value)
    assert "5 rules in 7 places" in message
    assert f"{integer.name}: must be {integer.rule}; 3 cells, rows 1" in message
    for named in (number.name, category.name, ID, TARGET):
        assert f"  {named}: must be" in message
    assert len(refused.value.faults) == 7


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_are_counted_from_one_across_a_file(table: pd.DataFrame, suffix: str, tmp_path: Path):
    column = INTEGERS[0]
    table.loc[50, column.name] = -1
    write_table(table.infer_objects(), tmp_path / f"t{suffix}")

    faults = find_faults(read_table(tmp_path / f"t{suffix}"), training=True)

    assert list(faults["row"]) == [50]


def test_columns_that_the_contract_does_not_name_are_left_out(table: pd.DataFrame):
    checked = check_table(table.assign(extra="x"))

    assert "extra" not in checked


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", b"a,b\n1,2,3,4\n1\n", "cannot be read"),
        ("t.csv", b"", "cannot be read"),
        ("t.csv", b"a,b\n\xff\xfe,1\n", "cannot be read"),
        ("t.parquet", b"not parquet at all", "cannot be read"),
        ("t.xlsx", b"", "allowed are .csv and .parquet"),
        (None, b"", "no such file"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_what_to_do(
    tmp_path: Path, name: str | None, content: bytes, told: str
):
    path = tmp_path / (name or "absent.csv")
    if name:
        path.write_bytes(content)

    with pytest.raises(TableError, match=told):
        read_table(path)
