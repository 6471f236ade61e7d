"""Bytes of a foreign CSV file → how they are written: encoding and delimiter."""

import codecs
import csv
import io
from pathlib import Path
from typing import Final

from skewless.core.errors import TableError

SNIFFED: Final = 256 * 1024  # bytes that the delimiter is looked for in
BLOCK: Final = 4 * 1024 * 1024  # bytes read at once
MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
DELIMITERS: Final = (",", ";", "\t", "|")
SHAPED_ALIKE: Final = 0.9  # of the lines, with as many cells as the header
FOREIGN: Final = {  # how the files begin that people rename to .csv
    b"PK\x03\x04": "a zip archive, as Excel's .xlsx is: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save the sheet as CSV",
    b"\x1f\x8b": "compressed: gunzip it",
    b"PAR1": "Parquet: name it .parquet",
    b"%PDF": "a PDF",
    b"SQLite": "an SQLite database: export the table as CSV",
}


def sniff_encoding(path: Path) -> str:
    """Find the encoding that the whole file can be read in.

    UTF-8 is proven by reading all of it. What is not UTF-8 is Windows' Western code
    page if every byte means something there, else Latin-1, where every byte does.

    Raises
    ------
    TableError
        It is no text.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    for mark, what in FOREIGN.items():
        if start.startswith(mark):
            msg = f"{path} is {what}"
            raise TableError(msg)
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        return _without_mark(path, start)
    return next((each for each in ("utf-8", "cp1252") if _reads(path, each)), "latin-1")


def _without_mark(path: Path, start: bytes) -> str:
    """Tell UTF-16 without a byte order mark by where its zero bytes stand."""
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if zeros.count(0) > len(zeros) / 2 and _reads(path, encoding):
            return encoding
    msg = (
        f"{path} holds zero bytes, so it is no text; "
        "save it as CSV in UTF-8, or as Parquet"
    )
    raise TableError(msg)


def _reads(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def sniff_delimiter(path: Path, encoding: str) -> str:
    """Find the delimiter that cuts every line into as many cells as the header has.

    Raises
    ------
    TableError
        None does, or there is nothing to cut.
    """
    with path.open(encoding=encoding, newline="") as file:
        text = file.read(SNIFFED)
    if not text.strip():
        msg = (
            f"{path} is empty; "
            "a table has a line with the columns' names, and one per record"
        )
        raise TableError(msg)
    shapes = {delimiter: _shape(text, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: shapes[delimiter])
    alike, width = shapes[best]
    if width < 2 or alike < SHAPED_ALIKE:  # noqa: PLR2004 - a target and a predictor
        msg = (
            f"{path}: its lines are not cut into columns by comma, semicolon, tab or "
            "bar; the first must name the columns, and every other have as many cells"
        )
        raise TableError(msg)
    return best


def _shape(text: str, delimiter: str) -> tuple[float, int]:
    """Return the share of lines with as many cells as the header, and that number."""
    try:
        rows = [
            row
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            if row
        ]
    except csv.Error:
        return 0.0, 0
    if len(text) >= SNIFFED and len(rows) > 2:  # noqa: PLR2004 - a header and a row
        rows.pop()  # cut off somewhere
    width = len(rows[0]) if rows else 0
    if width < 2:  # noqa: PLR2004 - one cell is what a wrong delimiter gives
        return 0.0, width
    return sum(len(row) == width for row in rows) / len(rows), width
