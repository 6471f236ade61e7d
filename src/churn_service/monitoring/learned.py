"""The training table and logged customers whose outcome is known → the table to train on next."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from pydantic import BaseModel

from churn_service.contract import columns
from churn_service.faults import find_faults
from churn_service.monitoring.history import read_predictions
from churn_service.monitoring.labels import join_outcomes
from churn_service.monitoring.outcome_history import hashes
from churn_service.monitoring.place import Log
from churn_service.schema import ID, TARGET
from churn_service.service_sections import MonitoringConfig
from churn_service.table import typed


class Growth(BaseModel, frozen=True):
    """What became of the training table."""

    rows: int
    """Customers that it has now."""
    added: int = 0
    replaced: int = 0
    """Customers that it had, and of whom the log knows more now."""
    without_id: int = 0
    """Answers whose outcome is known, and that name no customer."""
    broken: int = 0
    """Customers whose logged record is not what the contract asks for now."""

    @property
    def line(self) -> str:
        """Say it to a person."""
        return (
            f"{self.rows:,} customers, {self.added:,} added and {self.replaced:,} replaced by the log; "
            f"left out {self.without_id:,} answers that name nobody, {self.broken:,} records that break rules"
        )


def grow(
    table: pd.DataFrame, log: Log, monitoring: MonitoringConfig, *, now: datetime
) -> tuple[pd.DataFrame, Growth]:
    """Add each logged customer whose outcome is known: the latest such record, with its label.

    Parameters
    ----------
    table
        As `check_table` gives it. A customer who is in it already is replaced; who was held out stays so,
        as that depends on the id alone.
    log, monitoring
        Where predictions are kept, and what of them.
    now
        What was answered or recorded later does not count.
    """
    if monitoring.hidden:
        return table, Growth(rows=len(table))
    known = pd.concat(
        [_nobody(), *_labelled(log, now, timedelta(days=monitoring.outcome_days))], ignore_index=True
    )
    twice = known[ID].notna() & known.duplicated(ID)  # a file of the log that is there twice
    known = known[~twice]
    named = known[known[ID].notna()].sort_values(ID, ignore_index=True)
    broken = set(find_faults(named)["row"]) if len(named) else set[int]()
    named = named.drop(index=list(broken))
    new = typed(named).assign(**{TARGET: named[TARGET].astype(np.int64)})
    kept = table[~table[ID].isin(new[ID])]
    grown = pd.concat([kept, new], ignore_index=True) if len(new) else table
    replaced = len(table) - len(kept)
    return grown, Growth(
        rows=len(grown),
        added=len(new) - replaced,
        replaced=replaced,
        without_id=len(known) - len(named) - len(broken),
        broken=len(broken),
    )


def _nobody() -> pd.DataFrame:
    return pd.DataFrame(columns=[ID, *(column.name for column in columns()), TARGET], dtype=object)


def _labelled(log: Log, now: datetime, horizon: timedelta) -> Iterator[pd.DataFrame]:
    """Find each customer's latest record that has a label."""
    joined = join_outcomes(log, as_of=now, horizon=horizon)
    joined = joined[joined["outcome"] >= 0].drop_duplicates("customer", keep="last")
    labels = pd.Series(joined["outcome"].to_numpy(), index=joined["prediction"].to_numpy())
    names = _nobody().columns[:-1]
    for part in read_predictions(log, until=now) if len(labels) else ():
        if len(part.answers):
            prediction = hashes(part.answers["prediction_id"])
            wanted = np.isin(prediction, labels.index)
            rows = part.customers[wanted].reindex(columns=names)
            yield rows.assign(**{TARGET: labels.loc[prediction[wanted]].to_numpy()})
