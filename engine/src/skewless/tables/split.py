"""The training table → who is held out, for ever."""

import hashlib
import re
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from skewless.core.contract import Contract
from skewless.core.errors import TableError
from skewless.core.sections import FormatConfig, Split
from skewless.tables.faults import check_table
from skewless.tables.table import read_table

# An id that was made of what a row holds; equal rows differ in the number at its end.
OF_CONTENT: Final = re.compile(r"(row-[0-9a-f]{32})-[0-9]+")


def read_split(
    path: Path, contract: Contract, form: FormatConfig, *, split: Split
) -> tuple[pd.DataFrame, np.ndarray]:
    """Read and check a training table, and split it.

    Parameters
    ----------
    path, form
        The table, and how it is written.
    contract
        What it holds.
    split
        How it is split.

    Returns
    -------
    tuple of DataFrame and ndarray of bool
        The checked table, see `check_table`, and which of its n rows are held out.

    Raises
    ------
    TableError
        The table breaks the contract, or the column that keeps rows together is absent
        or has no value in a row.
    """
    table, keys = read_keyed(path, contract, form, split=split)
    return table, is_holdout(keys, fraction=split.fraction, salt=split.salt)


def read_keyed(
    path: Path, contract: Contract, form: FormatConfig, *, split: Split
) -> tuple[pd.DataFrame, pd.Series]:
    """Read and check a training table; return it with what keeps its rows together.

    That is the group, else what the row holds where that made its id, else the id. See
    `read_split` for the parameters and errors.
    """
    besides = () if split.group is None else (split.group,)
    read = read_table(path, contract, form, besides=besides)
    table = check_table(read, contract)
    keys = table[contract.id]
    if split.group is not None:
        keys = _groups(read, split.group, target=contract.target)
    elif split.together:
        keys = keys.str.replace(OF_CONTENT, r"\1", regex=True)
    return table, keys


def _groups(table: pd.DataFrame, column: str, *, target: str) -> pd.Series:
    """Return what keeps rows together, as text."""
    if column == target:
        msg = f"data.group: {column} is what is predicted, and keeps no rows together"
        raise TableError(msg)
    if column not in table:
        msg = (
            f"data.group: the table has no column {column}; it has "
            f"{', '.join(map(str, table.columns))}"
        )
        raise TableError(msg)
    missing = int(table[column].isna().sum())
    if missing:
        msg = (
            f"data.group: {missing:,} rows have no {column}, so nobody knows with whom "
            "they belong. Give each of them a value of its own"
        )
        raise TableError(msg)
    return table[column].astype("str")


def is_holdout(ids: pd.Series, *, fraction: float, salt: str) -> np.ndarray:
    """Tell which keys are held out, bool of shape (n,).

    Adding rows moves nobody to the other side. A keyed hash decides, so the split needs
    neither a seed nor the other rows.
    """
    key = salt.encode()
    limit = int(fraction * 2**64)
    return np.array([_place(name, key) < limit for name in ids], dtype=bool)


def ids_hash(holdout: pd.DataFrame, contract: Contract) -> str:
    """Hash the ids of the rows held out, whatever their order: 64 hex digits."""
    ids = "\n".join(sorted(holdout[contract.id].astype("str")))
    return hashlib.sha256(ids.encode()).hexdigest()


def repeated(table: pd.DataFrame, is_held_out: np.ndarray, contract: Contract) -> int:
    """Count the rows held out that stand, but for the id, among the others, too."""
    names = [*(column.name for column in contract.columns), contract.target]
    hashes = pd.util.hash_pandas_object(table[names], index=False).to_numpy()
    return int(np.isin(hashes[is_held_out], hashes[~is_held_out]).sum())


def _place(name: str, key: bytes) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big")
