"""Outcomes as they were known at a moment → the label of each prediction.

A label is what was recorded last, before that moment, of those outcomes that belong to
the prediction: all that name it, and those of its id that were observed within the
horizon after it. A mere repetition does not count as recorded again. What is recorded
later changes nothing that is dated earlier.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from skewless.core.contract import Contract
from skewless.monitoring.place import EVERY, Log, Window
from skewless.monitoring.views import condition_sql, literal, open_views, quoted

MICROSECONDS: Final = "datetime64[us]"
ENDS: Final = np.array(["0001-01-01", "9999-12-31"], dtype=MICROSECONDS)
UNKNOWN: Final = -1  # as an outcome
KNOWN: Final = """
    SELECT record IS NOT NULL AS of_record, hash(coalesce(record, prediction_id)) AS id,
        outcome, observed_at::TIMESTAMP AS observed_at
    FROM outcomes WHERE recorded_at < {before} AND NOT repeats
    ORDER BY recorded_at, observed_at, outcome, id
"""
PREDICTED: Final = """
    SELECT hash(prediction_id) AS prediction,
        hash(coalesce(record.{id}, prediction_id)) AS record,
        time::TIMESTAMP AS time, model_version AS version,
        probability, decision AS predicted
    FROM predictions WHERE {condition}
"""
REVIEWED: Final = """
    WITH new AS (SELECT * FROM outcomes WHERE recorded_at = {moment})
    SELECT count(*) FILTER (WHERE repeats) AS duplicates,
        count(*) FILTER (WHERE corrects) AS corrections,
        (SELECT count(DISTINCT record) FROM new
            WHERE record NOT IN (SELECT record.{id} FROM predictions
                WHERE record.{id} IS NOT NULL))
        + (SELECT count(DISTINCT prediction_id) FROM new
            WHERE record IS NULL
                AND prediction_id NOT IN (SELECT prediction_id FROM predictions)
        ) AS unknown
    FROM new
