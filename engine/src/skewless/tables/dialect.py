"""Turn a table's headers and signs into the contract's names and plain cells.

Where they do not fit, say what to set so that they do.
"""

import codecs
import gzip
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from skewless.core.contract import Kind
from skewless.core.sections import FormatConfig
from skewless.tables.cells import texts_of

DELIMITERS: Final = (",", ";", "\t", "|")
ENCODINGS: Final = ("utf-8", "cp1252", "latin-1")  # the last takes any bytes
UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
LOOKED_AT: Final = 16 * 1024 * 1024  # bytes, to guess an encoding


def fields_of(
    headers: Sequence[str], fields: Collection[str], spelt: Mapping[str, str]
) -> dict[str, str]:
    """Map headers to the contract's fields.

    A header is a field's name, or what the table calls it.

    Parameters
    ----------
    headers, fields
        Of the table, and of the contract.
    spelt
        `TableFormat.headers`.

    Raises
    ------
    ValueError
        Two headers mean the same.
    """
    found: dict[str, str] = {}
    for field in fields:
        meant = {spelt.get(field, field)}
        # its own name means it too, unless that is another field's header
        if field not in spelt.values():
            meant.add(field)
        present = [header for header in headers if header in meant]
        if len(present) > 1:
            twice = " and ".join(present)
            msg = (
                f"the column {field} stands twice, as {twice}; "
                "see the headers of TABLE in schema.py"
            )
            raise ValueError(msg)
        found |= dict.fromkeys(present, field)
    return found


def check_delimiter(
    headers: Sequence[str], delimiter: str, known: Collection[str]
) -> None:
    """Refuse a header that means something only if it is cut otherwise.

    The headers to expect are `known`.

    Raises
    ------
    ValueError
        Says what the delimiter seems to be, and the key to set.
    """
    line = delimiter.join(headers)
    names = set(known)
    hits = {}
    for sign in DELIMITERS:
        cells = {cell.strip(' "') for cell in line.split(sign)}
        hits[sign] = len(names & cells)
    best = max(DELIMITERS, key=hits.__getitem__)
    if hits[best] and names.isdisjoint(headers):
        unless = f"unless data.path is read with {delimiter!r}: then write this file so"
        msg = (
            f"its cells seem to be separated by {best!r}: "
            f"set data.format.delimiter to {best!r}, {unless}"
        )
        raise ValueError(msg)


def guess_encoding(path: Path, *, is_gzipped: bool = False) -> str:
    """Guess a file's encoding, when it could not be read in the one that was set."""
    with gzip.open(path) if is_gzipped else path.open("rb") as file:
        start = file.read(LOOKED_AT)
    if start.startswith(UTF16_MARKS):
        return "utf-16"
    return next(name for name in ENCODINGS if _can_be(start, name))


def _can_be(start: bytes, encoding: str) -> bool:
    # incremental, as a file's start may end inside a character
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start)
    return "\N{REPLACEMENT CHARACTER}" not in text


def has_signs(form: FormatConfig) -> bool:
    """Tell whether numbers are written otherwise than Python writes them."""
    return form.decimal != "." or form.thousands is not None


def plain(values: pd.Series, kind: Kind, form: FormatConfig) -> pd.Series:
    """Take out cells that mean missing; write numbers with a point and no other sign.

    Parameters
    ----------
    values
        Cells as they were read.
    kind
        What they are.
    form
        How they are written.
    """
    if kind == "category":
        return values.mask(values.isin(form.missing))
    if values.dtype.kind == "O":
        texts = texts_of(values)
        values = values.mask(texts.isin(form.missing))
        if kind in {"integer", "number"} and values.dtype == "str" and has_signs(form):
            values = _with_points(texts.where(values.notna()), form)
    # a number may mean missing too, such as -1
    words = pd.Series(form.missing, dtype="str")
    amounts = pd.to_numeric(words, errors="coerce").dropna()
    if len(amounts) and values.dtype.kind in "iuf":
        return values.mask(values.isin(amounts))
    return values


def _with_points(texts: pd.Series, form: FormatConfig) -> pd.Series:
    """Rewrite numbers; put anything else in quotes, so that nobody takes it for one."""
    point = re.escape(form.decimal)
    comma = re.escape(form.thousands or "")
    digits = rf"(?:\d{{1,3}}(?:{comma}\d{{3}})+|\d+)" if comma else r"\d+"
    is_number = texts.str.fullmatch(
        rf"[+-]?(?:{digits})?(?:{point}\d*)?(?:[eE][+-]?\d+)?"
    )
    pointed = texts
    if form.thousands is not None:
        pointed = pointed.str.replace(form.thousands, "", regex=False)
    pointed = pointed.str.replace(form.decimal, ".", regex=False)
    return pointed.where(is_number | texts.isna(), "'" + texts + "'")
