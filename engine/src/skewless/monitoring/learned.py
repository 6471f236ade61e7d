"""Training table and logged records with an outcome → the next training table."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from pydantic import BaseModel

from skewless.core.contract import Contract
from skewless.core.workspace import Workspace
from skewless.monitoring.labels import join_outcomes
from skewless.monitoring.place import Log, Window
from skewless.monitoring.views import open_views
from skewless.tables.faults import find_faults
from skewless.tables.table import typed


class Growth(BaseModel, frozen=True):
    """What became of the training table."""

    rows: int
    """Records that it has now."""
    added: int = 0
    replaced: int = 0
    """Records that it had, and of which the log knows more now."""
    without_id: int = 0
    """Answers whose outcome is known, and that have no id."""
    broken: int = 0
    """Records that were logged and are not what the contract asks for now."""

    @property
    def line(self) -> str:
        """Say it to a person."""
        return (
            f"{self.rows:,} records, "
            f"{self.added:,} added and {self.replaced:,} replaced by the log; "
            f"left out {self.without_id:,} answers that name nobody, "
            f"{self.broken:,} records that break rules"
        )


def grow(
    table: pd.DataFrame, log: Log, work: Workspace, *, now: datetime
) -> tuple[pd.DataFrame, Growth]:
    """Add each logged id whose outcome is known: its latest such record and label.

    Parameters
    ----------
    table
        As `check_table` gives it. An id that is in it already is replaced; what was
        held out stays so, as that depends on the id alone.
    log
        Where predictions are kept.
    work
        The project, whose configuration says what is kept of them.
    now
        What was answered or recorded later does not count.
    """
    if work.config.monitoring.hidden:
        return table, Growth(rows=len(table))
    contract = work.contract
    horizon = timedelta(days=work.config.monitoring.outcome_days)
    known = _labelled(log, contract, now=now, horizon=horizon)
    ids = known[contract.id]
    # A file of the log may be there twice.
    known = known[~(ids.notna() & ids.duplicated())]
    named = known[known[contract.id].notna()].sort_values(
        contract.id, ignore_index=True
    )
    broken = set(find_faults(named, contract)["row"]) if len(named) else set[int]()
    named = named.drop(index=list(broken))
    outcomes = named[contract.target].astype(np.int64)
    new = typed(named, contract).assign(**{contract.target: outcomes})
    kept = table[~table[contract.id].isin(new[contract.id])]
    grown = pd.concat([kept, new], ignore_index=True) if len(new) else table
    replaced = len(table) - len(kept)
    return grown, Growth(
        rows=len(grown),
        added=len(new) - replaced,
        replaced=replaced,
        without_id=len(known) - len(named) - len(broken),
        broken=len(broken),
    )


def _nobody(contract: Contract) -> pd.DataFrame:
    names = [
        contract.id,
        *(column.name for column in contract.columns),
        contract.target,
    ]
    return pd.DataFrame(columns=names, dtype=object)


def _labelled(
    log: Log, contract: Contract, *, now: datetime, horizon: timedelta
) -> pd.DataFrame:
    """Find each id's latest record that has a label."""
    joined = join_outcomes(log, contract, Window(until=now), horizon=horizon)
    joined = joined[joined["outcome"] >= 0].drop_duplicates("record", keep="last")
    columns = _nobody(contract).columns
    if joined.empty:
        return _nobody(contract)
    with open_views(log, contract, Window(until=now)) as views:
        views.connection.register("labels", joined[["prediction", "outcome"]])
        rows = views.table(
            "SELECT record.*, outcome FROM predictions "
            "JOIN labels ON prediction = hash(prediction_id)"
        )
    return rows.rename(columns={"outcome": contract.target})[columns]
