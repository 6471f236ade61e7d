"""A report → one page that opens anywhere.

It begins with words for the product's owner; the figures are below.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

from skewless.core.bootstrap import LEVEL
from skewless.core.nouns import ANSWER, WEEK, Noun
from skewless.models.page import render_page
from skewless.monitoring import charts, drift, performance, words
from skewless.monitoring.charts import Mark
from skewless.monitoring.drift_figures import ALARMS, Figures, Finding, SegmentFindings
from skewless.monitoring.performance_figures import WRONG, SegmentFigures
from skewless.monitoring.report import Report, summarise
from skewless.registry.events import Event

MOST_COLUMNS = 5  # that are drawn, beside the score
MOST_ROWS = 100  # of the table of findings
MOST_MOVES: Final = 10  # promotions and rollbacks that are listed and marked
DAY: Final = Noun.of("day")


def render(report: Report) -> str:
    """Render the page, as HTML; the same values give the same text."""
    found, weeks = report.found, report.weeks
    shown = _shown(found.figures)
    moves = list(enumerate(reversed(report.production[:MOST_MOVES]), start=1))
    marks = [Mark(_moment(event), number) for number, event in moves]
    pictures = {"answers": charts.answers_chart(report.answers, marks)}
    if weeks:
        pictures |= {
            "log_loss": charts.weeks_chart(weeks, "log_loss", marks),
            "event_rate": charts.weeks_chart(weeks, "event_rate", marks),
            "coverage": charts.coverage_chart(weeks, marks),
        }
    return render_page(
        "monitoring/report.html.jinja",
        report=report,
        summary=summarise(report),
        columns={column.name: column for column in found.metadata.identity.columns},
        changes=words.changes(found, report.record),
        describe=partial(words.describe, compared=found.whole, record=report.record),
        words=words,
        rules=drift,
        weekly=performance,
        nouns={"answer": ANSWER, "week": WEEK, "day": DAY},
        band_level=LEVEL,
        most_bins=charts.MOST_BINS,
        segments=_segments(report)[:MOST_ROWS],
        shown=shown[:MOST_ROWS],
        left_out=len(shown[MOST_ROWS:]),
        moves=moves[::-1],
        older_moves=len(report.production[MOST_MOVES:]),
        pictures=pictures,
        drawn=_drawn(report, shown),
    )


class SegmentRow(NamedTuple):
    """A segment, as the page lists it."""

    name: str
    drift: SegmentFindings | None
    """None: training had none of it, or nobody asked about it."""
    outcomes: SegmentFigures | None
    """None: none of its answers is old enough."""


def _segments(report: Report) -> list[SegmentRow]:
    """Put together what drifted and what came true, the most urgent first."""
    drifted = {each.name: each for each in report.found.figures.segments}
    came = {each.name: each for each in report.segments}
    rows = [
        SegmentRow(name, drifted.get(name), came.get(name)) for name in drifted | came
    ]
    return sorted(rows, key=_is_calm)


def _is_calm(row: SegmentRow) -> bool:
    is_drifting = row.drift is not None and row.drift.state in ALARMS
    ends_otherwise = row.outcomes is not None and row.outcomes.state in WRONG
    return not (is_drifting or ends_otherwise)


def _shown(figures: Figures) -> list[Finding]:
    """Leave out missing rates that did not move."""
    return [
        each
        for each in figures.findings
        if each.kind != "missing" or each.state in {"broken", "drift"}
    ]


def _drawn(report: Report, shown: list[Finding]) -> list[tuple[Finding, str]]:
    """Draw the score and the worst columns, then and now."""
    found = report.found
    if not found.figures.rows:
        return []
    score = [each for each in shown if each.kind == "score"]
    columns = [each for each in shown if each.kind == "column"][:MOST_COLUMNS]
    trained = found.whole.reference
    known = {**trained.columns, drift.SCORE: trained.score}
    return [
        (
            each,
            charts.bins_chart(
                f"bins-{place}", known[each.name], found.whole.counts[each.name]
            ),
        )
        for place, each in enumerate(score + columns)
    ]


def _moment(event: Event) -> datetime:
    return datetime.fromisoformat(event.time).astimezone(UTC)
