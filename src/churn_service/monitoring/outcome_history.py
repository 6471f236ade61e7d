"""Recorded outcomes → a table of what was known at a moment."""

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from churn_service.monitoring.history import Log
from churn_service.monitoring.outcomes import OUTCOMES

UTC_MICROSECONDS: Final = "datetime64[us, UTC]"
COLUMNS: Final = ("of_customer", "id", "outcome", "recorded_at", "observed_at")


def read_outcomes(log: Log, *, before: datetime) -> pd.DataFrame:
    """Read what was recorded before a moment.

    Returns
    -------
    DataFrame, sorted by recorded_at
        of_customer (bool; else of a prediction), id (its 64-bit hash), outcome (0 or 1), recorded_at and
        observed_at (UTC; no later than recorded_at), repeats and corrects (bool: the same, or another
        outcome, was said of the same id before). Lines that were cut short are left out.
    """
    table = pd.DataFrame(_rows(log.folder / OUTCOMES, before), columns=list(COLUMNS))
    table["id"] = hashes(table["id"])
    for name in ("recorded_at", "observed_at"):
        table[name] = pd.to_datetime(table[name], format="ISO8601", utc=True).astype(UTC_MICROSECONDS)
    table = table[table["recorded_at"] < before]
    table = table.sort_values(["of_customer", "id", "recorded_at", "observed_at", "outcome"])
    again = (table[["of_customer", "id"]] == table[["of_customer", "id"]].shift()).all(axis=1)
    same = table["outcome"] == table["outcome"].shift()
    given, last = table["observed_at"], table["observed_at"].shift()
    then = (given == last) | (given.isna() & last.isna() & ~table["of_customer"])
    table["repeats"], table["corrects"] = again & same & then, again & ~same
    table["observed_at"] = given.fillna(table["recorded_at"]).clip(upper=table["recorded_at"])
    return table.sort_values(["recorded_at", "observed_at", "outcome", "id"], ignore_index=True)


def hashes(values: pd.Series) -> np.ndarray:
    """Return 64-bit hashes of ids, the same in every process."""
    found: np.ndarray = pd.util.hash_array(values.to_numpy(dtype=object), categorize=False)
    return found


def _rows(folder: Path, before: datetime) -> Iterator[tuple[Any, ...]]:
    for path in sorted(folder.glob("20[0-9][0-9]-[01][0-9]-[0-3][0-9].*.jsonl")):
        if path.name[:10] <= before.date().isoformat():
            with path.open("rb") as file:
                for line in file:
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        yield _parsed(json.loads(line))


def _parsed(said: dict[str, Any]) -> tuple[Any, ...]:
    of_customer = "customer" in said
    name = said["customer" if of_customer else "prediction_id"]
    return of_customer, name, said["outcome"], said["recorded_at"], said["observed_at"]
