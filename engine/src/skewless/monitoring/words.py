"""What was found → what it means and what to do.

It is said in words for whoever answers for the product.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import numpy as np

from skewless.core.escaping import printable
from skewless.models.reference import Distribution
from skewless.monitoring.drift_figures import Figures, Finding
from skewless.monitoring.drift_job import Found
from skewless.monitoring.performance import Week

Verdict = Literal["healthy", "watch", "act", "not enough data"]

DOINGS: Final = {
    "broken": "mend what sends the broken column first: the model answers without it",
    "drift": (
        "look at what changed where the first of these come from; "
        "if it will stay, train on newer rows"
    ),
    "insufficient_data": (
        "too few records to rule drift out; ask again later, or with an earlier --since"
    ),
    "ok": "nothing",
}
ADVICE: Final = {
    "concept_drift": (
        "outcomes contradict the probabilities: "
        "the same records end differently than in training; train on newer outcomes"
    ),
    "one_sided": (
        "all outcomes of a week are the same: "
        "record the others too, as silence is not 0"
    ),
    "ok": "outcomes are what the probabilities let expect",
    "waiting": (
        "outcomes are not all due yet; `expected` is what the probabilities let expect"
    ),
    "too_few": "outcomes of too few records to judge",
}
"""What the states of all weeks come to, the most urgent first."""
BROKEN: Final = "no longer comes with a value that training knew"


class Change(NamedTuple):
    """What became of a column or of the score: the share that changed most."""

    column: str
    said: str
    effect: float | None
    """Change of the mean probability by this column alone; None if not measured."""


def verdict(figures: Figures, weeks: Sequence[Week]) -> Verdict:
    """Sum up what was found.

    Act where answers moved or are wrong; watch where only what they are made of did.
    """
    judged = [
        week.state
        for week in weeks
        if week.state in {"ok", "concept_drift", "one_sided"}
    ]
    states = {each.state for each in figures.findings}
    scores = {each.state for each in figures.findings if each.kind == "score"}
    if "broken" in states or "drift" in scores or judged[-1:] == ["concept_drift"]:
        return "act"
    if figures.is_alarm or not {"concept_drift", "one_sided"}.isdisjoint(judged):
        return "watch"
    return "not enough data" if "insufficient_data" in states else "healthy"


def changes(found: Found) -> list[Change]:
    """Say what drifted or is broken, by impact like the findings; each column once."""
    alarms = [
        each for each in found.figures.findings if each.state in {"drift", "broken"}
    ]
    effects = {each.name: each.mean_change for each in found.figures.findings}
    first = {each.column: each for each in reversed(alarms)}  # the worst of each column
    return [
        Change(each.column, describe(each, found), effects[each.column])
        for each in alarms
        if first[each.column] is each
    ]


def describe(finding: Finding, found: Found) -> str:
    """Say which share of records changed most, and how."""
    if finding.state == "broken":
        return BROKEN
    name = finding.column
    trained = (
        found.reference.score
        if finding.kind == "score"
        else found.reference.columns[name]
    )
    parts = list(_parts(trained, np.array(trained.counts), found.counts[name]))
    phrase, was, now = max(
        parts[-1:] if finding.kind == "missing" else parts, key=_difference
    )
    more = "more" if now > was else "fewer"
    return f"{more} records than before {phrase}: {now:.0%} instead of {was:.0%}"


def bin_names(trained: Distribution) -> list[str]:
    """Name the bins of a column, in their order."""
    if not trained.edges:
        return [
            *map(_plain, trained.values),
            "a rarer value",
            "a value never seen",
            "missing",
        ]
    edges = [_plain(edge) for edge in trained.edges]
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}", *between, f"above {edges[-1]}", "missing"]


def _parts(
    trained: Distribution, *counts: np.ndarray
) -> Iterator[tuple[str, float, float]]:
    """Name shares, then and now; the last is what is missing.

    Of a number they are the shares above each edge.
    """
    shares = [each / max(each.sum(), 1) for each in counts]
    phrases = ["have " + name for name in bin_names(trained)[:-1]]
    if trained.edges:
        phrases = [f"lie above {_plain(edge)}" for edge in trained.edges]
        shares = [np.append(each[-2:0:-1].cumsum()[::-1], each[-1]) for each in shares]
    yield from zip(
        [*phrases, "have no value"], *(each.tolist() for each in shares), strict=True
    )


def _difference(part: tuple[str, float, float]) -> float:
    return abs(part[2] - part[1])


def _plain(value: float | str) -> str:
    """Write a number for the eye.

    >>> [_plain(value) for value in (12345.678, 0.12345, 5.0, "a")]
    ['12,346', '0.123', '5', 'a']
    """
    if isinstance(value, str):
        return printable(value)
    if abs(value) >= 100:  # noqa: PLR2004 - has three digits
        return f"{value:,.0f}"
    return f"{value:.3g}"
