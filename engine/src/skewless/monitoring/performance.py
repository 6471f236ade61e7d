"""Labelled predictions → how well they came true, by week.

It also tells how well they should have, and whether the two agree. Probabilities that
mean what they say tell what to expect of the outcomes: NannyML's idea of
confidence-based performance estimation (CBPE). Where they come to something else,
records of the same kind end differently than in training: concept drift, which no
statistic of what was asked can see.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from skewless.core.bootstrap import draw_sums, percentile_interval
from skewless.core.metrics import EPSILON
from skewless.monitoring.performance_figures import (
    JUDGED,
    Measured,
    PerformanceFigures,
    SegmentFigures,
    State,
    WeekFigures,
)

RESAMPLES = 500
# Drawn in a resample; more records are drawn in groups, by their hashes.
MOST_UNITS = 2_000
MIN_RECORDS = 100  # with an outcome, for an alarm
# For an alarm; nats or event rate. A good model was off by 0.009 without any drift.
MIN_DIFFERENCE = 0.02
MONDAY = 4  # of 1970, counted from its first day


@dataclass(frozen=True, slots=True)
class Band:
    """A value, and where it would lie for other records.

    The limits are percentiles of a bootstrap.
    """

    value: float
    low: float
    high: float

    def contradicts(self, other: "Band") -> bool:
        """Tell whether the bands lie apart and the values differ enough to matter."""
        apart = self.low > other.high or other.low > self.high
        return apart and abs(self.value - other.value) >= MIN_DIFFERENCE


@dataclass(frozen=True, slots=True)
class Measures:
    """What predictions were worth, or are expected to be."""

    log_loss: Band
    """Nats per prediction, 0 upwards; lower is better."""
    brier: Band
    """Mean squared error of the probability, 0 to 1; lower is better."""
    roc_auc: Band | None
    """0.5 is chance, 1 perfect; None if all outcomes are the same."""
    event_rate: Band
    """Share with the event; expected: the mean probability."""
    confusion: tuple[float, float, float, float]
    """Predictions: true negatives, false positives, false negatives, true positives."""


@dataclass(frozen=True, slots=True)
class Week:
    """The predictions of an ISO week, in UTC."""

    week: str
    predicted: int
    labelled: int
    records: int
    """Distinct, of the labelled."""
    lag_days: float | None
    """Median from an answer until its outcome was observed."""
    estimated: Measures
    """Of all, from the probabilities alone."""
    expected: Measures | None
    """The same of the labelled: what `realised` should come to."""
    realised: Measures | None
    state: State

    @property
    def coverage(self) -> float:
        """Share that is labelled: has an outcome."""
        return self.labelled / self.predicted


def weekly(joined: pd.DataFrame, *, as_of: datetime, horizon: timedelta) -> list[Week]:
    """Measure each week with predictions.

    Parameters
    ----------
    joined
        As `join_outcomes` gives it, sorted by time.
    as_of, horizon
        As it was joined. A week waits until for each prediction the horizon is over or
        the outcome known; else those that are known early would speak for all.
    """
    due = np.datetime64((as_of - horizon).replace(tzinfo=None), "us")
    return [_week(name, rows, due) for name, rows in by_week(joined)]


def latest_figures(
    weeks: Sequence[Week],
    segments: Sequence[SegmentFigures] = (),
    *,
    checked_at: datetime,
) -> PerformanceFigures:
    """Choose what the service shows: the latest week that is judged, else the latest.

    Parameters
    ----------
    weeks
        Of all versions, the latest last.
    segments
        Of those weeks.
    checked_at
        When they were measured, with an offset.
    """
    judged = [week for week in weeks if week.state in JUDGED]
    latest = (judged or weeks)[-1:]
    return PerformanceFigures(
        checked_at=checked_at,
        week=_week_figures(latest[0]) if latest else None,
        segments=tuple(segments),
    )


def measure(rows: pd.DataFrame, chances: np.ndarray) -> Measures:
    """Measure predictions against outcomes, or against their own probabilities.

    Parameters
    ----------
    rows
        n predictions with record, probability and predicted; see `join_outcomes`.
    chances
        Of the event, in [0, 1], shape (n,): the outcomes, or the predicted
        probabilities themselves, which gives the expected measures, E[log loss] = mean
        of -p ln p - (1 - p) ln(1 - p) and so on.
    """
    probabilities, absent = rows["probability"].to_numpy(), 1 - chances
    logs = [
        np.log(np.clip(likely, EPSILON, 1))
        for likely in (probabilities, 1 - probabilities)
    ]
    log_losses = 0.0 - chances * logs[0] - absent * logs[1]
    squares = chances * (1 - probabilities) ** 2 + absent * probabilities**2
    over, under = _placements(probabilities, chances)
    columns = np.stack(
        [
            np.ones(len(rows)),
            log_losses,
            squares,
            chances,
            chances * over,
            absent * under,
        ]
    )
    total, drawn = _resample(columns, rows["record"].to_numpy())
    log_loss, brier, event_rate = (
        _band(total[k] / total[0], drawn[k] / drawn[0]) for k in (1, 2, 3)
    )
    return Measures(
        log_loss=log_loss,
        brier=brier,
        roc_auc=_area(total, drawn) if 0 < total[3] < total[0] else None,
        event_rate=event_rate,
        confusion=_confusion(rows["predicted"].to_numpy(), chances),
    )


def by_week(joined: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the ISO weeks (UTC) that have predictions, and those."""
    days = joined["time"].to_numpy("datetime64[D]").astype(np.int64)
    numbers, starts = np.unique((days - MONDAY) // 7, return_index=True)
    for number, start, end in zip(
        numbers, starts, [*starts, len(joined)][1:], strict=True
    ):
        monday = date(1970, 1, 1) + timedelta(days=int(number) * 7 + MONDAY)
        yield f"{monday:%G-W%V}", joined.iloc[start:end]


def _week(name: str, rows: pd.DataFrame, due: np.datetime64) -> Week:
    known = rows[rows["outcome"] >= 0]
    realised, expected = (
        measure(known, known[name].to_numpy("float64")) if len(known) else None
        for name in ("outcome", "probability")
    )
    waits = bool(((rows["outcome"] < 0) & (rows["time"] > due)).any())
    records = known["record"].nunique()
    return Week(
        week=name,
        predicted=len(rows),
        labelled=len(known),
        records=records,
        lag_days=float(known["lag_days"].median()) if len(known) else None,
        estimated=measure(rows, rows["probability"].to_numpy()),
        expected=expected,
        realised=realised,
        state="waiting" if waits else _judge(realised, expected, records),
    )


def _week_figures(week: Week) -> WeekFigures:
    log_loss = event_rate = None
    if week.state in JUDGED and week.realised and week.expected:
        log_loss = _measured(week.realised.log_loss, week.expected.log_loss)
        event_rate = _measured(week.realised.event_rate, week.expected.event_rate)
    return WeekFigures(
        week=week.week,
        state=week.state,
        predicted=week.predicted,
        labelled=week.labelled,
        log_loss=log_loss,
        event_rate=event_rate,
    )


def _measured(realised: Band, expected: Band) -> Measured:
    return Measured(realised=realised.value, expected=expected.value)


def _judge(realised: Measures | None, expected: Measures | None, records: int) -> State:
    """Compare log loss, and the event rate as well.

    Where p is 0.5, the log loss is the same whatever happens.
    """
    if realised is None or expected is None or records < MIN_RECORDS:
        return "too_few"
    if realised.roc_auc is None:
        return "one_sided"
    pairs = (
        (realised.log_loss, expected.log_loss),
        (realised.event_rate, expected.event_rate),
    )
    return (
        "concept_drift" if any(real.contradicts(band) for real, band in pairs) else "ok"
    )


def _placements(
    probabilities: np.ndarray, chances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tell where each row lies among those without the event and those with it.

    Return above which share of those without the event it is, and below which share of
    those with it.
    """
    values, place = np.unique(probabilities, return_inverse=True)
    without, events = (
        np.bincount(place, weights, len(values)) for weights in (1 - chances, chances)
    )
    over = (np.cumsum(without) - without / 2) / max(without.sum(), EPSILON)
    under = 1 - (np.cumsum(events) - events / 2) / max(events.sum(), EPSILON)
    return over[place], under[place]


def _confusion(
    decisions: np.ndarray, chances: np.ndarray
) -> tuple[float, float, float, float]:
    missed, found = float(chances[~decisions].sum()), float(chances[decisions].sum())
    return (
        float(np.sum(~decisions)) - missed,
        float(np.sum(decisions)) - found,
        missed,
        found,
    )


def _resample(
    columns: np.ndarray, records: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw records again, each with all its rows.

    Return the columns' sums, (k,), and those of the draws, (k, 500).
    """
    names, unit = np.unique(records, return_inverse=True)
    if len(names) > MOST_UNITS:
        names, unit = np.unique(records % np.uint64(MOST_UNITS), return_inverse=True)
    sums = np.stack([np.bincount(unit, column, len(names)) for column in columns])
    return sums.sum(axis=1), draw_sums(sums, RESAMPLES)


def _area(total: np.ndarray, drawn: np.ndarray) -> Band:
    """Turn sums of placements into the area under the curve.

    For draws this is a first-order approximation (DeLong 1988).
    """
    value = total[4] / total[3]
    # A draw without any event says nothing.
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = drawn[4] / drawn[3] + drawn[5] / (drawn[0] - drawn[3]) - value
    return _band(value, np.clip(draws[np.isfinite(draws)], 0, 1))


def _band(value: float, draws: np.ndarray) -> Band:
    return Band(float(value), *percentile_interval(draws))
