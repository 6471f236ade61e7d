"""Foreign file → its columns as text, one at a time, in bounded memory.

How a CSV file is written, its encoding and its delimiter, is found out first.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skewless.core.errors import AskedError, TableError

CELLS: Final = 4_000_000  # held in memory at once while a CSV file is read
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


@dataclass(frozen=True)
class Foreign:
    """A foreign table: however it is written, its columns can be read as text."""

    path: Path
    encoding: str
    delimiter: str
    columns: Path
    """A Parquet file of its columns, named by position from 0.

    Of a Parquet table it is that table itself.
    """

    @property
    def is_parquet(self) -> bool:
        """Whether its cells have types of their own."""
        return self.columns == self.path

    @cached_property
    def headers(self) -> list[str]:
        """Names as they stand in the file."""
        if self.is_parquet:
            return list(self._schema.names)
        return _header(self.path, self.delimiter, self.encoding)

    @cached_property
    def _metadata(self) -> Any:
        return pq.read_metadata(self.columns)

    @cached_property
    def _schema(self) -> Any:
        return self._metadata.schema.to_arrow_schema()

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._metadata.num_rows)

    def kind(self, position: int) -> pa.DataType:
        """Return the Arrow type that a column's cells have in the file."""
        kind = self._schema.field(position).type
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    def is_text(self, position: int) -> bool:
        """Tell whether a column is stored as text, so its numbers have to be read."""
        kind = self.kind(position)
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

    def column(self, position: int) -> pa.ChunkedArray:
        """Read a column as text, as it stands.

        It is null where a Parquet table has no value.
        """
        with pq.ParquetFile(self.columns, metadata=self._metadata) as file:
            name = self._schema.names[position]
            values = file.read(columns=[name]).column(0)
        return _as_text(values)


def open_foreign(path: Path, scratch: Path) -> Foreign:
    """Find out how a file is written and lay out its columns in a scratch folder.

    Raises
    ------
    AskedError
        There is no such file.
    TableError
        It is no table that the project can read.
    """
    if not path.is_file():
        msg = f"{path}: no such file; TABLE names the CSV or Parquet file to adopt"
        raise AskedError(msg)
    match path.suffix:
        case ".parquet":
            return _checked(Foreign(path, "utf-8", ",", columns=path))
        case ".csv":
            encoding = _encoding(path)
            foreign = Foreign(
                path,
                encoding,
                _delimiter(path, encoding),
                scratch / "columns.parquet",
            )
        case other:
            msg = (
                f"{path}: its name ends in {other!r}; "
                "allowed are .csv and .parquet: rename or export it"
            )
            raise TableError(msg)
    try:
        _lay_out(foreign)
    except (ValueError, OSError) as error:  # pandas' parsing errors are ValueErrors
        why = " ".join(str(error).split())  # pandas ends some with a line break
        msg = (
            f"{path}: cannot be read as a table ({why}); "
            "every line must have as many cells as the header"
        )
        raise TableError(msg) from error
    return _checked(foreign)


def _checked(foreign: Foreign) -> Foreign:
    try:
        headers = foreign.headers
        rows = foreign.rows
    except (OSError, ValueError) as error:
        msg = f"{foreign.path}: cannot be read as Parquet ({error})"
        raise TableError(msg) from error
    if rows == 0:
        msg = f"{foreign.path}: it has a header and no rows"
        raise TableError(msg)
    if all(_is_number(header) for header in headers):
        msg = (
            f"{foreign.path}: its first line holds numbers; "
            "write a line with the columns' names before it"
        )
        raise TableError(msg)
    return foreign


def _encoding(path: Path) -> str:
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


def _delimiter(path: Path, encoding: str) -> str:
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
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for row in reader if row]
    except csv.Error:
        return 0.0, 0
    if len(text) >= SNIFFED and len(rows) > 2:  # noqa: PLR2004 - a header and a row
        rows.pop()  # cut off somewhere
    width = len(rows[0]) if rows else 0
    if width < 2:  # noqa: PLR2004 - one cell is what a wrong delimiter gives
        return 0.0, width
    alike = sum(len(row) == width for row in rows)
    return alike / len(rows), width


def _lay_out(foreign: Foreign) -> None:
    """Write every column as text into a Parquet file.

    That way one can be read without the others.
    """
    width = len(foreign.headers)
    schema = pa.schema([(str(position), pa.string()) for position in range(width)])
    with pq.ParquetWriter(
        foreign.columns, schema, compression="zstd", compression_level=1
    ) as writer:
        for part in _parts(foreign, width):
            if len(part.columns) != width or not isinstance(part.index, pd.RangeIndex):
                msg = "its rows have more cells than its header"
                raise ValueError(msg)
            texts = [
                pa.array(part.iloc[:, position], pa.string())
                for position in range(width)
            ]
            writer.write_table(pa.table(texts, schema=schema))


def _parts(foreign: Foreign, width: int) -> Iterator[pd.DataFrame]:
    with pd.read_csv(
        foreign.path,
        sep=foreign.delimiter,
        encoding=foreign.encoding,
        header=0,
        dtype="str",
        keep_default_na=False,
        na_filter=False,
        chunksize=max(1_000, CELLS // width),
    ) as reader:
        yield from reader


def _header(path: Path, delimiter: str, encoding: str) -> list[str]:
    first = pd.read_csv(
        path,
        sep=delimiter,
        encoding=encoding,
        header=None,
        nrows=1,
        dtype="str",
        keep_default_na=False,
    )
    return [str(name) for name in first.iloc[0]]


def _as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write cells as text.

    A column that text cannot express, such as one of lists, is null throughout.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    try:
        return values.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # a list or struct, no text
        return pa.chunked_array([pa.nulls(len(values), pa.string())])


def _is_number(header: str) -> bool:
    try:
        float(header)
    except ValueError:
        return False
    return True
