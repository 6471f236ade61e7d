"""Windows of live rows without drift, and with some, as counts.

The drift rule is calibrated with them.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fields import as_records
from own import CONTRACT, ID
from skewless.models.reference import Reference, freeze
from skewless.monitoring.drift import SCORE
from skewless.tables.simulate import simulate, true_probability

POOL = 100_000
Values = dict[str, np.ndarray]


class Population(NamedTuple):
    """Where windows are drawn from: the bin of each row, by column and score."""

    reference: Reference
    places: Values

    def windows(self, rows: int, times: int = 1, seed: int = 1) -> Values:
        """Draw whole rows, with what their columns have to do with each other.

        Returns counts, each (times, bins).
        """
        random = np.random.default_rng([seed, rows])
        drawn = random.integers(0, len(next(iter(self.places.values()))), (times, rows))
        return {
            name: _counts(places[drawn], _bins(self.reference, name))
            for name, places in self.places.items()
        }


def customers(rows: int, seed: int) -> Values:
    """Make up rows of this contract, with a score; bounds of the fields apply."""
    made = simulate(rows, seed, CONTRACT)
    values = {column.name: made[column.name] for column in CONTRACT.columns}
    return values | {SCORE: true_probability(made, CONTRACT)}


def freeze_all(values: Values) -> Reference:
    """Freeze rows as training does."""
    frozen = {name: freeze(each, importance=0.1) for name, each in values.items()}
    return Reference(score=frozen.pop(SCORE), columns=frozen)


def population(reference: Reference, values: Values) -> Population:
    """Put rows into a reference's bins."""
    known = {**reference.columns, SCORE: reference.score}
    return Population(
        reference, {name: known[name].place(each) for name, each in values.items()}
    )


def _bins(reference: Reference, name: str) -> int:
    return (reference.score if name == SCORE else reference.columns[name]).bins


def _counts(places: np.ndarray, bins: int) -> np.ndarray:
    windows = len(places)
    cells = places + bins * np.arange(windows)[:, np.newaxis]
    return np.bincount(cells.ravel(), minlength=bins * windows).reshape(windows, bins)


def write_log(
    folder: Path,
    version: str,
    values: Values,
    *,
    time: datetime,
    ids: Iterable[Any],
    privacy: Mapping[str, str] | None = None,
) -> None:
    """Write answers as the service logs them, a second apart.

    They hold the columns in `values`, and the score; `privacy` is said in each line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for row, (id_, customer) in enumerate(zip(ids, as_records(values), strict=True)):
        answer = {
            SCORE: customer.pop(SCORE),
            "decision": False,
            "tier": "LOW",
            "model_version": version,
            "prediction_id": uuid.uuid4().hex,
        }
        moment = (time + timedelta(seconds=row)).isoformat()
        entry = {"time": moment} | ({"privacy": privacy} if privacy else {})
        entry |= {"record": {ID: id_, **customer}, "answer": answer}
        lines.append(json.dumps(entry))
    path = folder / f"{time.date()}.host-{uuid.uuid4().hex}.000.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
