"""A prediction's id → what was asked and answered, and what became of the record."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from skewless.core.contract import HALF, Contract
from skewless.monitoring.place import Log
from skewless.monitoring.views import (
    ANSWER,
    LINE_BYTES,
    OF_BATCH,
    SHARED,
    Views,
    literal,
    literals,
    open_views,
)


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
    if HALF.search(prediction_id):  # it is no text, so no answer has it
        return None
    with open_views(log, contract) as views:
        found = views.retry(
            lambda: _in_lines(views, prediction_id) or _in_parquet(views, prediction_id)
        )
        if found is None:
            return None
        condition = f"record_id IS NULL AND prediction_id = {literal(prediction_id)}"
        named = found["record"].get(contract.id)
        if named is not None:
            first = found["time"]
            condition = (
                f"{condition} OR record_id = {literal(str(named))} AND observed_at "
                f"BETWEEN {literal(first)} AND {literal(first + horizon)}"
            )
        told = views.ask(
            "SELECT outcome, observed_at, recorded_at FROM outcomes "
            f"WHERE recorded_at < {literal(now)} AND ({condition}) "
            "ORDER BY recorded_at, observed_at, outcome"
        )
    outcomes = [
        {
            "outcome": outcome,
            "observed_at": observed_at.isoformat(),
            "recorded_at": recorded_at.isoformat(),
        }
        for outcome, observed_at, recorded_at in told
    ]
    return found | {"time": found["time"].isoformat(), "outcomes": outcomes}


def _in_lines(views: Views, prediction_id: str) -> dict[str, Any] | None:
    paths = views.lines
    if not paths:
        return None
    sql = (
        f"SELECT json FROM read_json_objects({literals(paths)}, "
        "format='newline_delimited', ignore_errors=true, "
        f"maximum_object_size={LINE_BYTES}) "
        f"WHERE contains(json::VARCHAR, {literal(prediction_id)})"
    )
    for (line,) in views.connection.execute(sql).fetchall():
        # What is no prediction is not what is looked for.
        with suppress(ValueError, LookupError, TypeError, AttributeError):
            found = _row(json.loads(line), prediction_id)
            if found is not None:
                return found
    return None


def _row(entry: dict[str, Any], prediction_id: str) -> dict[str, Any] | None:
    """Pick one answer out of a line."""
    if "answer" in entry:
        answer = entry["answer"]
        record = entry["record"]
    else:
        answers = entry["answers"]
        if prediction_id not in answers["prediction_id"]:
            return None
        row = answers["prediction_id"].index(prediction_id)
        answer = {
            name: values if name in OF_BATCH else values[row]
            for name, values in answers.items()
        }
        record = {name: values[row] for name, values in entry["records"].items()}
    if answer["prediction_id"] != prediction_id:
        return None
    return _found({**entry, **answer}, record)


def _in_parquet(views: Views, prediction_id: str) -> dict[str, Any] | None:
    if not views.files.parquet:
        return None
    read = f"read_parquet({literals(views.files.parquet)}, union_by_name=true)"
    wanted = f'"answer.prediction_id" = {literal(prediction_id)}'
    # A struct keeps whole numbers whole, where a DataFrame makes floats of them.
    for (row,) in views.ask(
        f"SELECT found FROM {read} AS found WHERE {wanted} LIMIT 1"
    ):
        record = {
            name.removeprefix("record."): value
            for name, value in row.items()
            if name.startswith("record.")
        }
        flat = {name.removeprefix("answer."): value for name, value in row.items()}
        return _found(flat, record)
    return None


def _found(facts: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Order what was found as it is shown."""
    names = [name for name in (*SHARED, *ANSWER) if facts.get(name) is not None]
    found = {name: facts[name] for name in names}
    if isinstance(found["time"], str):
        moment = datetime.fromisoformat(found["time"])
        found["time"] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return found | {"record": dict(record)}
