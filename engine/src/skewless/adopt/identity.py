"""Columns → which one identifies a row, if any does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skewless.adopt.naming import snake_case
from skewless.adopt.profile import Profile
from skewless.core.errors import TableError
from skewless.core.project import Project

ANY_ID: Final = r"(u?id|uuid|guid)"
NUMBER: Final = r"(key|no|nr|number|nummer)"
CUSTOMER: Final = r"(customer|client|account|user|member|kunden?)"
NAMED_ID: Final = re.compile(
    rf"(.*_)?{ANY_ID}|{CUSTOMER}_?({ANY_ID}|{NUMBER})|contract_?{NUMBER}"
)
OF_CUSTOMERS: Final = re.compile(r"customer|client|account|user|member|kunde")
NAMES_A_ROW: Final = re.compile(rf"({CUSTOMER}_?)?{ANY_ID}|{CUSTOMER}_?{NUMBER}")
# Rows on average, at most, for a customer's id to be one that repeats, and for another
# id. With more, it is the code of a category, as plan_id is.
ROWS_OF_A_CUSTOMER: Final = 20
ROWS_OF_ANOTHER: Final = 4
FIRST_ROWS: Final = 3


@dataclass(frozen=True)
class Identity:
    """The column that names a row."""

    header: str
    longest: int
    """Characters of the longest id."""
    was_asked: bool


def check_id(
    header: str,
    column: pa.ChunkedArray,
    project: Project[Any, Any],
    *,
    was_asked: bool,
) -> Identity:
    """Accept a column as the id if every row has one of its own.

    Raises
    ------
    TableError
        Says how many rows have none, or one that others have too.
    """
    other = f"rename {header}" if header == project.table.id else "say ID=none"
    without = (
        f"Give each row an id of its own upstream, or {other}: "
        "then each row gets an id made of its cells"
    )
    blank = pc.fill_null(pc.equal(column, ""), fill_value=True)
    empty = int(pc.sum(blank).as_py() or 0)
    if empty:
        msg = f"{header} cannot be the id: {empty:,} rows have none. {without}"
        raise TableError(msg)
    codes = column.dictionary_encode().combine_chunks().indices.to_numpy()
    rows = np.bincount(codes)
    if (rows > 1).any():
        again = np.flatnonzero(rows[codes] > 1)[:FIRST_ROWS] + 1
        msg = (
            f"{header} cannot be the id: "
            f"{int((rows > 1).sum()):,} ids stand in several rows "
            f"(first in rows {', '.join(map(str, again.tolist()))}). {without}"
        )
        raise TableError(msg)
    longest = int(pc.max(pc.utf8_length(column)).as_py())
    _, allowed = project.contract.id_length
    room = allowed if longest <= allowed else 2 * longest
    return Identity(header, room, was_asked)


def is_named_id(header: str) -> bool:
    """Tell by its name whether a column is an id.

    >>> [is_named_id(name) for name in ("customerID", "RowId", "Kundennr")]
    [True, True, True]
    >>> [is_named_id(name) for name in ("paid", "Phone Number")]
    [False, False]
    """
    return NAMED_ID.fullmatch(_plain(header)) is not None


def _plain(header: str) -> str:
    """Spell a header as a name; what is called `id_value` is an id, too."""
    return snake_case(header, 1).removesuffix("_value")


def repeats(found: Profile) -> bool:
    """Tell whether a column is named like an id and its values stand in several rows.

    A category's code, such as `plan_id`, has far fewer values than there are rows.
    """
    if (
        not is_named_id(found.header)
        or found.all_differ
        or found.kind not in {"integer", "text", "category"}
    ):
        return False
    names_a_row = NAMES_A_ROW.fullmatch(_plain(found.header))
    rows = ROWS_OF_A_CUSTOMER if names_a_row else ROWS_OF_ANOTHER
    return found.distinct > 1 and found.present <= rows * found.distinct


def refuse_repeated(profiles: Sequence[Profile]) -> None:
    """Refuse a table whose only id stands in several rows.

    Raises
    ------
    TableError
        Names the column, and says how to adopt the table all the same.
    """
    for each in filter(repeats, profiles):
        msg = (
            f"{each.header} looks like an id and repeats "
            f"({each.distinct:,} different values in {each.present:,} rows): "
            "each id must stand in one row. "
            "Aggregate the rows of an id upstream, or say ID=none: "
            "then the column is left out, and each row gets an id made of its cells"
        )
        raise TableError(msg)


def find_id(profiles: Sequence[Profile]) -> str | None:
    """Choose the column that is an id by its name and its values.

    A customer's id comes before another's.
    """
    found = [each.header for each in profiles if _can_be_id(each)]
    of_customers = [
        header for header in found if OF_CUSTOMERS.match(snake_case(header, 1))
    ]
    best = of_customers or found
    return best[0] if best else None


def _can_be_id(found: Profile) -> bool:
    return (
        is_named_id(found.header)
        and found.all_differ
        and not found.missing
        and found.kind in {"integer", "text"}
    )
