"""Recorded outcomes → a table of what was known at a moment."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Any, Final

import numpy as np
import pandas as pd

from skewless.monitoring.outcomes import OUTCOMES
from skewless.monitoring.place import Log, read_lines
from skewless.monitoring.postgres_entries import recorded_outcomes

COLUMNS: Final = ["prediction_id", "record", "outcome", "recorded_at", "observed_at"]


def read_outcomes(log: Log, *, before: datetime) -> pd.DataFrame:
    """Read what was recorded before a moment.

    Returns
    -------
    DataFrame, sorted by recorded_at
        of_record (bool; else of a prediction), id (its 64-bit hash), outcome (0 or 1),
        recorded_at and observed_at (UTC; no later than recorded_at), repeats and
        corrects (bool: the same, or another outcome, was said of the same id before).
        Lines that tell of none are left out.
    """
    recorded = () if log.database is None else recorded_outcomes(log.database, before)
    said = _outcomes(chain(read_lines(log.folder / OUTCOMES), recorded))
    table = pd.DataFrame(said, columns=COLUMNS, dtype=object)
    table["of_record"] = table["record"].notna()
    table["outcome"] = table["outcome"].astype("int8")
    table["id"] = hashes(table["record"].fillna(table["prediction_id"]))
    for name in ("recorded_at", "observed_at"):
        moments = pd.to_datetime(
            table[name], format="ISO8601", utc=True, errors="coerce"
        )
        table[name] = moments.astype("datetime64[us, UTC]")
    table = table[table["recorded_at"] < before].drop(
        columns=["record", "prediction_id"]
    )
    table = table.sort_values(
        ["of_record", "id", "recorded_at", "observed_at", "outcome"]
    )
    again = table.duplicated(["of_record", "id"])
    same = table["outcome"] == table["outcome"].shift()
    given, last = table["observed_at"], table["observed_at"].shift()
    then = (given == last) | (given.isna() & last.isna() & ~table["of_record"])
    table["repeats"], table["corrects"] = again & same & then, again & ~same
    table["observed_at"] = given.fillna(table["recorded_at"]).clip(
        upper=table["recorded_at"]
    )
    return table.sort_values(
        ["recorded_at", "observed_at", "outcome", "id"], ignore_index=True
    )


def hashes(values: pd.Series) -> np.ndarray:
    """Return 64-bit hashes of ids, the same in every process."""
    found: np.ndarray = pd.util.hash_array(
        values.to_numpy(dtype=object), categorize=False
    )
    return found


def _outcomes(lines: Iterable[str | bytes]) -> Iterator[dict[str, Any]]:
    """Leave out lines that are no outcome.

    They were cut short by a kill or a full disk, or are not the service's.
    """
    for line in lines:
        with contextlib.suppress(
            ValueError, KeyError, TypeError, AttributeError, RecursionError
        ):
            said = json.loads(line)
            whom = said.get("record") or said["prediction_id"]
            texts = [whom, said["recorded_at"], said.get("observed_at") or ""]
            "".join(texts).encode()  # fails unless all are text
            if type(said["outcome"]) is int and said["outcome"] in (0, 1):
                yield said
