"""File → table with the contract's types, its fingerprint and its holdout."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel

from churn_service.contract import Column, columns
from churn_service.errors import TableError
from churn_service.schema import ID, Customer

SUFFIXES = (".csv", ".parquet")
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
        msg = f"{path}: no such file. Write the simulated table with `churn-service sample`, or set data.path"
        raise TableError(msg) from error
    except (OSError, ValueError) as error:  # pandas' and pyarrow's parsing errors are ValueErrors
        msg = f"{path}: cannot be read as a table ({error}). It must be UTF-8 CSV with commas, or Parquet"
        raise TableError(msg) from error


def _open(path: Path, rows: int, record: type[BaseModel]) -> Iterator[pd.DataFrame]:
    match path.suffix:
        case ".csv":
            texts = {ID: "str"} | {c.name: "str" for c in columns(record) if c.kind == "category"}
            with pd.read_csv(
                path,
                chunksize=rows,
                dtype=texts,
                keep_default_na=False,
                na_values=[""],
                low_memory=False,  # one guess of a column's type per part, not several
            ) as reader:
                for part in reader:
                    if not isinstance(part.index, pd.RangeIndex):  # pandas takes the surplus for an index
                        msg = "its rows have more cells than its header"
                        raise ValueError(msg)  # noqa: TRY004 - the file is wrong, not a type
                    yield part
        case ".parquet":
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=rows):
                    yield batch.to_pandas()
        case other:
            msg = f"its name ends in {other!r}; allowed are {' and '.join(SUFFIXES)}"
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


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path to write a table to; it becomes `path` at the end, or is removed if anything fails.

    Raises
    ------
    TableError
        The name does not end in .csv or .parquet.
    """
    if path.suffix not in SUFFIXES:
        msg = f"{path}: its name ends in {path.suffix!r}; allowed are {' and '.join(SUFFIXES)}"
        raise TableError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        if unfinished.exists():
            unfinished.chmod(0o644)  # mkstemp's file is private
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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


def is_holdout(ids: pd.Series, *, fraction: float, salt: str) -> np.ndarray:
    """Tell which customers are held out, bool of shape (n,); adding rows moves nobody to the other side.

    A keyed hash of the id decides, so the split needs neither a seed nor the other rows.
    """
    key = salt.encode()
    limit = int(fraction * 2**64)
    return np.array(
        [
            int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=key).digest(), "big") < limit
            for name in ids
        ],
        dtype=bool,
    )


def read_cells(values: pd.Series, column: Column) -> pd.Series:
    """Read cells as numbers; NaN where a cell is none. A CSV column with one bad cell arrives as text."""
    match column.kind:
        case "category":
            return values
        case "boolean":
            return values.map(BOOLEANS)
        case "integer" | "number":
            return pd.to_numeric(values.astype("str") if values.dtype == bool else values, errors="coerce")
