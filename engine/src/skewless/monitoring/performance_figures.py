"""What the performance job found of the latest week → performance.json → gauges.

The service reads that file, so nothing here needs pandas.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from skewless.core.atomic import replace_file
from skewless.core.segment import Segment
from skewless.monitoring.file_gauges import FileGauges

FILE: Final = "performance.json"
WEEKS: Final = 26
"""How many are looked at unless somebody says otherwise: half a year."""
State = Literal["concept_drift", "one_sided", "ok", "waiting", "too_few"]
"""How the outcomes of a week stand.

They contradict the probabilities; all are the same, as if others were never recorded;
they are as expected; some are still due; too few came.
"""
STATES: Final[tuple[State, ...]] = get_args(State)
"""The most urgent first."""
WRONG: Final[frozenset[State]] = frozenset({"concept_drift", "one_sided"})
"""The states of outcomes that are not what they should be."""
JUDGED: Final[frozenset[State]] = frozenset({"concept_drift", "one_sided", "ok"})
"""The states of a week whose outcomes tell something."""


def _iso_week(text: str) -> str:
    """Accept the name of an ISO week, for example 2026-W07."""
    date.fromisoformat(text)
    return text


class Measured(BaseModel, frozen=True):
    """A measure of a week's labelled answers, and what it should have come to."""

    realised: float
    expected: float


class WeekFigures(BaseModel, frozen=True):
    """One week of answers, of all versions."""

    week: Annotated[str, AfterValidator(_iso_week)]
    state: State
    predicted: Annotated[int, Field(gt=0)]
    """Answers."""
    labelled: int
    """Answers whose outcome is known."""
    log_loss: Measured | None
    """Nats per answer; None unless the week is judged, as early outcomes mislead."""
    event_rate: Measured | None
    """Share of answers with the event; None unless the week is judged."""


class SegmentFigures(Segment, frozen=True):
    """Answers about the records that share a value, in weeks that wait for nothing."""

    state: State
    predicted: int
    """Answers."""
    labelled: int
    """Answers whose outcome is known."""
    log_loss: Measured | None
    """Nats per answer; None if no outcome is known."""
    event_rate: Measured | None
    """Share of answers with the event; None likewise."""
    p: float
    """Chance of so large a difference of either where there is none.

    It is adjusted for all segments that were looked at (Holm 1979).
    """


class PerformanceFigures(BaseModel, frozen=True):
    """What the job found."""

    checked_at: AwareDatetime
    week: WeekFigures | None
    """The latest that is judged, else the latest; None if nothing was predicted."""
    segments: tuple[SegmentFigures, ...] = ()
    """Of the columns that were asked for."""

    def write(self, folder: Path) -> None:
        """Put the figures where the service reads them."""
        # As who logs there makes it.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(folder / FILE, self.model_dump_json(indent=2).encode() + b"\n")


def performance_gauges(folder: Path) -> FileGauges[PerformanceFigures]:
    """Show the last figures as metrics.

    Parameters
    ----------
    folder
        `monitoring.prediction_log`.
    """
    return FileGauges(folder / FILE, PerformanceFigures.model_validate_json, _gauges)


def _gauges(figures: PerformanceFigures) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "performance_checked_timestamp_seconds",
        "When outcomes were last compared with predictions",
        figures.checked_at.timestamp(),
    )
    week = figures.week
    if week is None:
        return
    monday = datetime.combine(
        date.fromisoformat(week.week), datetime.min.time(), tzinfo=UTC
    )
    yield GaugeMetricFamily(
        "performance_week_timestamp_seconds",
        "Monday of the latest week that is judged, else of the latest week",
        monday.timestamp(),
    )
    yield GaugeMetricFamily(
        "performance_outcomes_known_ratio",
        "Share of that week's answers whose outcome is known",
        week.labelled / week.predicted,
    )
    states = GaugeMetricFamily(
        "performance_state", "1 for the state of that week", labels=["state"]
    )
    for state in STATES:
        states.add_metric([state], float(state == week.state))
    yield states
    yield from _measured(
        "performance_log_loss", "Nats per answer of that week", week.log_loss
    )
    yield from _measured(
        "performance_event_rate",
        "Share of that week's answers with the event",
        week.event_rate,
    )
    segments = GaugeMetricFamily(
        "performance_segment_alarm",
        "1 for a segment whose outcomes contradict the predictions",
        labels=["segment"],
    )
    for segment in figures.segments:
        if segment.state == "concept_drift":
            segments.add_metric([segment.name], 1.0)
    yield segments


def _measured(name: str, said: str, values: Measured | None) -> Iterator[Metric]:
    if values is None:
        return
    gauge = GaugeMetricFamily(name, said, labels=["kind"])
    gauge.add_metric(["realised"], values.realised)
    gauge.add_metric(["expected"], values.expected)
    yield gauge
