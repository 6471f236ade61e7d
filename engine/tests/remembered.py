"""Make up lines of the prediction log, and read a log as one table."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from own import CONTRACT, ID
from skewless.core.url import Url
from skewless.monitoring.history import History, read_predictions
from skewless.monitoring.place import Database, Log

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSION = "0.1.0-00000000"


def database_at(url: str) -> Database:
    """Return the database of a URL, as the project's variable gives it."""
    return Database(Url(url), "CHURN_LOG_URL")


def line(
    number: int,
    moment: datetime = NOON,
    *,
    version: str = VERSION,
    record: dict[str, Any] | None = None,
) -> bytes:
    """Write the log's line of a prediction, whose number gives its id and second."""
    answer = {
        "probability": (number % 1000) / 1000,
        "decision": number % 2 == 0,
        "tier": "LOW",
        "model_version": version,
        "trained_at": "2026-02-01T00:00:00Z",
        "prediction_id": f"p-{number}",
    }
    entry = {
        "time": (moment + timedelta(seconds=number % 60))
        .isoformat()
        .replace("+00:00", "Z"),
        "request_id": f"r-{number}",
        "source": "/predict",
        "threshold": 0.5,
        "latency_ms": 1.5,
        "record": CONTRACT.example() | {ID: f"c-{number}"}
        if record is None
        else record,
        "answer": answer,
    }
    return json.dumps(entry).encode() + b"\n"


def log_file(
    folder: Path, *lines: bytes, day: str = "2026-03-01", name: str = "host-1-a.000"
) -> Path:
    """Put lines into a file of a log, as a process would that has left."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{day}.{name}.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def remembered(folder: Path, url: str | None = None, **asked: Any) -> History:
    """Read all parts of a log as one, in the order of time."""
    parts = list(
        read_predictions(Log(folder, database_at(url) if url else None), **asked)
    )
    if not any(len(part.answers) for part in parts):
        return History(
            pd.DataFrame(), pd.DataFrame(), sum(part.unreadable for part in parts)
        )
    answers = pd.concat([part.answers for part in parts], ignore_index=True)
    records = pd.concat([part.records for part in parts], ignore_index=True)
    order = answers["time"].sort_values(kind="stable").index
    tables = (table.loc[order].reset_index(drop=True) for table in (answers, records))
    return History(*tables, sum(part.unreadable for part in parts))


def ids(history: History) -> list[str]:
    """Name the predictions, in the order of time."""
    return history.answers["prediction_id"].tolist() if len(history.answers) else []
