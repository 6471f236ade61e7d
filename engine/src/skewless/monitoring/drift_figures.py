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
from skewless.monitoring.file_gauges import FileGauges

FILE: Final = "drift.json"
State = Literal["broken", "drift", "insufficient_data", "ok"]
STATES: Final[tuple[State, ...]] = get_args(State)
"""The worst first."""


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

    @property
    def is_alarm(self) -> bool:
        """Tell whether anything drifts or is broken."""
        return any(each.state in {"broken", "drift"} for each in self.findings)

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
    yield from (psi, states, rows, checked)
