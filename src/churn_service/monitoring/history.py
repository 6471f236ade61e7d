"""The prediction log → tables, whatever state its files were left in."""

import contextlib
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from churn_service.monitoring.line_log import SHADOW

ANSWERED: Final = ("probability", "prediction")
PARTS: Final = ("customer", "answer")


class History(NamedTuple):
    """What was asked and answered; the same row of both tables is the same prediction."""

    answers: pd.DataFrame
    """time (UTC), request_id, source, threshold, latency_ms, and the answer's own fields."""
    customers: pd.DataFrame
    """The columns of the record, as far as privacy let them be kept."""
    unreadable: int
    """Lines that a crash or a full disk cut short."""


def read_predictions(folder: Path, *, since: date | None = None, until: date | None = None) -> History:
    """Read the log of all processes, in the order of time.

    Parameters
    ----------
    folder
        `monitoring.prediction_log`.
    since, until
        First and last day (UTC) to read; default: all.
    """
    answers: list[dict[str, Any]] = []
    customers: list[dict[str, Any]] = []
    unreadable = 0
    for line in _lines(folder, since, until):
        try:
            entry = json.loads(line)
            shared = {name: value for name, value in entry.items() if name not in PARTS}
            answer, customer = shared | entry["answer"], dict(entry["customer"])
        except (ValueError, KeyError, AttributeError, TypeError):
            unreadable += 1
        else:
            answers.append(answer)
            customers.append(customer)
    table = pd.DataFrame(answers)
    if not table.empty:
        table["time"] = pd.to_datetime(table["time"], format="ISO8601", utc=True)
        table = table.sort_values("time", kind="stable")
    records = pd.DataFrame(customers).reindex(table.index)
    return History(table.reset_index(drop=True), records.reset_index(drop=True), unreadable)


def read_challenges(folder: Path, version: str) -> pd.DataFrame:
    """Read what a version answered in production's shadow.

    Parameters
    ----------
    folder
        `monitoring.prediction_log`.
    version
        The challenger.

    Returns
    -------
    DataFrame
        A row per request: prediction_id, model_version, churn_probability and churn_prediction of production,
        challenger_probability and challenger_prediction. Lines that were cut short are left out.
    """
    rows = []
    for line in _lines(folder / SHADOW, None, None):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            challenger = entry.pop("challenger")
            if challenger["model_version"] == version:
                answers = {f"challenger_{name}": challenger[f"churn_{name}"] for name in ANSWERED}
                rows.append(entry | answers)
    return pd.DataFrame(rows)


def _lines(folder: Path, since: date | None, until: date | None) -> Iterator[bytes]:
    for path in sorted(folder.glob("20[0-9][0-9]-[01][0-9]-[0-3][0-9].*.jsonl")):
        day = date.fromisoformat(path.name[:10])
        if (since is None or day >= since) and (until is None or day <= until):
            with path.open("rb") as file:
                yield from file
