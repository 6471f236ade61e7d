"""A prediction's id → what was asked and answered, and what became of the customer."""

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from churn_service.contract import columns
from churn_service.monitoring.history import read_predictions
from churn_service.monitoring.outcome_history import hashes, read_outcomes
from churn_service.monitoring.place import Log
from churn_service.schema import ID

WHOLE: Final = {
    column.name for column in columns() if column.kind == "integer"
}  # a float where others miss it


def find(log: Log, prediction_id: str, *, horizon: timedelta, now: datetime) -> dict[str, Any] | None:
    """Find one answer; None if the log does not hold it.

    Parameters
    ----------
    log, prediction_id
        Where to look, and for what.
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
    customer, time = _first(part.customers), part.answers["time"].iloc[0]
    known = read_outcomes(log, before=now)
    is_hers, seen = known["of_customer"].astype(bool), known["observed_at"]
    own, hers = (hashes(pd.Series([each]))[0] for each in (prediction_id, customer.get(ID)))
    within = is_hers & (known["id"] == hers) & seen.between(time, time + horizon)
    told = known.loc[within | (~is_hers & (known["id"] == own)), ["outcome", "observed_at", "recorded_at"]]
    outcomes = [_first(told.iloc[[row]]) for row in range(len(told))]
    return {**_first(part.answers), "customer": customer, "outcomes": outcomes}


def _first(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table's first row as JSON's values."""
    return {str(name): _plain(str(name), value) for name, value in table.iloc[0].items()}


def _plain(name: str, value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if name in WHOLE and isinstance(value, float) else value
