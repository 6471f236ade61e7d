"""File → table with the contract's types, its fingerprint and its holdout."""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from skewless.core.atomic import atomic_path
from skewless.core.contract import Contract, Kind
from skewless.core.errors import TableError
from skewless.core.formats import READABLE, FileFormat, format_of
from skewless.core.sections import PLAIN, FormatConfig
from skewless.tables.cells import read_cells, read_outcomes, row_ids, written
from skewless.tables.dialect import (
    check_delimiter,
    fields_of,
    guess_encoding,
    has_signs,
    plain,
)

TEXT_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
PLAIN_TYPES = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
)
DATE_TYPES = (pa.types.is_date, pa.types.is_timestamp)


def read_parts(
    path: Path,
    rows: int,
    contract: Contract,
    *,
    form: FormatConfig = PLAIN,
    besides: Sequence[str] = (),
) -> Iterator[pd.DataFrame]:
    """Read a text or Parquet file in parts of at most `rows` rows.

    The index counts rows from 1. The file's columns get the contract's names, and its
    target's cells become 1 and 0. What is missing is said by `form` alone: by default
    only an empty cell is, as a category may well be called "NA" or "None". Of Parquet,
    the columns of the contract are read, and those that `besides` names.

    Raises
    ------
    TableError
        The file is absent, of another kind, written otherwise than `form` says, or not
        a table.
    """
    file_format = format_of(path.name)
    if file_format is None:
        msg = f"{path}: its name ends in {path.suffix!r}; allowed are {READABLE}"
        raise TableError(msg)
    # Of words in a text, pandas takes out what is missing.
    left = ("category",) if file_format.kind == "text" else ()
    start = 1
    with _as_table_errors(path, file_format, form):
        if file_format.kind == "parquet":
            opened = _open_parquet(path, rows, contract, besides=besides)
        else:
            opened = _open_text(
                path, rows, contract, file_format=file_format, form=form
            )
        for read in opened:
            cells = {
                name: plain(read[name], kind, form)
                for name, kind in contract.kinds.items()
                if name in read and kind not in left
            }
            part = read.assign(**cells)
            if contract.target in part:
                part[contract.target] = read_outcomes(
                    part[contract.target], contract.table
                )
            part.index = pd.RangeIndex(start, start + len(part))
            start += len(part)
            yield part


@contextmanager
def _as_table_errors(
    path: Path, file_format: FileFormat, form: FormatConfig
) -> Iterator[None]:
    """Say of whatever goes wrong while a file is read what to do about it."""
    try:
        yield
    except FileNotFoundError as error:
        msg = f"{path}: no such file. `sample` simulates one; or set data.path"
        raise TableError(msg) from error
    except UnicodeError as error:
        guess = guess_encoding(path, is_gzipped=file_format.is_gzipped)
        seems = f"it seems to be {guess}: set data.format.encoding"
        unless = "unless data.path is read with this one: then write this file so"
        msg = (
            f"{path}: cannot be read as {form.encoding} text ({error}); "
            f"{seems}, {unless}"
        )
        raise TableError(msg) from error
    except (OSError, EOFError, zlib.error, ValueError, LookupError) as error:
        # The errors of pandas itself are ValueErrors.
        why = " ".join(str(error).split())  # pandas ends some with a line break
        msg = (
            f"{path}: cannot be read as a table ({why}). "
            "It must be text as data.format says, or Parquet"
        )
        raise TableError(msg) from error


def _open_text(
    path: Path,
    rows: int,
    contract: Contract,
    *,
    file_format: FileFormat,
    form: FormatConfig,
) -> Iterator[pd.DataFrame]:
    compression = "gzip" if file_format.is_gzipped else None
    look: Any = {
        "encoding": form.encoding,
        "keep_default_na": False,
        "compression": compression,
    }
    kinds = contract.kinds
    spelt = contract.table.headers
    delimiter = form.delimiter
    headers = _headers(path, look, delimiter)
    if file_format.has_tabs and not fields_of(headers, kinds, spelt):
        delimiter = "\t"
        headers = _headers(path, look, delimiter)
    check_delimiter(headers, delimiter, {*kinds, *spelt.values()})
    names = fields_of(headers, kinds, spelt)
    texts = {"category", "date"}
    if has_signs(form):
        texts |= {"integer", "number"}
    as_text = [header for header, name in names.items() if kinds[name] in texts]
    with pd.read_csv(
        path,
        sep=delimiter,
        chunksize=rows,
        dtype=dict.fromkeys([*as_text, "prediction_id"], "str"),
        na_values=list(form.missing),
        low_memory=False,  # one guess of a column's type per part, not several
        **look,
    ) as reader:
        for part in reader:
            if not isinstance(part.index, pd.RangeIndex):
                # Pandas takes the surplus for an index.
                msg = "its rows have more cells than its header"
                raise ValueError(msg)  # noqa: TRY004 - the file is wrong, not a type
            yield part.rename(columns=names)


