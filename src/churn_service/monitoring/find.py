"""A prediction's id → what was asked and answered, and what became of the customer."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from churn_service.contract import Contract
from churn_service.monitoring.history import read_predictions
from churn_service.monitoring.outcome_history import hashes, read_outcomes
from churn_service.monitoring.place import Log


def find(
    log: Log, prediction_id: str, contract: Contract, *, horizon: timedelta, now: datetime
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
        The answer's fields, time, source and so on; `customer`, the record as privacy let it be kept;
        `outcomes`, in the order in which they were recorded: the last one counts.
    """
    parts = (part for part in read_predictions(log, prediction=prediction_id) if len(part.answers))
    part = next(parts, None)
    if part is None:
        return None
    whole = {column.name for column in contract.columns if column.kind == "integer"}
    customer, time = _first(part.customers, whole), part.answers["time"].iloc[0]
    known = read_outcomes(log, before=now)
    is_hers, seen = known["of_customer"].astype(bool), known["observed_at"]
    own, hers = (hashes(pd.Series([each]))[0] for each in (prediction_id, customer.get(contract.id)))
    within = is_hers & (known["id"] == hers) & seen.between(time, time + horizon)
    told = known.loc[within | (~is_hers & (known["id"] == own)), ["outcome", "observed_at", "recorded_at"]]
    outcomes = [_first(told.iloc[[row]], whole) for row in range(len(told))]
    return {**_first(part.answers, whole), "customer": customer, "outcomes": outcomes}


def _first(table: pd.DataFrame, whole: Collection[str]) -> dict[str, Any]:
    """Return a table's first row as JSON's values; whole numbers are floats there, where others miss one."""
    first = table.iloc[0].items()
    return {str(name): _plain(value, is_whole=name in whole) for name, value in first}


def _plain(value: Any, *, is_whole: bool) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if is_whole and isinstance(value, float) else value
