"""File → outcomes to record, or every fault in it."""

from datetime import MAXYEAR, MINYEAR
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from skewless.core.contract import Contract
from skewless.core.errors import TableError
from skewless.core.escaping import printable
from skewless.core.formats import format_of
from skewless.core.sections import PLAIN, FormatConfig
from skewless.monitoring.outcomes import Outcome, outcome_models
from skewless.tables.faults import PLAIN_TEXT, describe
from skewless.tables.table import read_table


def read_file(
    path: Path, contract: Contract, form: FormatConfig = PLAIN
) -> list[Outcome]:
    """Read outcomes from text or Parquet, in any format that a table may have.

    Parameters
    ----------
    path
        Columns: prediction_id, or the contract's id, or both, of which the first then
        counts where it is given; outcome (1 or 0), or the contract's target in its own
        words; perhaps observed_at, in UTC where it has no offset.
    contract
        What a record is, and how a table spells it.
    form
        How the file is written; no ids are made.

    Raises
    ------
    TableError
        The file cannot be read, or breaks a rule of `POST /outcomes`; its `faults`
        lists every cell.
    """
    table = read_table(path, contract, form.model_copy(update={"row_ids": False}))
    names = ("prediction_id", contract.id)
    answer = "outcome" if "outcome" in table else contract.target
    absent = [
        " or ".join(each)
        for each in (names, (answer,))
        if not table.columns.isin(each).any()
    ]
    if absent or table.empty:
        lacking = [f"column {name}" for name in absent] or ["rows"]
        msg = f"{path}: has no {', no '.join(lacking)}"
        form_of_file = format_of(path.name)
        if (
            absent
            and form_of_file
            and form_of_file.kind == "text"
            and not form_of_file.has_tabs
        ):
            msg += (
                "; its cells must be separated as those of data.path are, "
                f"by {form.delimiter!r}"
            )
        raise TableError(msg)
    cells = _cells(
        table[[name for name in (*names, answer, "observed_at") if name in table]],
        answer,
    )
    rows = [_row(each, contract.id) for each in cells.to_dict("records")]
    adapter: TypeAdapter[list[Outcome]] = TypeAdapter(outcome_models(contract).several)
    try:
        return adapter.validate_python(rows)
    except ValidationError as error:
        faults = pd.DataFrame(
            [_fault(fault, answer, contract.id) for fault in error.errors()]
        )
        first, *others = describe(faults)
        msg = f"{path}: {first}"
        raise TableError(msg, *others, faults=faults) from None


def _cells(table: pd.DataFrame, answer: str) -> pd.DataFrame:
    """Name and write what matters as a request would send it."""
    table = table.rename(columns={answer: "outcome"})
    if table["outcome"].dtype == bool:  # how Parquet stores 0 and 1, often
        table = table.astype({"outcome": "int64"})
    if "observed_at" in table:
        given = table["observed_at"].astype(object)
        moments = pd.to_datetime(
            given.astype("str"), format="ISO8601", utc=True, errors="coerce"
        )
        # Beyond these years Python has no moments.
        moments = moments.where(moments.dt.year.between(MINYEAR, MAXYEAR))
        table = table.assign(
            observed_at=moments.astype(object).where(moments.notna(), given)
        )
    return table


def _row(cells: dict[Any, Any], id_name: str) -> dict[Any, Any]:
    """Leave out what is missing, and the record where a prediction is named."""
    given = {name: cell for name, cell in cells.items() if pd.notna(cell)}
    return {
        name: cell
        for name, cell in given.items()
        if name != id_name or "prediction_id" not in given
    }


def _fault(fault: Any, answer: str, id_name: str) -> dict[str, Any]:
    row, *location = fault["loc"]
    name = str(location[-1]) if location else id_name
    found = "" if fault["type"] == "missing" else printable(fault["input"])
    rule = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if name == id_name and fault["type"] == "string_pattern_mismatch":
        rule = PLAIN_TEXT
    return {
        "row": row + 1,
        "column": answer if name == "outcome" else name,
        "rule": rule,
        "found": found,
    }
