"""Records and JSON values → columns, and back.

Columns come in two shapes that hold the same values: arrays of length n (`as_columns`)
and NumPy scalars (`as_scalars`, for one record, without the arrays' cost). A date is a
number there: days since 1970-01-01.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from pydantic import BaseModel

from skewless.core.contract import Column, Contract, Kind
from skewless.core.record_columns import RecordColumns

# 1970-01-01 as days since the year 1, which is what a date counts in
EPOCH: Final = 719_163


def as_columns(
    records: Sequence[BaseModel], contract: Contract
) -> dict[str, np.ndarray]:
    """Turn n validated records into arrays of shape (n,)."""
    return to_arrays(RecordColumns.of(records).lists, contract)


def to_arrays(
    values: Mapping[str, Sequence[Any]], contract: Contract
) -> dict[str, np.ndarray]:
    """Turn lists of JSON values into the contract's arrays.

    None is missing, and so is all of an absent column.
    """
    rows = len(next(iter(values.values())))  # all lists are as long as the first
    return {
        column.name: _array(values[column.name], column)
        if column.name in values
        else _absent(rows, column)
        for column in contract.columns
    }


def to_json(values: np.ndarray, column: Column) -> list[Any]:
    """Turn an array of the contract's into JSON values; the reverse of `to_arrays`."""
    if column.kind == "date":
        dates = as_dates(values).tolist()
        return [None if date is None else str(date) for date in dates]
    # booleans are 1.0 and 0.0 where some are missing
    plain = bool if column.kind == "boolean" else lambda value: value
    return [
        None if value is None or value != value else plain(value)  # noqa: PLR0124 - NaN
        for value in values.tolist()
    ]


def as_days(moments: np.ndarray) -> np.ndarray:
    """Turn moments, datetime64 (n,), into days since 1970-01-01, float64 (n,).

    The day is NaN where there is no moment.
    """
    days = moments.astype("datetime64[D]")
    return np.where(np.isnat(days), np.nan, days.astype(np.float64))


def as_dates(days: np.ndarray) -> np.ndarray:
    """Turn days since 1970-01-01 into datetime64[D]; the way back from `as_days`."""
    dates = np.nan_to_num(days).astype(np.int64).astype("datetime64[D]")
    return np.where(np.isnan(days), np.datetime64("NaT", "D"), dates)


def as_scalars(record: BaseModel, contract: Contract) -> dict[str, Any]:
    """Turn one validated record into NumPy scalars, without arrays.

    The values are the same as those of `as_columns`. A missing category is the empty
    string: like None it equals no category, and like an array's cell its comparisons
    are NumPy's, so that ``~`` and ``+`` mean the same as on columns.
    """
    return {
        name: kind(missing if (value := getattr(record, name)) is None else value)
        for name, kind, missing in _scalar_kinds(contract)
    }


@cache
def _scalar_kinds(
    contract: Contract,
) -> tuple[tuple[str, Callable[[Any], np.generic], Any], ...]:
    others: dict[Kind, Any] = {"category": (np.str_, ""), "date": (_day, None)}
    return tuple(
        (each.name, *others.get(each.kind, (each.dtype.type, np.nan)))
        for each in contract.columns
    )


def _day(date: Any) -> np.float64:
    return np.float64(np.nan if date is None else date.toordinal() - EPOCH)


def _absent(rows: int, column: Column) -> np.ndarray:
    return np.full(rows, None if column.kind == "category" else np.nan)


def _array(values: Sequence[Any], column: Column) -> np.ndarray:
    """Write a missing number as NaN; a missing category stays None.

    None equals no category.
    """
    if column.kind == "date":
        return as_days(np.array(values, dtype="datetime64[D]"))
    if column.kind != "category" and column.nullable:
        values = [np.nan if value is None else value for value in values]
    return np.array(values, dtype=column.dtype)
