"""Find every cell that breaks the contract, by row, column and rule, with pandera."""

from typing import Final

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from skewless.core.contract import CONTROL, HALF, Column, Contract, TableFormat
from skewless.core.errors import TableError
from skewless.core.escaping import printable
from skewless.tables.cells import read_cells
from skewless.tables.table import typed

ROWS_SHOWN = 5
PLAIN_TEXT: Final = "text without control characters"
OUTCOME = Column(name="outcome", kind="boolean")


class _HalfCharacter(str):
    """The escaped form of a cell with half of a surrogate pair.

    It stands for the cell, which pandas cannot hold as text.
    """

    __slots__ = ()


def check_table(table: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return the training table with the contract's columns and types.

    They are the id, the columns in order and the target; columns that the contract does
    not name are left out.

    Raises
    ------
    TableError
        Names every broken rule with its count and first rows; its `faults` lists every
        cell.
    """
    faults = find_faults(table, contract, training=True)
    if len(faults):
        raise TableError(*describe(faults), faults=faults)
    outcomes = read_cells(table[contract.target], OUTCOME, contract.table)
    return typed(table, contract).assign(**{contract.target: outcomes.astype(np.int64)})


def find_faults(
    table: pd.DataFrame, contract: Contract, *, training: bool = False
) -> pd.DataFrame:
    """List every cell that breaks the contract.

    Parameters
    ----------
    table
        As read; the index is the row number to report.
    contract
        What is allowed.
    training
        Whether the table must also have rows, a unique id on each, every column, and
        both outcomes.

    Returns
    -------
    DataFrame with columns row, column, rule, found
        One line per broken cell; `row` is missing where a whole column is at fault.
        Empty: all is well.
    """
    if training and not len(table):
        return pd.DataFrame(
            [
                {
                    "row": None,
                    "column": "table",
                    "rule": "at least one row",
                    "found": "none",
                }
            ]
        )
    schema = pa.DataFrameSchema(_rules(contract, training=training))
    try:
        schema.validate(_checkable(table), lazy=True)
    except SchemaErrors as error:
        return _as_faults(error.failure_cases)
    return pd.DataFrame({"row": [], "column": [], "rule": [], "found": []})


def _checkable(table: pd.DataFrame) -> pd.DataFrame:
    """Replace each cell that pandas cannot hold as text by what it can compare."""
    checkable = table.copy(deep=False)
    if not table.columns.is_unique:  # a name may then mean several columns
        return checkable
    for name in table:
        if table[name].dtype == "object":
            checkable[name] = pd.Series(map(_as_text, table[name]), table.index, object)
    return checkable


def _as_text(cell: object) -> object:
    if isinstance(cell, str) and HALF.search(cell):
        return _HalfCharacter(printable(cell))
    return cell


def _rules(contract: Contract, *, training: bool) -> dict[str, pa.Column]:
    shortest, longest = contract.id_length
    rules = {}
    for column in contract.columns:
        checks = _checks(column, contract.table)
        rules[column.name] = pa.Column(
            None,
            checks,
            nullable=column.nullable,
            required=training or not column.nullable,
        )
    rules[contract.id] = pa.Column(
        None,
        [
            pa.Check(
                lambda names: _has_length(names, shortest, longest),
                error=f"text of {shortest} to {longest} characters",
            ),
            pa.Check(_is_plain, error=PLAIN_TEXT),
        ],
        unique=training,
        nullable=not training,
        required=training,
        report_duplicates="exclude_first",
    )
    if training:
        known = pa.Check(
            lambda values: _has_kind(values, OUTCOME, contract.table),
            error=f"one of {', '.join(contract.table.outcomes)}",
        )
        both = pa.Check(
            lambda cells: len(cells.unique()) > 1,
            error="0 for some rows and 1 for others",
        )
        rules[contract.target] = pa.Column(None, [known, both])
    return rules


def _checks(column: Column, table: TableFormat) -> list[pa.Check]:
    """Rules as vectorised checks on the non-missing cells, as they were read."""
    if column.kind == "category":
        return [
            pa.Check(lambda values: _in_categories(values, column), error=column.rule)
        ]
    checks = [
        pa.Check(
            lambda values: _has_kind(values, column, table), error=_article(column.kind)
        )
    ]
    if column.kind != "boolean":
        checks.append(
            pa.Check(lambda values: _in_range(values, column, table), error=column.rule)
        )
    return checks


def _in_categories(values: pd.Series, column: Column) -> pd.Series:
    return values.isin(column.categories) & _is_text(values)


def _has_length(names: pd.Series, shortest: int, longest: int) -> pd.Series:
    if names.dtype == "str":
        return names.str.len().between(shortest, longest)
    lengths = names.map(lambda name: len(name) if isinstance(name, str) else -1)
    return lengths.between(shortest, longest)


def _is_plain(names: pd.Series) -> pd.Series:
    """Tell which ids hold no control character; what is no text breaks another rule."""
    if names.dtype == "str":  # half of a surrogate pair cannot be in such a column
        return ~names.str.contains(CONTROL.pattern)
    return names.map(_is_plain_name).astype(bool)


def _is_plain_name(name: object) -> bool:
    if isinstance(name, _HalfCharacter):
        return False
    return not isinstance(name, str) or CONTROL.search(name) is None


def _is_text(values: pd.Series) -> pd.Series:
    """Tell which cells are text; a column of another kind may still hold some."""
    if values.dtype == "str":
        return pd.Series(True, index=values.index)  # noqa: FBT003 - a value
    return values.map(lambda cell: isinstance(cell, str)).astype(bool)


def _has_kind(values: pd.Series, column: Column, table: TableFormat) -> pd.Series:
    cells = read_cells(values, column, table)
    if column.kind == "integer":
        return cells.notna() & (cells % 1 == 0)
    return cells.notna()


def _in_range(values: pd.Series, column: Column, table: TableFormat) -> pd.Series:
    cells = read_cells(values, column, table)
    return cells.isna() | cells.between(*column.bounds)


def _article(kind: str) -> str:
    return f"{'an' if kind == 'integer' else 'a'} {kind}"


def _as_faults(cases: pd.DataFrame) -> pd.DataFrame:
    whole = cases["check"] == "column_in_dataframe"
    column = cases["column"].where(~whole, cases["failure_case"])
    rule = cases["check"].replace(
        {
            "not_nullable": "not missing",
            "field_uniqueness": "unique",
            "column_in_dataframe": "present as a column",
        }
    )
    cells = cases["failure_case"].where(cases["index"].notna(), "")
    found = cells.map(printable).astype("str")
    return pd.DataFrame(
        {"row": cases["index"], "column": column, "rule": rule, "found": found}
    ).reset_index(drop=True)


def describe(faults: pd.DataFrame) -> list[str]:
    """Say in lines which rules are broken, how often and where first.

    The `faults` are as `find_faults` returns them.
    """
    lines = [
        f"rules broken: {len(faults.groupby(['column', 'rule']))}, cells: {len(faults)}"
    ]
    for (column, rule), group in faults.groupby(["column", "rule"], sort=False):
        line = f"  {column}: must be {rule}"
        if group["row"].notna().any():
            first = group.head(ROWS_SHOWN)
            pairs = zip(first["row"], first["found"], strict=True)
            shown = ", ".join(f"{row} ({cell})" for row, cell in pairs)
            line += f"; cells: {len(group)}, rows {shown}"
        lines.append(line)
    return lines
