"""Outcomes as they were known at a moment → the label of each prediction.

A label is what was recorded last, before that moment, of those outcomes that belong to
the prediction: all that name it, and those of its id that were observed within the
horizon after it. A mere repetition does not count as recorded again. What is recorded
later changes nothing that is dated earlier.
"""

from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from skewless.monitoring.history import History, read_predictions
from skewless.monitoring.outcome_history import hashes, read_outcomes
from skewless.monitoring.place import Log
from skewless.monitoring.postgres_entries import Window

MICROSECONDS: Final = "datetime64[us]"
ENDS: Final = np.array(["0001-01-01", "9999-12-31"], dtype=MICROSECONDS)
UNKNOWN = -1  # as an outcome
EVERY: Final = Window()


def join_outcomes(
    log: Log,
    id_name: str,
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
    id_name
        The contract's id.
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
    known = read_outcomes(log, before=as_of)
    known = known[~known["repeats"]].reset_index(drop=True)
    of_record = known["of_record"].to_numpy(dtype=bool)
    finders = [_Finder(known[~of_record]), _Finder(known[of_record])]
    outcomes = np.append(known["outcome"].to_numpy("int8"), np.int8(UNKNOWN))
    observed = np.append(_moments(known["observed_at"]), np.datetime64("NaT", "us"))
    codes: dict[str, int] = {}
    parts = [_empty()]
    for chunk in read_predictions(
        log, since=which.since, until=as_of, version=which.version
    ):
        part = _slim(chunk, codes, id_name)
        times = part["time"].to_numpy(MICROSECONDS)
        first, last = np.broadcast_to(ENDS[:, np.newaxis], (2, len(part)))
        by_prediction = finders[0].newest(part["prediction"].to_numpy(), first, last)
        by_record = finders[1].newest(
            part["record"].to_numpy(), times, times + np.timedelta64(horizon)
        )
        newest = np.maximum(by_prediction, by_record)
        part["outcome"] = outcomes[newest]
        lag_days = (observed[newest] - times) / np.timedelta64(1, "D")
        part["lag_days"] = lag_days.astype("float32")
        parts.append(part)
    joined = pd.concat(parts, ignore_index=True)
    parts.clear()  # else there would be three copies while it is sorted
    joined["version"] = pd.Categorical.from_codes(
        joined["version"].to_numpy(), pd.Index(list(codes))
    )
    joined = joined.sort_values(["time", "prediction"], ignore_index=True)
    predictions = joined["prediction"].to_numpy()
    # A file of the log may be there twice.
    again = predictions[1:] == predictions[:-1]
    return (
        joined[np.append([True], ~again)].reset_index(drop=True)
        if again.any()
        else joined
    )


def review(log: Log, id_name: str, recorded_at: datetime) -> dict[str, int]:
    """Count the repetitions, corrections and unknown ids in a batch of outcomes.

    The batch is what was recorded at `recorded_at`.

    Returns
    -------
    dict
        duplicates and corrections (outcomes; see `read_outcomes`), unknown (ids that no
        prediction has).
    """
    known = read_outcomes(log, before=recorded_at + timedelta(microseconds=1))
    new = known[known["recorded_at"] == recorded_at]
    names = ("prediction", "record")
    left = [
        new.loc[new["of_record"] == of_record, "id"].unique()
        for of_record in (False, True)
    ]
    for chunk in read_predictions(log):
        part = _slim(chunk, {}, id_name)
        left = [
            ids[~np.isin(ids, part[name])]
            for ids, name in zip(left, names, strict=True)
        ]
        if not any(map(len, left)):
            break
    said = {
        "duplicates": int(new["repeats"].sum()),
        "corrections": int(new["corrects"].sum()),
    }
    return said | {"unknown": sum(map(len, left))}


class _Finder:
    """Finds, for an id and a span of time, which of its outcomes was recorded last."""

    def __init__(self, known: pd.DataFrame) -> None:
        self._ids, id_codes = np.unique(
            known["id"].to_numpy("uint64"), return_inverse=True
        )
        self._moments, moment_codes = np.unique(
            _moments(known["observed_at"]), return_inverse=True
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


def _slim(chunk: History, codes: dict[str, int], id_name: str) -> pd.DataFrame:
    """Keep of a chunk what performance is made of."""
    answers = chunk.answers
    prediction = hashes(answers["prediction_id"])
    ids = chunk.records.get(id_name, answers["prediction_id"])
    record = np.where(ids.isna(), prediction, hashes(ids))
    version = answers["model_version"].map(
        lambda name: codes.setdefault(name, len(codes))
    )
    return pd.DataFrame(
        {
            "prediction": prediction,
            "record": record,
            "time": _moments(answers["time"]),
            "version": version.to_numpy("int16"),
            "probability": answers["probability"].to_numpy("float64"),
            "predicted": answers["decision"].to_numpy("bool"),
        }
    )


def _empty() -> pd.DataFrame:
    """Return no rows, in the right types."""
    types = {
        "prediction": "uint64",
        "record": "uint64",
        "time": MICROSECONDS,
        "version": "int16",
    }
    types |= {
        "probability": "float64",
        "predicted": "bool",
        "outcome": "int8",
        "lag_days": "float32",
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


def _moments(values: pd.Series) -> np.ndarray:
    found: np.ndarray = values.dt.tz_convert(None).to_numpy(MICROSECONDS)
    return found
