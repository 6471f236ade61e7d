"""What the drift job found → drift.json → gauges.

The service reads that file, so nothing here needs scipy.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from pydantic import AwareDatetime, BaseModel

from skewless.core.atomic import replace_file
from skewless.core.segment import Segment
from skewless.monitoring.file_gauges import FileGauges

FILE: Final = "drift.json"
State = Literal["broken", "drift", "insufficient_data", "ok"]
STATES: Final[tuple[State, ...]] = get_args(State)
"""The worst first."""
ALARMS: Final[frozenset[State]] = frozenset({"broken", "drift"})


class Finding(BaseModel, frozen=True):
    """What became of one column, of its missing rate, or of the score."""

    name: str
    kind: Literal["column", "missing", "score"]
    state: State
    psi: float
    psi_corrected: float
    """Less what chance alone would make of so few rows."""
    p: float
    """Chance of such a shift where there is none.

    It is adjusted for all that was looked at (Holm 1979).
    """
    rows_needed: int | None
    """Records from which on a PSI at the limit is significant.

    None if the reference is too small for any number of them.
    """
    impact: float | None
    """psi_corrected times the column's importance, nats; None for the score."""
    mean_change: float | None = None
    """Of the mean probability, by this column alone; None if it was not measured."""
    tier_change: float | None = None
    """Share of records that this column alone puts into another tier; None likewise."""

    @property
    def column(self) -> str:
        """Name the column that it is about, or the score."""
        return (
            self.name.removesuffix(" missing") if self.kind == "missing" else self.name
        )


class SegmentFindings(Segment, frozen=True):
    """What became of the records that share a value."""

    rows: int
    findings: tuple[Finding, ...]
    """The worst first; their p is adjusted for all segments that were looked at."""

    @property
    def state(self) -> State:
        """Say how the worst of it stands."""
        return self.findings[0].state


class Rows(BaseModel, frozen=True):
    """How much a window holds."""

    rows: int
    """Distinct records; a row without an id counts as one."""
    rows_without_id: int
    rows_logged: int
    rows_unreadable: int


class Figures(Rows, frozen=True):
    """What the job found, the worst first."""

    version: str
    since: AwareDatetime
    until: AwareDatetime
    checked_at: AwareDatetime
    hidden: tuple[str, ...]
    """Columns that monitoring.privacy hides, so that nobody judges them."""
    left_out: dict[str, int] = {}
    """Column → records that it was hidden of, while others are judged.

    monitoring.privacy was changed inside the window.
    """
    findings: tuple[Finding, ...]
    segments: tuple[SegmentFindings, ...] = ()
    """Of the columns that were asked for, the worst first."""

    @property
    def is_alarm(self) -> bool:
        """Tell whether anything drifts or is broken, on the whole or in a segment."""
        return self.worst in ALARMS

    @property
    def worst(self) -> State:
        """Say how the worst alarm stands; without one, how the whole does.

        A segment with too few records to tell says nothing about the whole.
        """
        states = [self.findings[0].state, *(each.state for each in self.segments)]
        alarmed = [state for state in states if state in ALARMS]
        return min(alarmed, key=STATES.index, default=states[0])

    @property
    def own_alarms(self) -> list[tuple[SegmentFindings, Finding]]:
        """List what drifts or is broken in a segment, and not on the whole."""
        known = {each.column for each in self.findings if each.state in ALARMS}
        return [
            (segment, finding)
            for segment in self.segments
            for finding in segment.findings
            if finding.state in ALARMS and finding.column not in known
        ]

    def write(self, folder: Path) -> None:
        """Put the figures where the service reads them."""
        # As who logs there makes it.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(folder / FILE, self.model_dump_json(indent=2).encode() + b"\n")


def drift_gauges(folder: Path) -> FileGauges[Figures]:
    """Show the last figures as metrics.

    Parameters
    ----------
    folder
        `monitoring.prediction_log`.
    """
    return FileGauges(folder / FILE, Figures.model_validate_json, _gauges)


def _gauges(figures: Figures) -> Iterator[Metric]:
    version, labels = figures.version, ["version", "column"]
    psi = GaugeMetricFamily(
        "drift_psi", "Population stability index against training", labels=labels
    )
    states = GaugeMetricFamily(
        "drift_state", "1 for the present state", labels=[*labels, "state"]
    )
    for finding in figures.findings:
        psi.add_metric([version, finding.name], finding.psi)
        for state in STATES:
            states.add_metric(
                [version, finding.name, state], float(state == finding.state)
            )
    rows = GaugeMetricFamily(
        "drift_rows", "Records that were compared", labels=labels[:1]
    )
    rows.add_metric([version], figures.rows)
    checked = GaugeMetricFamily(
        "drift_checked_timestamp_seconds", "When that was done", labels=labels[:1]
    )
    checked.add_metric([version], figures.checked_at.timestamp())
    segments = GaugeMetricFamily(
        "drift_segment_alarm",
        "1 for what drifts or is broken in a segment, and not on the whole",
        labels=["version", "segment", "column"],
    )
    for segment, finding in figures.own_alarms:
        segments.add_metric([version, segment.name, finding.name], 1.0)
    yield from (psi, states, segments, rows, checked)
