"""A table that breaks the contract is refused, with every broken cell named."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fields import field, fields, wrong
from own import CONTRACT, ID, TARGET
from skewless.core.contract import Column
from skewless.core.errors import TableError
from skewless.tables.cells import written
from skewless.tables.faults import check_table, find_faults
from skewless.tables.simulate import simulate
from skewless.tables.table import read_table, write_table

NUMBERS = fields("integer", "number", nullable=False)
INTEGERS = fields("integer", nullable=False)
CATEGORIES = fields("category", nullable=False)


@pytest.fixture
def table() -> pd.DataFrame:
    made = pd.DataFrame(simulate(50, 1, CONTRACT))
    made.index = pd.RangeIndex(1, 51)
    texts = {
        column.name: object for column in CONTRACT.columns if column.kind != "date"
    }  # those are days already
    return made.astype(texts | {ID: object, TARGET: object})


def only_fault(table: pd.DataFrame) -> pd.Series:
    faults = find_faults(table, CONTRACT, training=True)
    assert len(faults) == 1, faults
    return faults.iloc[0]


def test_a_good_table_has_no_fault_and_gets_the_contracts_types(table: pd.DataFrame):
    checked = check_table(table, CONTRACT)

    assert list(checked) == [ID, *(column.name for column in CONTRACT.columns), TARGET]
    assert all(checked[column.name].dtype == column.dtype for column in NUMBERS)
    assert checked[TARGET].dtype == np.int64


@pytest.mark.parametrize("column", NUMBERS, ids=lambda column: column.name)
@pytest.mark.parametrize("beyond", [-1, 1])
def test_a_number_out_of_range_is_named(
    table: pd.DataFrame, column: Column, beyond: int
):
    bound = column.minimum if beyond < 0 else column.maximum
    wrong = bound + beyond * max(1, abs(bound))  # 1 is nothing beside 1e20
    table.loc[7, column.name] = wrong

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["rule"]) == (
        7,
        column.name,
        column.rule,
    )
    assert float(fault["found"]) == wrong


@pytest.mark.parametrize("wrong", ["abc", "1;2", "true"])
@pytest.mark.parametrize("column", NUMBERS, ids=lambda column: column.name)
@pytest.mark.slow
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

    assert (fault["row"], fault["column"], fault["rule"]) == (
        9,
        column.name,
        "an integer",
    )


@pytest.mark.parametrize("column", CATEGORIES, ids=lambda column: column.name)
def test_an_unknown_category_is_named(table: pd.DataFrame, column: Column):
    table.loc[4, column.name] = "no such category"

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["found"]) == (
        4,
        column.name,
        "no such category",
    )


@pytest.mark.parametrize("name", [ID, TARGET, *(c.name for c in NUMBERS + CATEGORIES)])
def test_a_missing_cell_where_none_may_be_is_named(table: pd.DataFrame, name: str):
    table.loc[5, name] = None

    fault = only_fault(table)

    assert (fault["row"], fault["column"], fault["rule"]) == (5, name, "not missing")


@pytest.mark.parametrize(
    "name", [ID, TARGET, *(column.name for column in CONTRACT.columns)]
)
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

    assert (fault["column"], fault["rule"]) == (
        TARGET,
        "0 for some rows and 1 for others",
    )


def test_a_table_without_rows_is_refused(table: pd.DataFrame):
    with pytest.raises(TableError, match="at least one row"):
        check_table(table.iloc[:0], CONTRACT)


def test_faults_of_all_kinds_are_reported_together_with_their_counts(
    table: pd.DataFrame,
):
    (first, *others) = [
        column for column in CONTRACT.columns if column.kind != "date"
    ]  # those are days already
    for row in (1, 2, 3):
        table.loc[row, first.name] = "abc"
    for place, column in enumerate(others):
        # a table may have more columns than rows
        table.loc[10 + place % 40, column.name] = "no such value"
    table.loc[6, ID] = table.loc[7, ID]
    table = table.drop(columns=TARGET)

    with pytest.raises(TableError) as refused:
        check_table(table, CONTRACT)

    message = str(refused.value)
    assert f"rules broken: {3 + len(others)}, cells: {5 + len(others)}" in message
    assert re.search(rf"{first.name}: must be .*; cells: 3, rows 1 \(abc\)", message)
    for named in (*(column.name for column in others), ID, TARGET):
        assert f"  {named}: must be" in message
    assert len(refused.value.faults) == 5 + len(others)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_are_counted_from_one_across_a_file(
    table: pd.DataFrame, suffix: str, tmp_path: Path
):
    column = field("integer", "number", "category")
    table.loc[50, column.name] = wrong(column)
    write_table(table.infer_objects(), tmp_path / f"t{suffix}", CONTRACT)

    faults = find_faults(
        read_table(tmp_path / f"t{suffix}", CONTRACT), CONTRACT, training=True
    )

    assert list(faults["row"]) == [50]


@pytest.mark.parametrize("column", INTEGERS, ids=lambda column: column.name)
@pytest.mark.parametrize("cell", [True, pd.Timestamp("2026-01-01"), 1j, [1]], ids=repr)
@pytest.mark.slow
def test_a_cell_of_another_type_is_named(
    table: pd.DataFrame, column: Column, cell: object
):
    table.at[2, column.name] = cell  # noqa: PD008 - the only way to place a list

    faults = find_faults(table, CONTRACT, training=True)

    assert set(faults["row"]) == {2}
    assert set(faults["column"]) == {column.name}


def test_truth_values_are_a_target_too(table: pd.DataFrame):
    expected = check_table(table, CONTRACT)[TARGET]

    checked = check_table(
        table.assign(**{TARGET: table[TARGET].astype(bool)}), CONTRACT
    )

    assert list(checked[TARGET]) == list(expected)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_column_that_stands_twice_is_refused_by_name(
    table: pd.DataFrame, suffix: str, tmp_path: Path
):
    name = CONTRACT.columns[0].name
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        pd.concat([table, table[name]], axis=1).to_csv(path, index=False)
    else:
        arrow = pa.Table.from_pandas(table.infer_objects(), preserve_index=False)
        pq.write_table(arrow.append_column(name, arrow[name]), path)

    with pytest.raises(TableError, match=f"the column {name} stands twice"):
        read_table(path, CONTRACT)


@pytest.mark.parametrize(
    "value", [[["a"]], [pd.Timestamp("2026-01-01")], [{"a": 1}]], ids=repr
)
def test_a_parquet_column_that_holds_no_plain_values_is_refused(
    value: list, tmp_path: Path
):
    name = field("integer", "number", "boolean", "category").name
    pq.write_table(pa.table({name: value}), tmp_path / "t.parquet")

    with pytest.raises(
        TableError, match=f"the column {name} is of type .*; allowed are numbers, text"
    ):
        read_table(tmp_path / "t.parquet", CONTRACT)


def test_whole_numbers_are_ids_in_parquet_as_in_csv(
    table: pd.DataFrame, tmp_path: Path
):
    numbered = table.infer_objects().assign(**{ID: range(len(table))})
    for name in ("t.csv", "t.parquet"):
        write_table(numbered, tmp_path / name, CONTRACT)

    ids = [
        list(check_table(read_table(tmp_path / name, CONTRACT), CONTRACT)[ID])
        for name in ("t.csv", "t.parquet")
    ]

    assert ids[0] == ids[1] == [str(number) for number in range(len(table))]


def test_an_id_that_is_the_index_of_a_parquet_table_is_an_id(
    table: pd.DataFrame, tmp_path: Path
):
    table.assign(**written(table.infer_objects(), CONTRACT)).infer_objects().set_index(
        ID
    ).to_parquet(tmp_path / "t.parquet")

    assert list(
        check_table(read_table(tmp_path / "t.parquet", CONTRACT), CONTRACT)[ID]
    ) == list(table[ID])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_infinity_is_out_of_range_in_every_type(table: pd.DataFrame, kind: type):
    number = field("number", nullable=False)
    table[number.name] = np.full(len(table), number.minimum, dtype=kind)
    table.loc[3, number.name] = kind(np.inf)

    assert only_fault(table)["row"] == 3


def test_columns_that_the_contract_does_not_name_are_left_out(table: pd.DataFrame):
    checked = check_table(table.assign(extra="x"), CONTRACT)

    assert "extra" not in checked


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", b"a,b\n1,2,3,4\n1\n", "cannot be read"),
        ("t.csv", b"", "cannot be read"),
        ("t.csv", b"a,b\n\xff\xfe,1\n", "cannot be read"),
        ("t.parquet", b"not parquet at all", "cannot be read"),
        ("t.xlsx", b"", r"allowed are \.csv, \.tsv, \.txt"),
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
        read_table(path, CONTRACT)
