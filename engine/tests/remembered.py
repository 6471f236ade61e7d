"""Make up lines of the prediction log, and read a log as one table."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from own import CONTRACT, ID
from skewless.core.contract import Contract
from skewless.core.url import Url
from skewless.monitoring.place import COMPACT, Database, Log, Window
from skewless.monitoring.views import (
    OF_BATCH,
    condition_sql,
    literal,
    open_views,
    version_folder,
)

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


def batch(
    *numbers: int, moment: datetime = NOON, version: str = VERSION, **shared: Any
) -> bytes:
    """Write the answers of `line` to these numbers as one line, in columns.

    All have the time of the first.
    """
    rows = [json.loads(line(number, moment, version=version)) for number in numbers]
    return in_columns(rows, **shared)


def in_columns(rows: Sequence[dict[str, Any]], **shared: Any) -> bytes:
    """Put lines of single answers into one line of a batch."""
    records, answers = (
        {name: [row[part][name] for row in rows] for name in rows[0][part]}
        for part in ("record", "answer")
    )
    answers |= {name: rows[0]["answer"][name] for name in OF_BATCH}
    entry = {
        name: value
        for name, value in rows[0].items()
        if name not in {"record", "answer"}
    }
    entry |= {"source": "/predict/batch"} | shared
    entry |= {"records": records, "answers": answers}
    return json.dumps(entry).encode() + b"\n"


def in_rows(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each answer of a batch a line of its own, as a single answer has."""
    rows = []
    for whole in lines:
        if "record" in whole:
            rows.append(whole)
            continue
        line = dict(whole)
        records, answers = line.pop("records"), line.pop("answers")
        for row in range(len(answers["prediction_id"])):
            record = {name: values[row] for name, values in records.items()}
            answer = {
                name: values if name in OF_BATCH else values[row]
                for name, values in answers.items()
            }
            rows.append(line | {"record": record, "answer": answer})
    return rows


def older_parquet(
    folder: Path, *lines: bytes, name: str = "2026-03-01.host-1-a.000"
) -> Path:
    """Write Parquet as an older engine did: without a digest, with checksums of pages.

    All lines are of one day and version.
    """
    frame = pd.json_normalize([json.loads(each) for each in lines], max_level=1)
    frame["time"] = pd.to_datetime(frame["time"], utc=True).astype(
        "datetime64[us, UTC]"
    )
    day = folder / COMPACT / f"date={name[:10]}"
    path = day / version_folder(VERSION) / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(
        pa.Table.from_pandas(frame, preserve_index=False),
        path,
        compression="zstd",
        write_page_checksum=True,
    )
    return path


class History(NamedTuple):
    """What was asked and answered; the same row of both is the same prediction."""

    answers: pd.DataFrame
    records: pd.DataFrame
    unreadable: int


def remembered(
    folder: Path, url: str | None = None, contract: Contract = CONTRACT, **asked: Any
) -> History:
    """Read a log as one table, in the order of time."""
    window = Window(**asked)
    log = Log(folder, database_at(url) if url else None)
    with open_views(log, contract, window) as views:
        found = views.table(
            f"FROM predictions WHERE {condition_sql(window)} "
            "ORDER BY time, prediction_id"
        )
        unreadable = views.ask("SELECT count(*) FROM entries WHERE NOT readable")[0][0]
    records = pd.DataFrame(found.pop("record").tolist())
    return History(found, records, unreadable)


def told(log: Log | Path, **bounds: datetime) -> pd.DataFrame:
    """Read all outcomes that were recorded before a moment, in that order."""
    with open_views(Log(log) if isinstance(log, Path) else log, CONTRACT) as views:
        return views.table(
            f"FROM outcomes WHERE recorded_at < {literal(bounds['before'])} "
            "ORDER BY recorded_at, observed_at, outcome"
        )


def ids(history: History) -> list[str]:
    """Name the predictions, in the order of time."""
    return history.answers["prediction_id"].tolist() if len(history.answers) else []
