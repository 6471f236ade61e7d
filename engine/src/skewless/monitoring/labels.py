"""Outcomes as they were known at a moment → the label of each prediction.

A label is what was recorded last, before that moment, of those outcomes that belong to
the prediction: all that name it, and those of its id that were observed within the
horizon after it. A mere repetition does not count as recorded again. What is recorded
later changes nothing that is dated earlier.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from skewless.core.contract import Column, Contract
from skewless.monitoring.place import Log, Window
from skewless.monitoring.views import condition_sql, literal, open_views, quoted

UNKNOWN: Final = -1  # as an outcome
KNOWN: Final = """
    CREATE OR REPLACE TEMP TABLE known AS
    SELECT record_id IS NOT NULL AS of_record,
        hash(coalesce(record_id, prediction_id)) AS id,
        outcome, observed_at,
        row_number() OVER (ORDER BY recorded_at, observed_at, outcome, id) AS place
    FROM outcomes WHERE recorded_at < {before} AND NOT repeats
"""
"""Of two outcomes, the one with the larger place was recorded later."""

PREDICTED: Final = """
    CREATE OR REPLACE TEMP TABLE predicted AS
    SELECT hash(prediction_id) AS prediction,
        hash(coalesce(record_id, prediction_id)) AS record,
        time, model_version AS version, probability, decision AS predicted{segments}
    FROM predictions WHERE {condition}
"""
LABELLED: Final = """
    WITH belonging AS (
        SELECT prediction, place
        FROM predicted JOIN known ON id = prediction WHERE NOT of_record
        UNION ALL
        SELECT prediction, place
        FROM predicted JOIN known ON id = record
        WHERE of_record AND observed_at >= time
            AND observed_at <= time + INTERVAL {seconds} SECONDS
    ), newest AS (
        SELECT prediction, max(place) AS place FROM belonging GROUP BY prediction
    )
    SELECT prediction, record, time::TIMESTAMP AS time, version, probability, predicted,
        coalesce(outcome, {unknown})::TINYINT AS outcome,
        ((epoch_us(observed_at) - epoch_us(time)) / 86400e6)::FLOAT AS lag_days
        {segments}
    FROM predicted
        LEFT JOIN newest USING (prediction) LEFT JOIN known USING (place)
    ORDER BY time, prediction
"""
"""An `ASOF JOIN` finds the nearest outcome; the one that counts was recorded last."""
REVIEWED: Final = """
    WITH new AS (SELECT * FROM outcomes WHERE recorded_at = {moment})
    SELECT count(*) FILTER (WHERE repeats) AS duplicates,
        count(*) FILTER (WHERE corrects) AS corrections,
        (SELECT count(DISTINCT record_id) FROM new
            WHERE record_id NOT IN (SELECT record_id FROM predictions
                WHERE record_id IS NOT NULL))
        + (SELECT count(DISTINCT prediction_id) FROM new
            WHERE record_id IS NULL
                AND prediction_id NOT IN (SELECT prediction_id FROM predictions)
        ) AS unknown
    FROM new
"""


def join_outcomes(
    log: Log,
    contract: Contract,
    window: Window,
    *,
    horizon: timedelta,
    by: Sequence[Column] = (),
) -> pd.DataFrame:
    """Label predictions by what was known at a moment, in 40 bytes a prediction.

    Parameters
    ----------
    log
        Where both are kept.
    contract
        What a record is.
    window
        Which predictions. It has an end: what was recorded from then on does not count.
    horizon
        `monitoring.outcome_days`.
    by
        Columns of choices, whose values the segments are.

    Raises
    ------
    ValueError
        The window has no end.

    Returns
    -------
    DataFrame, sorted by time
        prediction and record (64-bit hashes; without a record's id each prediction is
        its own), time (UTC without an offset), version, probability, predicted (bool),
        outcome (1, 0, or -1: not known), lag_days (from the answer until the outcome
        was observed; NaN if it is not known). Each prediction once. For each column of
        `by` also its `segment_name`: the place of the value in `Column.choices`, one
        more than the last if it has none, or -1 if privacy hid it or it is no such
        value.
    """
    if window.until is None:
        msg = "the window has no end"
        raise ValueError(msg)
    with open_views(log, contract, window) as views:
        views.ask(KNOWN.format(before=literal(window.until)))
        places = [f", {_place_sql(each)} AS {_segment_sql(each)}" for each in by]
        views.ask(
            PREDICTED.format(condition=condition_sql(window), segments="".join(places))
        )
        seconds = int(horizon.total_seconds())
        joined = views.batches(
            LABELLED.format(
                seconds=seconds,
                unknown=UNKNOWN,
                segments="".join(f", {_segment_sql(each)}" for each in by),
            ),
            _together,
        )
    predictions = joined["prediction"].to_numpy()
    # A file of the log may be there twice.
    again = predictions[1:] == predictions[:-1]
    if again.any():
        joined = joined[np.append([True], ~again)].reset_index(drop=True)
    return joined


def segment_name(column: Column) -> str:
    """Name what tells the segment of a prediction by a column's value."""
    return f"segment {column.name}"


def _segment_sql(column: Column) -> str:
    return quoted(segment_name(column))


def _place_sql(column: Column) -> str:
    cell = f"record.{quoted(column.name)}"
    choices = ", ".join(map(literal, column.choices))
    return (
        f"(CASE WHEN privacy[{literal(column.name)}] IS NOT NULL THEN -1 "
        f"WHEN {cell} IS NULL THEN {len(column.choices)} "
        f"ELSE coalesce(list_position([{choices}], {cell}::VARCHAR), 0) - 1 "
        "END)::SMALLINT"
    )


def _together(batches: pa.RecordBatchReader) -> pd.DataFrame:
    table = batches.read_all()
    versions = table.column_names.index("version")
    coded = table["version"].dictionary_encode()
    table = table.set_column(versions, "version", coded)
    found: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
    return found


def review(log: Log, contract: Contract, recorded_at: datetime) -> dict[str, int]:
    """Count the repetitions, corrections and unknown ids in a batch of outcomes.

    The batch is what was recorded at `recorded_at`.

    Returns
    -------
    dict
        duplicates and corrections (outcomes; see the view `outcomes`), unknown (ids
        that no prediction has).
    """
    asked = REVIEWED.format(moment=literal(recorded_at))
    with open_views(log, contract) as views:
        (row,) = views.table(asked).to_dict("records")
    return {str(name): int(count) for name, count in row.items()}
