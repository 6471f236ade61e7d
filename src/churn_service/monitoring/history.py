"""The prediction log → tables, whatever state its files were left in."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

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


def _lines(folder: Path, since: date | None, until: date | None) -> Iterator[bytes]:
    for path in sorted(folder.glob("20[0-9][0-9]-[01][0-9]-[0-3][0-9].*.jsonl")):
        day = date.fromisoformat(path.name[:10])
        if (since is None or day >= since) and (until is None or day <= until):
            with path.open("rb") as file:
                yield from file
