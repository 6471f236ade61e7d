"""Read cells as tables write them: numbers, truth values, days and outcomes.

Also here: an id made of what a row holds.
"""

import hashlib
import json
from decimal import Decimal
from typing import Final

import numpy as np
import pandas as pd

from skewless.core.arrays import as_dates, as_days
from skewless.core.contract import Column, Contract, TableFormat

WORDS: Final = {1.0: "true yes y t 1 1.0", 0.0: "false no n f 0 0.0"}
TRUTHS: Final = {
    word: truth for truth, words in WORDS.items() for word in words.split()
}
ISO_DAY: Final = r"\d{4}-\d\d-\d\d(?:[T ].*)?"
DIGEST_BYTES: Final = 16


def read_cells(values: pd.Series, column: Column, table: TableFormat) -> pd.Series:
    """Read cells as numbers; NaN where a cell is none.

    A CSV column with one bad cell arrives as text.
    """
    match column.kind:
        case "category":
            return values
        case "boolean":
            return _truths(values)
        case "date":
            days = _days(values, table.dates.get(column.name))
            return pd.Series(days, index=values.index)
        case "integer" | "number":
            return _numbers(values)


def read_outcomes(values: pd.Series, table: TableFormat) -> pd.Series:
    """Read cells of the target as 1 and 0 by `table.outcomes`.

    Anything else is put in quotes. Numbers count by their value, so that 1, "1.0" and
    "01" are the same; true is 1 and false is 0.
    """
    known = {_meaning(word): float(outcome) for word, outcome in table.outcomes.items()}
    if values.dtype.kind in "biuf":
        found = pd.Series(np.nan, index=values.index)
        for word, outcome in known.items():
            found = found.mask(values == word, outcome)
    else:
        found = (
            texts_of(values)
            .map(_meaning, na_action="ignore")
            .map(known)
            .astype(np.float64)
        )
    if found.notna().all():
        return found.astype(np.int64)
    quoted = "'" + texts_of(values) + "'"
    return found.astype(object).where(found.notna() | values.isna(), quoted)


def texts_of(values: pd.Series) -> pd.Series:
    """Write cells as text without blanks around them; what is missing stays so."""
    return values.astype("str").str.strip()


def written(
    table: pd.DataFrame, contract: Contract
) -> dict[str, pd.Series | np.ndarray]:
    """Write days and outcomes as `read_cells` and `read_outcomes` understand them."""
    made: dict[str, pd.Series | np.ndarray] = {}
    for column in contract.columns:
        days = table.get(column.name)
        if column.kind == "date" and days is not None and days.dtype.kind == "f":
            made[column.name] = as_dates(days.to_numpy()).astype("datetime64[s]")
    words = {
        outcome: int(word) if word.isdecimal() else word
        for word, outcome in reversed(contract.table.outcomes.items())
    }
    target = contract.target
    if target in table and words != {0: 0, 1: 1}:
        made[target] = table[target].astype(object).replace(words)
    return made


def row_ids(table: pd.DataFrame, contract: Contract) -> pd.Series:
    """Make unique ids of what rows hold.

    An id is the same wherever its row stands and whatever else is there. Equal rows are
    counted, so it does not matter which of them is which.
    """
    absent = pd.Series(np.nan, index=table.index)
    cells = {
        column.name: read_cells(table.get(column.name, absent), column, contract.table)
        for column in contract.columns
    }
    cells[contract.target] = table.get(contract.target, absent)
    rows = (
        pd.DataFrame(cells)[sorted(cells)]
        .astype("str")
        .itertuples(index=False, name=None)
    )
    made = [
        hashlib.blake2b(json.dumps(row).encode(), digest_size=DIGEST_BYTES).hexdigest()
        for row in rows
    ]
    digests = pd.Series(made, index=table.index, dtype="str")
    counts = digests.groupby(digests).cumcount() + 1
    return "row-" + digests + "-" + counts.astype("str")


def _meaning(cell: str) -> float | str:
    text = {"true": "1", "false": "0"}.get(cell.lower(), cell)
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(values: pd.Series) -> pd.Series:
    if values.dtype.kind not in "iufO":  # truth values, dates, complex numbers
        return pd.Series(np.nan, index=values.index)
    if values.dtype == object:
        values = values.where(values.map(_is_number_or_text))
    # As float64, else a bound beyond a smaller type's range would be infinity, and so
    # would a cell.
    return pd.to_numeric(values, errors="coerce").astype(np.float64)


def _truths(values: pd.Series) -> pd.Series:
    if values.dtype.kind in "biuf":
        return values.astype(np.float64).where(values.isin([0, 1]))
    return texts_of(values).str.lower().map(TRUTHS).astype(np.float64)


def _days(values: pd.Series, form: str | None) -> np.ndarray:
    """Read dates as days since 1970, without their time of day.

    A column of floats holds days already.
    """
    if values.dtype.kind == "f":
        return values.to_numpy(np.float64)
    if values.dtype.kind == "M":
        return as_days(values.dt.tz_localize(None).to_numpy())
    texts = texts_of(values)
    moments = _parsed(texts.where(texts.str.fullmatch(ISO_DAY)).str[:10], "%Y-%m-%d")
    if form is not None:
        moments = np.where(np.isnat(moments), _parsed(texts, form), moments)
    return as_days(moments)


def _parsed(texts: pd.Series, form: str) -> np.ndarray:
    return pd.to_datetime(texts, format=form, errors="coerce").to_numpy("datetime64[s]")


def _is_number_or_text(cell: object) -> bool:
    return isinstance(cell, (int, float, str, Decimal, np.number)) and not isinstance(
        cell, (bool, complex)
    )