def _headers(path: Path, look: Mapping[str, Any], delimiter: str) -> list[str]:
    first: Any = pd.read_csv(
        path, sep=delimiter, header=None, nrows=1, dtype="str", **look
    )
    return list(first.iloc[0])


def _open_parquet(
    path: Path, rows: int, contract: Contract, *, besides: Sequence[str]
) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(path) as file:
        names = fields_of(
            file.schema_arrow.names, contract.kinds, contract.table.headers
        )
        for header, name in names.items():
            _check_type(file.schema_arrow.field(header), contract.kinds[name])
        # A table may be wide. The three are not of the contract: they tell what became
        # of records.
        wanted = sorted(
            {*names, *besides, "prediction_id", "outcome", "observed_at"}
            & {*file.schema_arrow.names}
        )
        schema = pa.schema([file.schema_arrow.field(header) for header in wanted])
        batches = file.iter_batches(batch_size=rows, columns=wanted)
        if file.metadata.num_rows == 0:
            # Such a file has no batch at all, and its columns must be known.
            batches = iter([pa.RecordBatch.from_pylist([], schema)])
        for batch in batches:
            named = batch.rename_columns(
                [names.get(name, name) for name in batch.column_names]
            )
            # An index of pandas is a column here.
            yield _with_text_ids(named, contract.id).to_pandas(
                ignore_metadata=True, date_as_object=False
            )


def _with_text_ids(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Write ids that are whole numbers as text, as they are in CSV.

    There, digits may be an id too.
    """
    if name not in batch.column_names or not pa.types.is_integer(
        batch.schema.field(name).type
    ):
        return batch
    position = batch.column_names.index(name)
    return batch.set_column(position, name, batch[name].cast(pa.string()))


def _check_type(field: pa.Field, kind: Kind) -> None:
    """Refuse a column of a type that its kind cannot be read from.

    A date is read from dates and text, all else from numbers, text and truth values.
    """
    plain_type = field.type
    if pa.types.is_dictionary(plain_type):
        plain_type = plain_type.value_type
    types = DATE_TYPES if kind == "date" else PLAIN_TYPES
    allowed = "dates and text" if kind == "date" else "numbers, text and truth values"
    if not any(test(plain_type) for test in (*types, *TEXT_TYPES)):
        msg = f"the column {field.name} is of type {field.type}; allowed are {allowed}"
        raise ValueError(msg)


def read_table(
    path: Path,
    contract: Contract,
    form: FormatConfig = PLAIN,
    *,
    besides: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a whole file; see `read_parts`.

    With `form.row_ids`, ids are made where no column holds them.
    """
    parts = list(read_parts(path, 1_000_000, contract, form=form, besides=besides))
    table = pd.concat(parts) if parts else pd.DataFrame()
    if form.row_ids and contract.id not in table:
        return table.assign(**{contract.id: row_ids(table, contract)})
    return table


def write_table(
    table: pd.DataFrame, path: Path, contract: Contract, *, form: FormatConfig = PLAIN
) -> None:
    """Write CSV or Parquet by suffix, so that it can be read again.

    The file appears whole or not at all.
    """
    table = table.assign(**written(table, contract))
    with atomic_path(path) as unfinished:
        if path.suffix == ".csv":
            look: Any = {
                "sep": form.delimiter,
                "decimal": form.decimal,
                "encoding": form.encoding,
            }
            missing = form.missing[0] if form.missing else ""
            table.to_csv(
                unfinished, index=False, lineterminator="\n", na_rep=missing, **look
            )
        else:
            table.to_parquet(unfinished, index=False)


def typed(table: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Give checked rows the contract's types.

    A column that may be missing and is absent becomes missing.
    """
    missing = pd.Series(np.nan, index=table.index)
    cells = {contract.id: table.get(contract.id)}
    for column in contract.columns:
        values = read_cells(table.get(column.name, missing), column, contract.table)
        cells[column.name] = values.astype(
            "str" if column.kind == "category" else column.dtype
        )
    return pd.DataFrame(cells, index=table.index)


def data_hash(table: pd.DataFrame) -> str:
    """Return the SHA-256 of a checked table's values.

    It is equal for the same rows as CSV and as Parquet.
    """
    digest = hashlib.sha256(",".join(table.columns).encode())
    for name in table:
        values = table[name]
        if values.dtype == "str":
            texts = values.astype(object).where(values.notna(), None).tolist()
            digest.update(json.dumps(texts).encode())
        else:
            numbers = values.to_numpy()
            digest.update(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
