"""Distinct texts of a column → numbers, dates or truth values.

They tell how the numbers are written as well.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

ALWAYS_MISSING: Final = frozenset(
    {"NULL", "null", "NaN", "nan", "#N/A", "<NA>", "\\N", "NaT"}
)
"""Words that no category is called; where one stands, a value is missing."""
OFTEN_MISSING: Final = frozenset(
    {
        "NA",
        "N/A",
        "n/a",
        "na",
        "None",
        "none",
        "?",
        "-",
        "--",
        ".",
        "unknown",
        "Unknown",
        "missing",
        "Missing",
        "0000-00-00",
        "0000-00-00 00:00:00",
        "00/00/0000",
        "00.00.0000",
    }
)
"""Words that mean missing among numbers, dates or truth values.

Among words they may be a category.
"""
TRUTH: Final = {
    **dict.fromkeys(("true", "yes", "y", "t", "1"), 1.0),
    **dict.fromkeys(("false", "no", "n", "f", "0"), 0.0),
}
CODE: Final = r"^\s*[+-]?0[0-9]+\s*$"
ISO: Final = (
    r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$"
)
HALF: Final = " [AaPp][Mm]"
CLOCKS: Final = {
    "": "",
    " %H:%M": r" \d{1,2}:\d{2}",
    " %H:%M:%S": r" \d{1,2}:\d{2}:\d{2}",
    " %I:%M %p": r" \d{1,2}:\d{2}" + HALF,
    " %I:%M:%S %p": r" \d{1,2}:\d{2}:\d{2}" + HALF,
}
DAYS: Final = {  # in the order of preference where a text can be read by several
    "%d.%m.%Y": r"\d{1,2}\.\d{1,2}\.\d{4}",
    "%d/%m/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%m/%d/%Y": r"\d{1,2}/\d{1,2}/\d{4}",
    "%Y/%m/%d": r"\d{4}/\d{1,2}/\d{1,2}",
    "%Y.%m.%d": r"\d{4}\.\d{1,2}\.\d{1,2}",
    "%d-%m-%Y": r"\d{1,2}-\d{1,2}-\d{4}",
    "%m-%d-%Y": r"\d{1,2}-\d{1,2}-\d{4}",
    "%d.%m.%y": r"\d{1,2}\.\d{1,2}\.\d{2}",
    "%d/%m/%y": r"\d{1,2}/\d{1,2}/\d{2}",
    "%m/%d/%y": r"\d{1,2}/\d{1,2}/\d{2}",
    "%d %b %Y": r"\d{1,2} [A-Za-z]{3} \d{4}",
    "%d-%b-%Y": r"\d{1,2}-[A-Za-z]{3}-\d{4}",
    "%d-%b-%y": r"\d{1,2}-[A-Za-z]{3}-\d{2}",
    "%b %d, %Y": r"[A-Za-z]{3} \d{1,2}, \d{4}",
    "%d %B %Y": r"\d{1,2} [A-Za-z]{3,9} \d{4}",
    "%B %d, %Y": r"[A-Za-z]{3,9} \d{1,2}, \d{4}",
}
FORMATS: Final = {
    day + clock: rf"^{text}{hours}$"
    for day, text in DAYS.items()
    for clock, hours in CLOCKS.items()
}


FIRST: Final = 50  # texts that rule out most formats before all are looked at


class Style(NamedTuple):
    """How numbers are written: 1,234.5 or 1.234,5."""

    decimal: str
    thousands: str | None

    @property
    def pattern(self) -> str:
        """A regular expression of a whole cell, blanks around it apart."""
        point = re.escape(self.decimal)
        digits = r"\d+"
        if self.thousands is not None:
            comma = re.escape(self.thousands)
            digits = rf"(\d{{1,3}}({comma}\d{{3}})+|\d+)"
        return rf"^[+-]?({digits}({point}\d*)?|{point}\d+)([eE][+-]?\d{{1,3}})?$"


PLAIN: Final = Style(".", None)
STYLES: Final = (
    PLAIN,
    Style(".", ","),
    Style(",", None),
    Style(",", "."),
    Style(".", "'"),
    Style(",", " "),
    Style(".", " "),
    Style(",", "\u00a0"),
    Style(",", "\u202f"),
    Style(".", "\u2019"),
)


@dataclass(frozen=True)
class Distinct:
    """The different texts of a column, without null, and how many rows have each."""

    texts: pa.Array
    counts: np.ndarray

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Distinct":
        """Count the texts of a column."""
        counted = pc.value_counts(column.drop_null())
        return cls(
            counted.field("values"),
            counted.field("counts").to_numpy(zero_copy_only=False),
        )

    @cached_property
    def stripped(self) -> pa.Array:
        """The texts without blanks around them."""
        return pc.utf8_trim_whitespace(self.texts)

    def without(self, missing: frozenset[str]) -> "Distinct":
        """Leave out blanks and words that mean missing."""
        words = pa.array(sorted({"", *missing}), pa.string())
        kept = pc.invert(pc.is_in(self.stripped, words))
        return Distinct(
            self.texts.filter(kept), self.counts[kept.to_numpy(zero_copy_only=False)]
        )

    def like(self, pattern: str) -> np.ndarray:
        """Tell which texts a regular expression matches, blanks around them apart."""
        found = pc.match_substring_regex(self.stripped, pattern)
        return np.asarray(found.to_numpy(zero_copy_only=False))

    def numbers(self, style: Style) -> np.ndarray:
        """Read the texts as numbers; NaN where one is none."""
        plain = self.stripped
        if style.thousands is not None:
            plain = pc.replace_substring(plain, style.thousands, "")
        if style.decimal != ".":
            plain = pc.replace_substring(plain, style.decimal, ".")
        plain = pc.if_else(pa.array(self.like(style.pattern)), plain, None)
        return np.asarray(
            pd.to_numeric(plain.to_pandas(), errors="coerce"), dtype=np.float64
        )

    def truths(self) -> np.ndarray:
        """Read the texts as 1.0 or 0.0; NaN where one is no truth value."""
        if len(self.texts) > 4 * len(TRUTH):  # more than these words in all their cases
            return np.full(len(self.texts), np.nan)
        return np.array(
            [TRUTH.get(text.lower(), np.nan) for text in self.stripped.to_pylist()],
            dtype=np.float64,
        )

    def days(self, form: str | None) -> np.ndarray:
        """Read the texts as days since 1970-01-01; NaN where one is no date.

        A text is read as ISO, or by `form`, a strptime format, if there is one.
        """
        iso = self.like(ISO)
        days = _days(pc.utf8_slice_codeunits(self.stripped, 0, 10), "%Y-%m-%d", iso)
        if form is None:
            return days
        others = self.like(FORMATS[form]) & ~iso
        return np.where(iso, days, _days(self.stripped, form, others))

    def date_formats(self) -> list[str | None]:
        """List the formats that, with ISO, read every text; None is ISO alone."""
        if not len(self.texts):
            return []
        iso = self.like(ISO)
        if iso.all():
            return [] if np.isnan(self.days(None)).any() else [None]
        first = Distinct(self.texts[:FIRST], self.counts[:FIRST])
        possible = [
            form
            for form, pattern in FORMATS.items()
            if (iso[:FIRST] | first.like(pattern)).all()
        ]
        matched = [form for form in possible if (iso | self.like(FORMATS[form])).all()]
        return [form for form in matched if not np.isnan(self.days(form)).any()]


def rows_without(column: pa.ChunkedArray, missing: frozenset[str]) -> np.ndarray:
    """Return the rows, counted from 1, that have no value."""
    words = pa.array(sorted({"", *missing}), pa.string())
    empty = pc.is_in(pc.utf8_trim_whitespace(column), words)
    return np.flatnonzero(pc.or_(empty, pc.is_null(column)).to_numpy()) + 1


def _days(texts: pa.Array, form: str, wanted: np.ndarray) -> np.ndarray:
    kept = pc.if_else(pa.array(wanted), texts, None).to_pandas()
    read = pd.to_datetime(kept, format=form, errors="coerce").to_numpy("datetime64[s]")
    days = read.astype("datetime64[D]").astype(np.float64)
    return np.where(np.isnat(read), np.nan, days)
