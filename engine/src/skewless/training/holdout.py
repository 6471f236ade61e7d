"""Holdout + probabilities → what metadata keeps of how good they are.

Intervals, the distance to the baseline, where the probabilities lie, and how good they
are for the records that share a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from skewless.core.contract import Column, Contract
from skewless.core.metrics import log_losses
from skewless.models.predict import Scorer
from skewless.models.quality import (
    FEWEST_OUTCOMES,
    FEWEST_ROWS,
    Estimate,
    Segment,
    auc_of,
    count_scores,
    mean_of,
    share_of,
)
from skewless.models.reference import importances, is_missing
from skewless.training.data import TrainingData
from skewless.training.intervals import measured

IMPORTANCE_ROWS: Final = 10_000


def measure_holdout(
    data: TrainingData, probabilities: Mapping[str, np.ndarray], contract: Contract
) -> dict[str, Any]:
    """Measure a model on the records held out, as fields of `Metadata`.

    Parameters
    ----------
    data
        The table.
    probabilities
        Of `model` and `baseline`, for its n records held out, each (n,).
    contract
        The columns whose values are segments.
    """
    model = probabilities["model"]
    outcomes = data.target[data.is_held_out]
    records = {
        column.name: data.holdout[column.name].to_numpy() for column in contract.columns
    }
    differences = log_losses(model, outcomes) - log_losses(
        probabilities["baseline"], outcomes
    )
    intervals = measured(model, outcomes)
    return {
        "intervals": {
            name: Estimate(**each._asdict()) for name, each in intervals.items()
        },
        "behind_baseline": mean_of(differences),
        "scores": count_scores(model, outcomes),
        "segments": measure_segments(
            contract.columns, records, probabilities=model, outcomes=outcomes
        ),
    }


def column_importances(
    data: TrainingData, contract: Contract, score: Scorer
) -> dict[str, float]:
    """Measure what each column of a record is worth to a model, by shuffling it.

    Parameters
    ----------
    data
        The table; rows held out are shuffled, `IMPORTANCE_ROWS` at most.
    contract
        Its columns.
    score
        The model: float32 features (n, k) → probabilities (n,).

    Returns
    -------
    dict of str to float
        Nats of log loss per record that are lost; see `importances`.
    """
    some = np.flatnonzero(data.is_held_out)[:IMPORTANCE_ROWS]
    records = {
        column.name: data.table[column.name].to_numpy()[some]
        for column in contract.columns
    }

    def loss(shuffled: Mapping[str, np.ndarray], outcomes: np.ndarray) -> float:
        probabilities = score(data.features.matrix(shuffled))
        return float(log_losses(probabilities, outcomes).mean())

    return importances(records, data.target[some], loss)


def measure_segments(
    columns: Sequence[Column],
    records: Mapping[str, np.ndarray],
    *,
    probabilities: np.ndarray,
    outcomes: np.ndarray,
) -> tuple[Segment, ...]:
    """Measure the records of each value of a choice, and those without a value.

    A column's segments have all records between them. A number or date that is never
    missing has no segments.

    Parameters
    ----------
    columns
        Of the contract.
    records
        Held out, by column, each (n,).
    probabilities, outcomes
        Of those records, each (n,).
    """
    found = []
    for column in columns:
        for named, inside in _parts(column, records[column.name]):
            segment = _measure(
                {"column": column.name, **named},
                probabilities[inside],
                outcomes[inside],
            )
            found.append(segment)
    return tuple(found)


def _parts(
    column: Column, values: np.ndarray
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield what names each segment of a column, and which records are in it."""
    missing = is_missing(values)
    for value, key in _choices(column).items():
        yield {"kind": "value", "value": value}, values == key
    if column.nullable and not _choices(column):
        yield {"kind": "present"}, ~missing
    if column.nullable:
        yield {"kind": "missing"}, missing


def _choices(column: Column) -> dict[str, Any]:
    """Return the values that are segments, as they are named and as a table has them.

    Empty for a number or date.
    """
    if column.kind == "boolean":
        return {"false": 0, "true": 1}
    return {value: value for value in column.categories}


def _measure(
    named: dict[str, Any], probabilities: np.ndarray, outcomes: np.ndarray
) -> Segment:
    rows = len(outcomes)
    events = int(outcomes.sum())
    state = _state(rows, events)
    counted = {"rows": rows, "events": events, "state": state}
    if state != "measured":
        return Segment(**named, **counted)
    return Segment(
        **named,
        **counted,
        predicted_rate=float(probabilities.mean()),
        event_rate=share_of(events, rows),
        log_loss=mean_of(log_losses(probabilities, outcomes)),
        roc_auc=auc_of(probabilities, outcomes),
    )


def _state(rows: int, events: int) -> Literal["measured", "too_few", "one_outcome"]:
    if rows < FEWEST_ROWS:
        return "too_few"
    rarer = min(events, rows - events)
    if rarer == 0:
        return "one_outcome"
    return "measured" if rarer >= FEWEST_OUTCOMES else "too_few"
