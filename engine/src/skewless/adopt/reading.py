"""Foreign file → its columns as text, one at a time, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skewless.adopt.sniffing import sniff_delimiter, sniff_encoding
from skewless.core.errors import AskedError, TableError

CELLS: Final = 4_000_000  # held in memory at once while a CSV file is read


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

    def kind(self, position: int) -> Any:
        """Return the Arrow type that a column has in the file."""
        return self._schema.field(position).type

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
            encoding = sniff_encoding(path)
            foreign = Foreign(
                path,
                encoding,
                sniff_delimiter(path, encoding),
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
        headers, rows = foreign.headers, foreign.rows
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
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        # A list or a struct, say, which is no text.
        return pa.chunked_array([pa.nulls(len(values), pa.string())])


def _is_number(header: str) -> bool:
    try:
        float(header)
    except ValueError:
        return False
    return True
