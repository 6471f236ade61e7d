"""The prediction log → one row per customer, as counts in frozen bins and a sample, in bounded memory.

Parts may come in any order. Of each customer the latest row counts, so that nobody weighs more for being
asked about every hour. What is kept of a row is its customer's 64-bit hash, its time and a byte per column.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from churn_service.contract import Column
from churn_service.monitoring.drift import SCORE
from churn_service.monitoring.history import History
from churn_service.reference import Distribution, Reference
from churn_service.schema import ID
from churn_service.table import read_cells

SAMPLE = 10_000  # rows
MERGE_ROWS = 1_000_000  # that wait, before older rows of the same customers are dropped
TIME: Final = "logged at"  # no column's name holds a space


class Window(NamedTuple):
    """What was asked between two moments."""

    counts: dict[str, np.ndarray]
    """Column, or `SCORE` → customers per bin."""
    sample: pd.DataFrame
    """The columns of at most 10,000 customers, drawn by chance; the same ones every time."""
    customers: int
    without_id: int
    """Of them rows that name no customer, so that each counts."""
    logged: int
    unreadable: int
    absent: frozenset[str]
    """Columns that no row has."""


class Latest:
    """The latest row of each customer: `add` rows in any order, then `places`."""

    def __init__(self, columns: int) -> None:
        kind = np.dtype([("customer", np.uint64), ("time", np.int64), ("places", np.uint8, (columns,))])
        self._rows, self._parts, self._waiting = np.empty(0, kind), list[np.ndarray](), 0

    def add(self, customers: np.ndarray, times: np.ndarray, places: np.ndarray) -> None:
        """Add rows: hashes uint64 (n,), times int64 (n,) and bins uint8 (n, columns)."""
        rows = np.empty(len(customers), self._rows.dtype)
        rows["customer"], rows["time"], rows["places"] = customers, times, places
        self._parts.append(rows)
        self._waiting += len(rows)
        if self._waiting > max(MERGE_ROWS, len(self._rows)):  # so that each row is merged a few times at most
            self._merge()

    def places(self) -> np.ndarray:
        """Return the bins of each customer's latest row, uint8 (customers, columns)."""
        self._merge()
        return np.asarray(self._rows["places"])

    def _merge(self) -> None:
        rows = np.concatenate([self._rows, *self._parts])
        self._rows, self._parts, self._waiting = rows[:0], [], 0
        order = np.lexsort((rows["time"], rows["customer"]))
        customers = rows["customer"][order]
        last = np.append(customers[1:] != customers[:-1], np.ones(min(len(rows), 1), dtype=bool))
        self._rows = rows[order[last]]


def gather(parts: Iterable[History], reference: Reference, columns: Sequence[Column]) -> Window:
    """Count a window of the log.

    Parameters
    ----------
    parts
        Of the log, in any order.
    reference
        Whose bins are counted in.
    columns
        The columns to count; privacy may have hidden others.
    """
    bins = {column.name: reference.columns[column.name] for column in columns} | {SCORE: reference.score}
    latest, sample, present = Latest(len(bins)), pd.DataFrame(), set[str]()
    counts = {name: np.zeros(each.bins, np.int64) for name, each in bins.items()}
    logged = without_id = unreadable = 0
    for part in parts:
        unreadable += part.unreadable
        if part.answers.empty:
            continue
        values = {column.name: _cells(part.customers, column) for column in columns}
        values[SCORE] = part.answers[SCORE].to_numpy(np.float64)
        places = np.column_stack([bins[name].place(cells) for name, cells in values.items()])
        times = part.answers["time"].dt.as_unit("us").astype(np.int64).to_numpy()
        keys, named = _keys(part)
        latest.add(keys[named], times[named], places[named])
        _add(counts, bins, places[~named])
        sample = _sampled(sample, pd.DataFrame(values | {TIME: times}, index=keys))
        logged, without_id = logged + len(keys), without_id + int(np.sum(~named))
        present |= set(part.customers.columns)
    _add(counts, bins, latest.places())
    absent = frozenset(column.name for column in columns if logged and column.name not in present)
    total = int(counts[SCORE].sum())
    return Window(counts, sample, total, without_id, logged, unreadable, absent)


def _cells(customers: pd.DataFrame, column: Column) -> np.ndarray:
    values = customers.get(column.name, pd.Series(np.nan, index=customers.index))
    cells = read_cells(values, column)
    return cells.to_numpy(object if column.kind == "category" else np.float64)


def _keys(part: History) -> tuple[np.ndarray, np.ndarray]:
    """Hash whom each row is of, or else the row's own id; and tell which rows name somebody."""
    ids = part.customers.get(ID, pd.Series(np.nan, index=part.customers.index))
    named = ids.notna()
    whom = ids.where(named, part.answers["prediction_id"]).astype(object)
    return pd.util.hash_array(whom.to_numpy(), categorize=False), named.to_numpy()


def _add(counts: dict[str, np.ndarray], bins: Mapping[str, Distribution], places: np.ndarray) -> None:
    for (name, each), column in zip(bins.items(), places.T, strict=True):
        counts[name] += np.bincount(column, minlength=each.bins)


def _sampled(sample: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the customers of the smallest hashes, which is a draw by chance that parts agree on."""
    if len(sample) == SAMPLE:
        rows = rows[rows.index <= sample.index[-1]]
    together = pd.concat([sample, rows]) if len(sample) else rows
    together = together.sort_values(TIME, kind="stable")
    return together[~together.index.duplicated(keep="last")].sort_index(kind="stable").head(SAMPLE)
