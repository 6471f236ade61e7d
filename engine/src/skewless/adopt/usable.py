"""Columns of a foreign table → those that a field can be made of, by name and type."""

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from skewless.adopt.reading import Foreign
from skewless.core.errors import TableError

PLAIN_TYPES = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_null,
    pa.types.is_date,
    pa.types.is_timestamp,
)


@dataclass(frozen=True)
class LeftOut:
    """A column that becomes no field."""

    header: str
    why: str


def split_usable(
    foreign: Foreign, *, needed: set[int]
) -> tuple[list[int], list[LeftOut]]:
    """Part the columns: positions of usable ones, and the others with the reason.

    Raises
    ------
    TableError
        The target or the id is among the others.
    """
    times = Counter(foreign.headers)
    why = {
        place: _why_unusable(header, times[header], _stored(foreign, place))
        for place, header in enumerate(foreign.headers)
    }
    for place in needed:
        if reason := why[place]:
            msg = f"{foreign.headers[place]!r} cannot be used: {reason}"
            raise TableError(msg)
    left_out = [
        LeftOut(foreign.headers[place].strip() or f"column {place + 1}", reason)
        for place, reason in why.items()
        if reason
    ]
    return [place for place, reason in why.items() if not reason], left_out


def _why_unusable(header: str, same: int, kind: pa.DataType) -> str | None:
    reasons = {
        "it has no name": not header.strip(),
        f"{same} columns are called so: rename them upstream": same > 1,
        f"its type is {kind}: neither numbers, text, dates nor truth values": not any(
            test(kind) for test in PLAIN_TYPES
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def is_text(foreign: Foreign, place: int) -> bool:
    """Tell whether a column is stored as text, so that its numbers have to be read."""
    kind = _stored(foreign, place)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _stored(foreign: Foreign, place: int) -> pa.DataType:
    kind = foreign.kind(place)
    return kind.value_type if pa.types.is_dictionary(kind) else kind
