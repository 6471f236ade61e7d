"""Columns → which one identifies a row, if any does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn_service.contract import id_length
from churn_service.errors import TableError
from churn_service.schema import ID
from adoption.naming import identifier
from adoption.profile import Profile

NAMED_ID: Final = re.compile(
    r"(.*_)?(id|uuid|guid)|(customer|client|account|user|member|contract|kunden?)_?(key|no|nr|number|nummer)"
)
OF_CUSTOMERS: Final = re.compile(r"customer|client|account|user|member|kunde")
FIRST_ROWS: Final = 3


@dataclass(frozen=True)
class Identity:
    """The column that names a row."""

    header: str
    longest: int
    """Characters of the longest id."""
    was_asked: bool


def check_id(header: str, column: pa.ChunkedArray, *, was_asked: bool) -> Identity:
    """Accept a column as the id if every row has one of its own.

    Raises
    ------
    TableError
        Says how many rows have none, or one that others have too.
    """
    other = f"rename {ID}" if header == ID else "say ID=none"
    without = f"Let each row be one customer upstream, or {other}: then each row gets an id made of its cells"
    blank = pc.fill_null(pc.equal(column, ""), fill_value=True)
    if empty := int(pc.sum(blank).as_py() or 0):
        msg = f"{header} cannot be the id: {empty:,} rows have none. {without}"
        raise TableError(msg)
    codes = column.dictionary_encode().combine_chunks().indices.to_numpy()
    rows = np.bincount(codes)
    if (rows > 1).any():
        again = np.flatnonzero(rows[codes] > 1)[:FIRST_ROWS] + 1
        msg = (
            f"{header} cannot be the id: {int((rows > 1).sum()):,} ids stand in several rows (first in rows "
            f"{', '.join(map(str, again.tolist()))}). {without}"
        )
        raise TableError(msg)
    longest = int(pc.max(pc.utf8_length(column)).as_py())
    return Identity(
        header, max(longest, id_length()[1]) if longest <= id_length()[1] else 2 * longest, was_asked
    )


def is_named_id(header: str) -> bool:
    """Tell by its name whether a column is an id.

    >>> [is_named_id(name) for name in ("customerID", "RowId", "Kundennr", "paid", "Phone Number")]
    [True, True, True, False, False]
    """
    return (
        NAMED_ID.fullmatch(identifier(header, 1).removesuffix("_value")) is not None or header.lower() == "id"
    )


def find_id(profiles: Sequence[Profile]) -> str | None:
    """Choose the column that is an id by its name and its values; a customer's before another's."""
    found = [
        each.header
        for each in profiles
        if is_named_id(each.header)
        and each.all_differ
        and not each.missing
        and each.kind in {"integer", "text"}
    ]
    of_customers = [header for header in found if OF_CUSTOMERS.match(identifier(header, 1))]
    return next(iter(of_customers + found), None)
