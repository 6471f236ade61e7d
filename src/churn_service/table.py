"""File → table with the contract's types, its fingerprint and its holdout."""

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from churn_service.atomic import SUFFIXES, atomic_path
from churn_service.contract import Column, columns
from churn_service.errors import TableError
from churn_service.schema import ID, TARGET, Customer

PLAIN_TYPES = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_null,
)
BOOLEANS = {True: 1.0, False: 0.0, "True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0}


def read_parts(path: Path, rows: int, record: type[BaseModel] = Customer) -> Iterator[pd.DataFrame]:
    """Read a CSV or Parquet file in parts of at most `rows` rows; the index counts rows from 1.

    Only an empty cell is missing: a category may well be called "NA" or "None".

    Raises
    ------
    TableError
        The file is absent, of another kind, not UTF-8 or not a table.
    """
    start = 1
    try:
        for part in _open(path, rows, record):
            part.index = pd.RangeIndex(start, start + len(part))
            start += len(part)
            yield part
    except FileNotFoundError as error:
        msg = f"{path}: no such file. `churn-service sample` simulates one; or set data.path"
        raise TableError(msg) from error
    except (OSError, ValueError) as error:  # pandas' and pyarrow's parsing errors are ValueErrors
        msg = f"{path}: cannot be read as a table ({error}). It must be UTF-8 CSV with commas, or Parquet"
        raise TableError(msg) from error


def _open(path: Path, rows: int, record: type[BaseModel]) -> Iterator[pd.DataFrame]:
    match path.suffix:
        case ".csv":
            return _open_csv(path, rows, record)
        case ".parquet":
            return _open_parquet(path, rows, record)
        case other:
            msg = f"its name ends in {other!r}; allowed are {' and '.join(SUFFIXES)}"
            raise ValueError(msg)


def _open_csv(path: Path, rows: int, record: type[BaseModel]) -> Iterator[pd.DataFrame]:
    _check_header(path, _names(record))
    texts = [column.name for column in columns(record) if column.kind == "category"]
    with pd.read_csv(
        path,
        chunksize=rows,
        dtype=dict.fromkeys([ID, "prediction_id", *texts], "str"),
        keep_default_na=False,
        na_values=[""],
        low_memory=False,  # one guess of a column's type per part, not several
    ) as reader:
        for part in reader:
            if not isinstance(part.index, pd.RangeIndex):  # pandas takes the surplus for an index
                msg = "its rows have more cells than its header"
                raise ValueError(msg)  # noqa: TRY004 - the file is wrong, not a type
            yield part


def _open_parquet(path: Path, rows: int, record: type[BaseModel]) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(path) as file:
        _check_types(file.schema_arrow, _names(record))
        for batch in file.iter_batches(batch_size=rows):
            yield _with_text_ids(batch).to_pandas(ignore_metadata=True)  # an index of pandas is a column here


def _with_text_ids(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Write ids that are whole numbers as text, as in CSV, where digits may be an id too."""
    if ID not in batch.column_names or not pa.types.is_integer(batch.schema.field(ID).type):
        return batch
    return batch.set_column(batch.column_names.index(ID), ID, batch[ID].cast(pa.string()))


def _names(record: type[BaseModel]) -> set[str]:
    return {ID, TARGET} | {column.name for column in columns(record)}


def _check_header(path: Path, names: set[str]) -> None:
    header = pd.read_csv(path, header=None, nrows=1, dtype="str", keep_default_na=False).iloc[0]
    for name in names & set(header[header.duplicated()]):
        msg = f"the column {name} stands twice"
        raise ValueError(msg)


def _check_types(schema: pa.Schema, names: set[str]) -> None:
    """Refuse columns that stand twice or hold something else than numbers, text or truth values."""
    for name in names & set(schema.names):
        if schema.names.count(name) > 1:
            msg = f"the column {name} stands twice"
            raise ValueError(msg)
        kind = schema.field(name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not any(test(plain) for test in PLAIN_TYPES):
            msg = f"the column {name} is of type {kind}; allowed are numbers, text and truth values"
            raise ValueError(msg)


def read_table(path: Path, record: type[BaseModel] = Customer) -> pd.DataFrame:
    """Read a whole file; see `read_parts`."""
    parts = list(read_parts(path, 1_000_000, record))
    return pd.concat(parts) if parts else pd.DataFrame()


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write CSV or Parquet by suffix; the file appears whole or not at all."""
    with atomic_path(path) as unfinished:
        if path.suffix == ".csv":
            table.to_csv(unfinished, index=False, lineterminator="\n")
        else:
            table.to_parquet(unfinished, index=False)


def typed(table: pd.DataFrame, record: type[BaseModel] = Customer) -> pd.DataFrame:
    """Give checked rows the contract's types; a column that may be missing and is absent becomes missing."""
    return pd.DataFrame(
        {ID: table.get(ID)}
        | {
            column.name: read_cells(table.get(column.name, missing), column).astype(
                "str" if column.kind == "category" else column.dtype
            )
            for missing in [pd.Series(np.nan, index=table.index)]
            for column in columns(record)
        },
        index=table.index,
    )


def data_hash(table: pd.DataFrame) -> str:
    """Return the SHA-256 of a checked table's values: equal for the same rows as CSV and as Parquet."""
    digest = hashlib.sha256(",".join(table.columns).encode())
    for name in table:
        values = table[name]
        if values.dtype == "str":
            digest.update(json.dumps(values.astype(object).where(values.notna(), None).tolist()).encode())
        else:
            numbers = values.to_numpy()
            digest.update(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def read_cells(values: pd.Series, column: Column) -> pd.Series:
    """Read cells as numbers; NaN where a cell is none. A CSV column with one bad cell arrives as text."""
    match column.kind:
        case "category":
            return values
        case "boolean":
            return values.map(BOOLEANS)
        case "integer" | "number":
            if values.dtype.kind not in "iufO":  # truth values, dates, complex numbers
                return pd.Series(np.nan, index=values.index)
            if values.dtype == object:
                values = values.where(values.map(_is_number_or_text))
            # As float64, else a bound beyond a smaller type's range would be infinity, and so would a cell.
            return pd.to_numeric(values, errors="coerce").astype(np.float64)


def _is_number_or_text(cell: object) -> bool:
    return isinstance(cell, (int, float, str, Decimal, np.number)) and not isinstance(cell, (bool, complex))
