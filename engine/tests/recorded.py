"""Write predictions and outcomes as the service would have, at any time."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from own import ID
from skewless.monitoring.drift_figures import Figures, Finding, State
from skewless.monitoring.outcomes import OUTCOMES
from skewless.monitoring.performance_figures import (
    Measured,
    PerformanceFigures,
    WeekFigures,
)
from skewless.monitoring.performance_figures import State as WeekState

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
VERSION = "0.1.0-0123abcd"


def at(days: float) -> datetime:
    """Return a moment so many days after the start."""
    return START + timedelta(days=days)


def prediction_id(number: int) -> str:
    return f"f{number:031x}"


def prediction(
    number: int, days: float, record: str | None = None, probability: float = 0.5
) -> dict:
    """Make a line of the prediction log."""
    answer = {
        "probability": probability,
        "decision": probability >= 0.5,
        "tier": "LOW",
        "model_version": VERSION,
        "trained_at": at(0).isoformat(),
        "prediction_id": prediction_id(number),
    }
    shared = {
        "time": at(days).isoformat(),
        "request_id": "r",
        "source": "/predict",
        "threshold": 0.5,
    }
    return shared | {"latency_ms": 1.0, "record": {ID: record}, "answer": answer}


def outcome(
    days: float, value: int, *, observed: float | None = None, **name: Any
) -> dict:
    """Make a line of the outcomes: `prediction_id=` or `record=`."""
    seen = None if observed is None else at(observed).isoformat()
    return {
        "recorded_at": at(days).isoformat(),
        **name,
        "outcome": value,
        "observed_at": seen,
    }


def write(
    folder: Path,
    lines: Iterable[dict],
    *,
    moment: str = "time",
    process: str = "host-1",
) -> Path:
    """Append lines to the files of their days."""
    folder.mkdir(parents=True, exist_ok=True)
    for line in lines:
        with (folder / f"{line[moment][:10]}.{process}.000.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    return folder


def write_outcomes(folder: Path, lines: Iterable[dict], **process: str) -> None:
    write(folder / OUTCOMES, lines, moment="recorded_at", **process)


def weeks_of(
    folder: Path,
    probabilities: Sequence[np.ndarray],
    outcomes: Sequence[np.ndarray],
    *,
    lag_days: float,
    start: int = 0,
) -> Path:
    """Write a week of predictions per array, and their outcomes.

    An outcome of -1 is none; the others come so long after the answer. The first week
    begins so many days after `START`.
    """
    answered, said = [], []
    for week, (chances, results) in enumerate(
        zip(probabilities, outcomes, strict=True)
    ):
        for row, (chance, result) in enumerate(
            zip(chances.tolist(), results.tolist(), strict=True)
        ):
            number = 1_000_000 * week + row
            days = start + 7 * week + 7 * row / len(chances)
            answered.append(prediction(number, days, f"c-{row}", chance))
            if result >= 0:
                said.append(
                    outcome(
                        days + lag_days, result, prediction_id=prediction_id(number)
                    )
                )
    write_outcomes(folder, said)
    return write(folder, answered)


def figures(states: dict[str, State], checked_at: datetime = START) -> Figures:
    """Make what a drift job would have found: column → its state."""
    measured = {
        "psi": 0.3,
        "psi_corrected": 0.3,
        "p": 0.001,
        "rows_needed": 100,
        "impact": 0.1,
    }
    findings = [
        Finding(name=name, kind="column", state=state, **measured)
        for name, state in states.items()
    ]
    rows = dict.fromkeys(
        ("rows", "rows_without_id", "rows_logged", "rows_unreadable"), 500
    )
    span = {"since": START, "until": checked_at, "checked_at": checked_at}
    return Figures(version=VERSION, hidden=(), findings=findings, **span, **rows)


def week_figures(state: WeekState, checked_at: datetime = START) -> PerformanceFigures:
    """Make what a performance job would have found of the latest week."""
    week = WeekFigures(
        week="2026-W02",
        state=state,
        predicted=400,
        labelled=300,
        log_loss=Measured(realised=0.7, expected=0.5),
        event_rate=Measured(realised=0.6, expected=0.4),
    )
    return PerformanceFigures(checked_at=checked_at, week=week)
