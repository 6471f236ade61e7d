"""Columns of a foreign table → fields of the contract, or why they are left out."""

import datetime as dt
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from skewless.adopt.cells import TRUTH
from skewless.adopt.identity import is_named_id, repeats
from skewless.adopt.naming import Names, in_words
from skewless.adopt.profile import MOST_CATEGORIES, Profile
from skewless.adopt.reading import Foreign
from skewless.core.contract import is_plain_text
from skewless.core.errors import TableError

MORE: Final = 10  # times the largest number seen is still allowed
LARGEST: Final = 1e38  # the model's float32 ends at 3.4e38
LARGEST_WHOLE: Final = 2**24  # beyond, float32, which the model reads, has no odd ones
YEARS: Final = 10  # before the first and after the last date seen
EPOCH: Final = dt.date(1970, 1, 1)
ROW_NUMBERS: Final = 10  # rows, from which on numbers without a gap are the rows' own

PLAIN_TYPES: Final = (
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


@dataclass(frozen=True)
class AdoptedField:
    """A field of the contract, and the column that it came from."""

    name: str
    profile: Profile
    kind: str
    low: float | dt.date | None
    high: float | dt.date | None
    example: Any

    @property
    def nullable(self) -> bool:
        """Whether the value may miss."""
        return self.profile.missing > 0

    @property
    def description(self) -> str:
        """The header in words."""
        return in_words(self.profile.header, self.name)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the model columns that it becomes."""
        return _features(self.name, self.profile)


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
        place: _why_unusable(header, times[header], foreign.kind(place))
        for place, header in enumerate(foreign.headers)
    }
    for place in needed:
        reason = why[place]
        if reason:
            msg = f"{foreign.headers[place]!r} cannot be used: {reason}"
            raise TableError(msg)
    left_out = [
        LeftOut(foreign.headers[place].strip() or f"column {place + 1}", reason)
        for place, reason in why.items()
        if reason
    ]
    usable = [place for place, reason in why.items() if not reason]
    return usable, left_out


def _why_unusable(header: str, same: int, kind: pa.DataType) -> str | None:
    if not header.strip():
        return "it has no name"
    if same > 1:
        return f"{same} columns are called so: rename them upstream"
    if not any(test(kind) for test in PLAIN_TYPES):
        return f"its type is {kind}: neither numbers, text, dates nor truth values"
    return None


def why_left_out(found: Profile) -> str | None:
    """Say why a column cannot be a field; None if it can."""
    is_text = found.kind == "text"
    signed = next((note for note in found.notes if "with a sign" in note), "")
    unprintable = not all(map(is_plain_text, found.values))
    largest = max(-found.minimum, found.maximum)
    # The first that holds is told.
    reasons = {
        signed: is_text and bool(signed),
        "it has no value in any row": found.kind == "empty",
        "some of its texts hold control characters, such as a line break: "
        "replace those upstream": found.kind == "category" and unprintable,
        f"it is {found.frequent!r} in every row": (
            found.distinct == 1 and not found.missing
        ),
        f"it looks like an id and repeats, {found.distinct:,} values in "
        f"{found.present:,} rows": repeats(found),
        "every row has its own: "
        "it names the row and says nothing of the next": _numbers_rows(found),
        "no two values are alike: a name, an id or free text, which no rule can use": (
            is_text and found.all_differ
        ),
        f"it has {found.distinct:,} different texts; "
        f"a category has at most {MOST_CATEGORIES}, each in two rows or more "
        "on average: group them upstream": is_text,
        f"its numbers are too large for the model, beyond {LARGEST:g}: "
        "take their logarithm upstream": largest > LARGEST / MORE,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _numbers_rows(found: Profile) -> bool:
    if (
        found.kind != "integer"
        or not found.all_differ
        or found.missing
        or found.rows < ROW_NUMBERS
    ):
        return False
    has_no_gap = found.maximum - found.minimum == found.distinct - 1
    return is_named_id(found.header) or has_no_gap


def adopted(found: Profile, names: Names, wanted: str) -> AdoptedField:
    """Make a field of a column that can be one, called as wanted if that is free."""
    name = names.name(
        wanted, header=found.header, features=lambda each: _features(each, found)
    )
    if found.kind == "date":
        first, last = date_bounds(found)
        example = day(found.typical).isoformat()
        return AdoptedField(name, found, "date", first, last, example)
    if found.kind not in {"integer", "number"}:
        return AdoptedField(
            name, found, found.kind, None, None, example=_example(found)
        )
    kind = "number" if _reach(found) > LARGEST_WHOLE else found.kind
    return AdoptedField(name, found, kind, *bounds(found), example=_example(found))


def _features(name: str, found: Profile) -> tuple[str, ...]:
    """Name the model columns that a field becomes."""
    if found.kind == "category":
        return tuple(f"{name}_{value}" for value in found.values)
    return (name,)


def bounds(found: Profile) -> tuple[float, float]:
    """Widen the range seen to the next power of ten above ten times its largest number.

    From 0 if no number is negative, else to both sides alike; 0 and 1 alone stay
    0 to 1.
    """
    if (
        found.kind == "integer"
        and found.distinct == 2  # noqa: PLR2004 - 0 and 1
        and (found.minimum, found.maximum) == (0, 1)
    ):
        return 0, 1
    reach = _reach(found)
    return (0 if found.minimum >= 0 else -reach), reach


def _reach(found: Profile) -> float:
    largest = max(-found.minimum, found.maximum)
    power = math.ceil(math.log10(largest * MORE) - 1e-9) if largest else 0
    is_whole = 0 <= power <= 300  # noqa: PLR2004 - beyond, float ends
    reach = 10**power if is_whole else 10.0**power
    if found.kind == "integer" and largest <= LARGEST_WHOLE:
        return min(reach, LARGEST_WHOLE)
    return min(reach, LARGEST)


def date_bounds(found: Profile) -> tuple[dt.date, dt.date]:
    """Widen dates to whole years, ten before the first and ten after the last."""
    first = max(dt.MINYEAR, day(found.minimum).year - YEARS)
    last = min(dt.MAXYEAR, day(found.maximum).year + YEARS)
    return dt.date(first, 1, 1), dt.date(last, 12, 31)


def day(days: float) -> dt.date:
    """Return the date so many days after 1970-01-01."""
    return EPOCH + dt.timedelta(days=int(days))


def _example(found: Profile) -> Any:
    match found.kind:
        case "integer":
            return int(found.typical)
        case "number":
            return float(f"{found.typical:.4g}")
        case "boolean":
            return bool(TRUTH[found.frequent.strip().lower()])
        case _:
            return found.frequent
