"""What was found → one page that opens anywhere.

It begins with words for the product's owner; the figures are below.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from skewless.core.bootstrap import LEVEL
from skewless.models.page import render_page
from skewless.monitoring import charts, drift, performance, words
from skewless.monitoring.drift_job import Found
from skewless.monitoring.performance import Week
from skewless.registry.events import Event

MOST_COLUMNS = 5  # that are drawn, beside the score
MOST_ROWS = 100  # of the table of findings


class Report(NamedTuple):
    """All that a page is made of, as it was known when the span ended."""

    found: Found
    weeks: Sequence[Week]
    """Of all versions, the latest last."""
    production: Sequence[Event]
    """What was put there, the latest first."""
    answers: Mapping[date, Counter[str]]
    """Day of the span (UTC) → tier → answers of all versions."""


def render(report: Report) -> str:
    """Render the page, as HTML; the same values give the same text."""
    found, weeks = report.found, report.weeks
    findings = found.figures.findings
    shown = [
        each
        for each in findings
        if each.kind != "missing" or each.state in {"broken", "drift"}
    ]
    score = [each for each in shown if each.kind == "score"]
    drawn = score + [each for each in shown if each.kind == "column"][:MOST_COLUMNS]
    known = {**found.reference.columns, drift.SCORE: found.reference.score}
    return render_page(
        "monitoring/report.html.jinja",
        report=report,
        columns={column.name: column for column in found.metadata.identity.columns},
        verdict=words.verdict(found.figures, weeks),
        changes=words.changes(found),
        modules={"words": words, "drift": drift, "performance": performance},
        band_level=LEVEL,
        most_bins=charts.MOST_BINS,
        shown=shown[:MOST_ROWS],
        left_out=len(shown[MOST_ROWS:]),
        answers=charts.answers_chart(report.answers),
        losses=charts.weeks_chart(weeks, "log_loss") if weeks else "",
        rates=charts.weeks_chart(weeks, "event_rate") if weeks else "",
        coverage=charts.coverage_chart(weeks) if weeks else "",
        drawn=[
            (
                each,
                words.describe(each, found),
                charts.bins_chart(
                    f"bins-{place}", known[each.name], found.counts[each.name]
                ),
            )
            for place, each in enumerate(drawn if found.figures.rows else ())
        ],
    )