"""


def join_outcomes(
    log: Log,
    contract: Contract,
    *,
    as_of: datetime,
    horizon: timedelta,
    which: Window = EVERY,
) -> pd.DataFrame:
    """Label predictions by what was known at a moment, in 40 bytes a prediction.

    Parameters
    ----------
    log
        Where both are kept.
    contract
        What a record is.
    as_of
        Only what was answered and recorded before this moment counts.
    horizon
        `monitoring.outcome_days`.
    which
        Which predictions; default: all.

    Returns
    -------
    DataFrame, sorted by time
        prediction and record (64-bit hashes; without a record's id each prediction is
        its own), time (UTC without an offset), version, probability, predicted (bool),
        outcome (1, 0, or -1: not known), lag_days (from the answer until the outcome
        was observed; NaN if it is not known). Each prediction once.
    """
    window = which._replace(until=as_of)
    with open_views(log, contract, window) as views:
        known = views.table(KNOWN.format(before=literal(as_of)))
        labels = _Labels(known, horizon)
        joined = views.batches(
            PREDICTED.format(id=quoted(contract.id), condition=condition_sql(window)),
            labels.join,
        )
    joined = joined.sort_values(["time", "prediction"], ignore_index=True)
    predictions = joined["prediction"].to_numpy()
    # A file of the log may be there twice.
    again = predictions[1:] == predictions[:-1]
    if again.any():
        joined = joined[np.append([True], ~again)].reset_index(drop=True)
    return joined


def review(log: Log, contract: Contract, recorded_at: datetime) -> dict[str, int]:
    """Count the repetitions, corrections and unknown ids in a batch of outcomes.

    The batch is what was recorded at `recorded_at`.

    Returns
    -------
    dict
        duplicates and corrections (outcomes; see the view `outcomes`), unknown (ids
        that no prediction has).
    """
    asked = REVIEWED.format(moment=literal(recorded_at), id=quoted(contract.id))
    with open_views(log, contract) as views:
        (row,) = views.table(asked).to_dict("records")
    return {str(name): int(count) for name, count in row.items()}


class _Labels:
    """Finds the label of each prediction, a batch of predictions at a time.

    DuckDB's `ASOF JOIN` finds the nearest outcome; the one that counts is the one that
    was recorded last of several in a span, in whatever order they were observed.
    """

    def __init__(self, known: pd.DataFrame, horizon: timedelta) -> None:
        of_record = known["of_record"].to_numpy(dtype=bool)
        self._by_prediction = _Finder(known[~of_record])
        self._by_record = _Finder(known[of_record])
        self._outcomes = np.append(known["outcome"].to_numpy("int8"), np.int8(UNKNOWN))
        observed = known["observed_at"].to_numpy(MICROSECONDS)
        self._observed = np.append(observed, np.datetime64("NaT", "us"))
        self._horizon = np.timedelta64(horizon)

    def join(self, batches: Iterable[pa.RecordBatch]) -> pd.DataFrame:
        """Label all predictions."""
        codes: dict[str, int] = {}
        parts = [_empty()]
        for batch in batches:
            versions = batch.column("version").dictionary_encode()
            known = [
                codes.setdefault(version, len(codes))
                for version in versions.dictionary.to_pylist()
            ]
            part = batch.drop_columns(["version"]).to_pandas()
            places = versions.indices.to_numpy()
            part["version"] = np.array(known, dtype="int16")[places]
            parts.append(self._label(part))
        joined = pd.concat(parts, ignore_index=True)
        parts.clear()  # else there would be three copies while it is sorted
        joined["version"] = pd.Categorical.from_codes(
            joined["version"].to_numpy(), pd.Index(list(codes))
        )
        return joined

    def _label(self, part: pd.DataFrame) -> pd.DataFrame:
        times = part["time"].to_numpy(MICROSECONDS)
        first, last = np.broadcast_to(ENDS[:, np.newaxis], (2, len(part)))
        by_prediction = self._by_prediction.newest(
            part["prediction"].to_numpy(), first, last
        )
        by_record = self._by_record.newest(
            part["record"].to_numpy(), times, times + self._horizon
        )
        newest = np.maximum(by_prediction, by_record)
        lag_days = (self._observed[newest] - times) / np.timedelta64(1, "D")
        return part.assign(
            time=times,
            outcome=self._outcomes[newest],
            lag_days=lag_days.astype("float32"),
        )[list(_empty())]


class _Finder:
    """Finds, for an id and a span of time, which of its outcomes was recorded last."""

    def __init__(self, known: pd.DataFrame) -> None:
        self._ids, id_codes = np.unique(
            known["id"].to_numpy("uint64"), return_inverse=True
        )
        self._moments, moment_codes = np.unique(
            known["observed_at"].to_numpy(MICROSECONDS), return_inverse=True
        )
        self._width = len(self._moments) + 1
        keys = id_codes * self._width + moment_codes
        order = np.argsort(keys)
        self._keys = keys[order]
        self._rows = np.append(known.index.to_numpy()[order], UNKNOWN)

    def newest(
        self, ids: np.ndarray, first: np.ndarray, last: np.ndarray
    ) -> np.ndarray:
        """Return the label of each id's newest row in its span, -1 if there is none.

        The labels are those of the table; their order is that of recording.
        """
        if not len(self._ids):
            return np.full(len(ids), UNKNOWN)
        code = np.searchsorted(self._ids, ids).clip(max=len(self._ids) - 1)
        base = code * self._width  # of a key: the id's place, then the moment's
        low = np.searchsorted(self._keys, base + np.searchsorted(self._moments, first))
        high = np.searchsorted(
            self._keys, base + np.searchsorted(self._moments, last, side="right")
        )
        found = np.flatnonzero((self._ids[code] == ids) & (low < high))
        # So that what lies between spans stays short.
        found = found[np.argsort(low[found])]
        spans = np.stack([low[found], high[found]], axis=1).ravel()
        newest = np.full(len(ids), UNKNOWN)
        newest[found] = (
            np.maximum.reduceat(self._rows, spans)[::2] if len(found) else UNKNOWN
        )
        return newest


def _empty() -> pd.DataFrame:
    """Return no rows, in the right types."""
    types = {
        "prediction": "uint64",
        "record": "uint64",
        "time": MICROSECONDS,
        "version": "int16",
        "probability": "float64",
        "predicted": "bool",
        "outcome": "int8",
        "lag_days": "float32",
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
