"""Labelled predictions → how well they came true, by segment.

Records that share a value may end differently than predicted although all together end
as predicted. Where probabilities mean what they say, a segment's outcomes less their
probabilities come to 0 but for chance, and so do its log losses less what was to be
expected of them (as Spiegelhalter 1986 tests the Brier score).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from skewless.core.contract import Column
from skewless.core.metrics import EPSILON
from skewless.core.segment import Segment
from skewless.models.quality import FEWEST_OUTCOMES
from skewless.monitoring.drift import LEVEL, holm
from skewless.monitoring.labels import segment_name
from skewless.monitoring.performance import (
    MIN_DIFFERENCE,
    MIN_RECORDS,
    Week,
    by_week,
)
from skewless.monitoring.performance_figures import (
    STATES,
    Measured,
    SegmentFigures,
    State,
)


class _Compared(NamedTuple):
    """A measure of labelled predictions, what it was expected to be, and chance."""

    measured: Measured
    p: float


class _Labelled(NamedTuple):
    """The predictions of a segment, and what is compared of the labelled."""

    segment: Segment
    predicted: int
    labelled: int
    can_tell: bool
    measures: Sequence[_Compared]
    """Log loss and event rate; nothing without outcomes."""
    is_one_sided: bool


def by_segment(
    joined: pd.DataFrame, by: Sequence[Column], *, weeks: Sequence[Week]
) -> list[SegmentFigures]:
    """Measure the predictions of each segment, in weeks that wait for no outcome.

    All segments are one family: the chance that any is said to contradict its
    predictions without a reason is at most `LEVEL`.

    Parameters
    ----------
    joined
        As `join_outcomes` gives it for the columns of `by`.
    by
        The columns whose values are segments.
    weeks
        As `weekly` gives them for the same predictions.

    Returns
    -------
    list of SegmentFigures
        Segments with predictions, the most urgent first.
    """
    over = [
        rows
        for week, (_, rows) in zip(weeks, by_week(joined), strict=True)
        if week.state != "waiting"
    ]
    found = [
        _compare(segment, rows)
        for column in by
        for segment, rows in _parts(pd.concat(over or [joined[:0]]), column)
    ]
    family = [measure.p for each in found if each.can_tell for measure in each.measures]
    adjusted = iter(holm(np.array(family)).tolist())
    figures = [
        _judge(each, [next(adjusted) for _ in each.measures if each.can_tell])
        for each in found
    ]
    return sorted(figures, key=lambda each: STATES.index(each.state))


def _parts(
    rows: pd.DataFrame, column: Column
) -> Iterator[tuple[Segment, pd.DataFrame]]:
    places = rows[segment_name(column)].to_numpy()
    for place, value in enumerate([*column.choices, None]):
        inside = rows[places == place]
        if len(inside):
            yield Segment(column=column.name, value=value), inside


def _compare(segment: Segment, rows: pd.DataFrame) -> _Labelled:
    known = rows[rows["outcome"] >= 0]
    outcomes = known["outcome"].to_numpy(np.float64)
    chances = known["probability"].to_numpy()
    expected = min(chances.sum(), (1 - chances).sum())
    records = known["record"].to_numpy()
    return _Labelled(
        segment=segment,
        predicted=len(rows),
        labelled=len(known),
        can_tell=len(np.unique(records)) >= MIN_RECORDS and expected >= FEWEST_OUTCOMES,
        measures=_measures(outcomes, chances, records) if len(known) else (),
        is_one_sided=len(np.unique(outcomes)) == 1,
    )


def _measures(
    outcomes: np.ndarray, chances: np.ndarray, records: np.ndarray
) -> tuple[_Compared, _Compared]:
    """Compare the log loss, and the event rate, with what they were expected to be.

    An outcome that comes instead of its absence raises the event rate by 1 and the log
    loss by the logarithm of the odds against it.
    """
    inner = np.clip(chances, EPSILON, 1 - EPSILON)
    against = np.log1p(-inner) - np.log(inner)
    certain = -np.log1p(-inner)
    return (
        _compared(outcomes, chances, records, worth=against, without=certain),
        _compared(
            outcomes, chances, records, worth=np.ones_like(chances), without=0 * chances
        ),
    )


def _compared(
    outcomes: np.ndarray,
    chances: np.ndarray,
    records: np.ndarray,
    *,
    worth: np.ndarray,
    without: np.ndarray,
) -> _Compared:
    """Compare the mean of `without + worth * outcome` with what it was expected to be.

    Predictions of the same record may have the same outcome, so their deviations add up
    as if they always had.
    """
    realised = float(np.mean(without + worth * outcomes))
    expected = float(np.mean(without + worth * chances))
    deviations = np.abs(worth) * np.sqrt(chances * (1 - chances))
    _, unit = np.unique(records, return_inverse=True)
    error = float(np.linalg.norm(np.bincount(unit, deviations))) / len(outcomes)
    apart = abs(realised - expected) / max(error, EPSILON)
    return _Compared(
        Measured(realised=realised, expected=expected), p=float(2 * norm.sf(apart))
    )


def _judge(found: _Labelled, adjusted: Sequence[float]) -> SegmentFigures:
    contradicts = any(
        p < LEVEL and abs(measured.realised - measured.expected) >= MIN_DIFFERENCE
        for (measured, _), p in zip(found.measures, adjusted, strict=False)
    )
    state: State = "ok" if found.can_tell else "too_few"
    if contradicts:
        state = "one_sided" if found.is_one_sided else "concept_drift"
    log_loss, event_rate = (
        (each.measured for each in found.measures) if found.measures else (None, None)
    )
    return SegmentFigures(
        **found.segment.model_dump(),
        state=state,
        predicted=found.predicted,
        labelled=found.labelled,
        log_loss=log_loss,
        event_rate=event_rate,
        p=min(adjusted, default=1.0),
    )
