"""The prediction log → counts in frozen bins and a sample, one row per id.

Memory is bounded. Parts may come in any order. Of each id the latest row counts, so
that none weighs more for being asked about every hour. What is kept of a row is its
id's 64-bit hash, its time and a byte per column.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from skewless.core.contract import Column, Contract, TableFormat
from skewless.models.reference import Distribution, Reference
from skewless.monitoring.drift import SCORE
from skewless.monitoring.drift_figures import Rows
from skewless.monitoring.history import History
from skewless.tables.cells import read_cells

SAMPLE = 10_000  # rows
MERGE_ROWS = 1_000_000  # that wait before older rows of the same ids are dropped
TIME: Final = "logged at"  # no column's name holds a space


class Window(NamedTuple):
    """What was asked between two moments."""

    counts: dict[str, np.ndarray]
    """Column, or `SCORE` → records per bin."""
    sample: pd.DataFrame
    """The columns of at most 10,000 records, drawn by chance, the same each time."""
    absent: frozenset[str]
    """Columns that no row has."""
    rows: Rows


def gather(
    parts: Iterable[History],
    reference: Reference,
    columns: Sequence[Column],
    *,
    contract: Contract,
) -> Window:
    """Count a window of the log.

    Parameters
    ----------
    parts
        Of the log, in any order.
    reference
        Whose bins are counted in.
    columns
        The columns to count; privacy may have hidden others.
    contract
        What a record is, and how a table spells it.
    """
    bins = {column.name: reference.columns[column.name] for column in columns} | {
        SCORE: reference.score
    }
    row = np.dtype(
        [("record", np.uint64), ("time", np.int64), ("places", np.uint8, (len(bins),))]
    )
    named = [np.empty(0, row)]
    counts = {name: np.zeros(each.bins, np.int64) for name, each in bins.items()}
    sample, present, logged, unreadable = pd.DataFrame(), set[str](), 0, 0
    for part in parts:
        logged, unreadable = logged + len(part.answers), unreadable + part.unreadable
        values = {
            column.name: _cells(part.records, column, contract.table)
            for column in columns
        }
        values[SCORE] = part.answers[SCORE].to_numpy(np.float64)
        rows = np.empty(len(part.answers), row)
        rows["record"], is_named = _keys(part, contract.id)
        rows["time"] = part.answers["time"].dt.as_unit("us").astype(np.int64)
        rows["places"] = np.column_stack(
            [bins[name].place(cells) for name, cells in values.items()]
        )
        _add(counts, bins, rows["places"][~is_named])
        named.append(rows[is_named])
        # So each row is merged seldom.
        if sum(map(len, named[1:])) > max(MERGE_ROWS, len(named[0])):
            named = [_latest(named)]
        sample = _sampled(
            sample, pd.DataFrame(values | {TIME: rows["time"]}, index=rows["record"])
        )
        present |= set(part.records.columns)
    without_id = int(counts[SCORE].sum())
    _add(counts, bins, _latest(named)["places"])
    absent = frozenset(
        column.name for column in columns if logged and column.name not in present
    )
    found = Rows(
        rows=int(counts[SCORE].sum()),
        rows_without_id=without_id,
        rows_logged=logged,
        rows_unreadable=unreadable,
    )
    return Window(counts, sample, absent, found)


def _latest(parts: list[np.ndarray]) -> np.ndarray:
    """Keep the latest row of each id."""
    rows = np.concatenate(parts)
    parts.clear()  # their memory is needed
    order = np.lexsort((rows["time"], rows["record"]))
    records = rows["record"][order]
    is_last = np.append(
        records[1:] != records[:-1], np.ones(min(len(rows), 1), dtype=bool)
    )
    return np.asarray(rows[order[is_last]])


def _cells(records: pd.DataFrame, column: Column, table: TableFormat) -> np.ndarray:
    values = records.get(column.name, pd.Series(np.nan, index=records.index))
    cells = read_cells(values, column, table)
    return cells.to_numpy(object if column.kind == "category" else np.float64)


def _keys(part: History, id_name: str) -> tuple[np.ndarray, np.ndarray]:
    """Hash whom each row is of, else its own id; tell which rows name somebody."""
    ids = part.records.get(id_name, pd.Series(np.nan, index=part.records.index))
    named = ids.notna()
    whom = ids.where(named, part.answers["prediction_id"]).astype(object)
    return pd.util.hash_array(whom.to_numpy(), categorize=False), named.to_numpy()


def _add(
    counts: dict[str, np.ndarray], bins: Mapping[str, Distribution], places: np.ndarray
) -> None:
    for (name, each), column in zip(bins.items(), places.T, strict=True):
        counts[name] += np.bincount(column, minlength=each.bins)


def _sampled(sample: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the records with the smallest hashes.

    That is a draw by chance that all parts agree on.
    """
    if len(sample) == SAMPLE:
        rows = rows[rows.index <= sample.index[-1]]
    together = pd.concat([sample, rows]) if len(sample) else rows
    together = together.sort_values(TIME, kind="stable")
    return (
        together[~together.index.duplicated(keep="last")]
        .sort_index(kind="stable")
        .head(SAMPLE)
    )
