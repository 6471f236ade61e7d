"""A prediction's id → what was asked and answered, and what became of the record."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from skewless.core.contract import Contract
from skewless.monitoring.history import read_predictions
from skewless.monitoring.outcome_history import hashes, read_outcomes
from skewless.monitoring.place import Log


def find(
    log: Log,
    prediction_id: str,
    contract: Contract,
    *,
    horizon: timedelta,
    now: datetime,
) -> dict[str, Any] | None:
    """Find one answer; None if the log does not hold it.

    Parameters
    ----------
    log, prediction_id
        Where to look, and for what.
    contract
        What a record is.
    horizon
        `monitoring.outcome_days`.
    now
        What was recorded later is not known.

    Returns
    -------
    dict or None
        The answer's fields, time, source and so on; `record`, the record as privacy let
        it be kept; `outcomes`, in the order in which they were recorded: the last one
        counts.
    """
    parts = (
        part
        for part in read_predictions(log, prediction=prediction_id)
        if len(part.answers)
    )
    part = next(parts, None)
    if part is None:
        return None
    whole = {column.name for column in contract.columns if column.kind == "integer"}
    record, time = _first(part.records, whole), part.answers["time"].iloc[0]
    known = read_outcomes(log, before=now)
    by_id, seen = known["of_record"].astype(bool), known["observed_at"]
    own, named = (
        hashes(pd.Series([each]))[0]
        for each in (prediction_id, record.get(contract.id))
    )
    within = by_id & (known["id"] == named) & seen.between(time, time + horizon)
    told = known.loc[
        within | (~by_id & (known["id"] == own)),
        ["outcome", "observed_at", "recorded_at"],
    ]
    outcomes = [_first(told.iloc[[row]], whole) for row in range(len(told))]
    return {**_first(part.answers, whole), "record": record, "outcomes": outcomes}


def _first(table: pd.DataFrame, whole: Collection[str]) -> dict[str, Any]:
    """Return a table's first row as JSON's values.

    `whole` names the columns of whole numbers: where another row lacks one, the table
    holds them as floats.
    """
    first = table.iloc[0].items()
    return {str(name): _plain(value, is_whole=name in whole) for name, value in first}


def _plain(value: Any, *, is_whole: bool) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if is_whole and isinstance(value, float) else value
