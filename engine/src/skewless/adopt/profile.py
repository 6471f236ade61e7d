"""What one column holds: its kind, its values or their range, and what is missing."""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from skewless.adopt.cells import CODE, Distinct, Style
from skewless.adopt.written import Written

MOST_CATEGORIES: Final = 100
SENTINELS: Final = frozenset({-9.0, -99.0, -999.0, -9999.0, -99999.0})
SENTINEL: Final = (
    "{low:g} may mean missing; if so, add it to data.format.missing and adopt again"
)
NUMBER: Final = r"[+-]?\s*\d[\d.,' ]*"
SIGNED: Final = (
    rf"^(\p{{Sc}}\s*{NUMBER}"
    rf"|{NUMBER}(%|\p{{Sc}}| [A-Z]{{3}})"
    rf"|\(\p{{Sc}}?{NUMBER}\)"
    rf"|-\p{{Sc}}{NUMBER})$"
)
AMBIGUOUS: Final = (
    "its dates can be read as {first} or {rival}: "
    "the first was taken, see TABLE in schema.py"
)

Kind = Literal["empty", "integer", "number", "boolean", "date", "category", "text"]


@dataclass(frozen=True)
class Profile:
    """What a column holds."""

    header: str
    kind: Kind
    rows: int
    missing: int
    """Rows without a value."""
    distinct: int
    """Different values."""
    minimum: float = 0.0
    """Of numbers; of dates in days since 1970-01-01."""
    maximum: float = 0.0
    typical: float = 0.0
    """Median of the numbers that are not zero, or of the dates."""
    values: tuple[str, ...] = ()
    """Of a category, as they stand in the cells, sorted."""
    frequent: str = ""
    """The value that most rows have."""
    date_format: str | None = None
    """In which dates are written, if not in ISO."""
    notes: tuple[str, ...] = ()
    """What a person should look at."""

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    @property
    def all_differ(self) -> bool:
        """Whether no value stands in two rows."""
        return self.distinct == self.present > 1


def profile(header: str, column: Distinct, *, rows: int, written: Written) -> Profile:
    """Find out what a column holds.

    Parameters
    ----------
    header
        As it stands in the file.
    column
        Its texts.
    rows
        How many the table has.
    written
        How the table writes numbers and what is missing.
    """
    kept = column.without(frozenset(written.missing))
    known = int(kept.counts.sum())
    same: dict[str, Any] = {
        "header": header,
        "rows": rows,
        "missing": rows - known,
        "distinct": len(kept.texts),
    }
    if not known:
        return Profile(kind="empty", **same)
    frequent = str(kept.texts[int(np.argmax(kept.counts))])
    # The first kind that all of its texts can be read as.
    found = (
        _numbers(kept, written.style, some_missing=known < rows)
        or _truths(kept)
        or _dates(kept)
        or _words(kept, written.style)
    )
    return Profile(**same, **found, frequent=frequent)


def _numbers(
    column: Distinct, style: Style, *, some_missing: bool
) -> dict[str, Any] | None:
    """Describe a column of numbers; None if it is none. 01067 is a code, not a number.

    Whole numbers written 4.0 are whole if others are missing: that is how pandas writes
    them then.
    """
    values = column.numbers(style)
    if np.isnan(values).any() or column.like(CODE).any():
        return None
    pointed = column.like(re.escape(style.decimal)).any()
    whole = np.all(values % 1 == 0) and (some_missing or not pointed)
    low = float(values.min())
    notes: tuple[str, ...] = ()
    if low in SENTINELS and (values[values != low] >= 0).all():
        notes = (SENTINEL.format(low=low),)
    return {
        "kind": "integer" if whole else "number",
        "minimum": low,
        "maximum": float(values.max()),
        "typical": _median(values[values != 0], column.counts[values != 0]),
        "notes": notes,
    }


def _truths(column: Distinct) -> dict[str, Any] | None:
    """Describe a column of truth values.

    One of the two alone will do if others are missing.
    """
    return None if np.isnan(column.truths()).any() else {"kind": "boolean"}


def _dates(column: Distinct) -> dict[str, Any] | None:
    formats = column.date_formats()
    if not formats:
        return None
    days = column.days(formats[0])
    rivals = [
        form for form in formats[1:] if not np.array_equal(column.days(form), days)
    ]
    notes: tuple[str, ...] = ()
    if rivals:
        notes = (AMBIGUOUS.format(first=formats[0], rival=rivals[0]),)
    return {
        "kind": "date",
        "minimum": float(days.min()),
        "maximum": float(days.max()),
        "typical": _median(days, column.counts),
        "date_format": formats[0],
        "notes": notes,
    }


def _words(column: Distinct, style: Style) -> dict[str, Any]:
    """Describe a column of text.

    It is a category if its values come again, else text that no rule can use.
    """
    numbers = column.like(style.pattern)
    mixed = numbers.any() and not numbers.all()
    texts = column.texts.to_pylist() if len(column.texts) <= MOST_CATEGORIES else []
    rows = column.counts.sum()
    comes_again = len(texts) <= rows / 2 + 1 and len(texts) < max(2, rows)
    notes = []
    if mixed:
        odd = column.stripped.filter(pa.array(~numbers))[0].as_py()
        notes.append(f"it holds both numbers and text, such as {odd!r}")
    signed = column.like(SIGNED)
    if signed.any() and (signed | numbers).all():
        notes.append(
            f"it holds numbers with a sign, such as {column.stripped[0]}: "
            "write plain ones upstream"
        )
    if any(text != text.strip() for text in texts):
        notes.append("blanks stand around some of its values, and belong to them")
    if texts and comes_again:
        return {
            "kind": "category",
            "values": tuple(sorted(texts)),
            "notes": tuple(notes),
        }
    return {"kind": "text", "notes": tuple(notes)}


def _median(values: np.ndarray, counts: np.ndarray) -> float:
    """Return the median of values that stand in so many rows each; 0 for none."""
    if not len(values):
        return 0.0
    order = np.argsort(values)
    rows = np.cumsum(counts[order])
    return float(values[order][np.searchsorted(rows, rows[-1] / 2)])
