"""What was found → sentences for whoever answers for the product.

Names in them are from outside, and whoever shows them escapes them.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from skewless.core.escaping import printable
from skewless.core.nouns import Noun
from skewless.models.reference import Distribution
from skewless.monitoring.drift_figures import ALARMS, Finding, State
from skewless.monitoring.drift_job import Compared, Found
from skewless.monitoring.performance_figures import State as WeekState

DOINGS: Final[dict[State, str]] = {
    "broken": (
        "ask who sends the broken columns what changed, and have it mended; "
        "until then the model answers without them"
    ),
    "drift": (
        "look where the first of these columns come from, and what changed there; "
        "if the change will stay, train on newer rows"
    ),
    "insufficient_data": (
        "this is too little to rule drift out: look again later, "
        "or further back with an earlier --since"
    ),
    "ok": "nothing",
}
ADVICE: Final[dict[WeekState, str]] = {
    "concept_drift": (
        "outcomes contradict the predictions: the same values lead to other outcomes "
        "than in training. Check how outcomes are recorded, "
        "then train on newer outcomes"
    ),
    "one_sided": (
        "all outcomes of a week are the same: record the others, too. "
        "An answer without an outcome does not count as 0"
    ),
    "ok": "outcomes are as predicted",
    "waiting": (
        "some outcomes are still due, so nothing is judged yet; "
        "`expected` comes from the predictions alone"
    ),
    "too_few": "too few outcomes are known to judge",
}
"""What the states of all weeks come to, the most urgent first."""
STATE_WORDS: Final[dict[State | WeekState, str]] = {
    "broken": "broken",
    "drift": "drift",
    "insufficient_data": "too few to tell",
    "concept_drift": "concept drift",
    "one_sided": "all the same",
    "ok": "ok",
    "waiting": "waiting",
    "too_few": "too few",
}
"""The states, as a badge says them."""
BROKEN: Final = "no value arrives that the model knows from training"
SMALL: Final = 0.1  # a share below this is told with two digits


class Change(NamedTuple):
    """What became of a column or of the score: the share that changed most."""

    column: str
    said: str
    finding: Finding
    """The worst of the column."""
    mean_change: float | None
    """Of the mean probability by this column alone; None if not measured."""
    tier_change: float | None
    """Share of records that it alone puts into another tier; None likewise."""


def changes(found: Found, record: Noun) -> list[Change]:
    """Say what drifted or is broken, by impact like the findings; each column once."""
    findings = {each.name: each for each in found.figures.findings}
    said = dict[str, Change]()
    for each in alarms(found.figures.findings):
        effect = findings.get(each.column, each)
        said.setdefault(
            each.column,
            Change(
                column=each.column,
                said=describe(each, found.whole, record),
                finding=each,
                mean_change=effect.mean_change,
                tier_change=effect.tier_change,
            ),
        )
    return list(said.values())


def alarms(findings: Sequence[Finding]) -> list[Finding]:
    """Keep what drifts or is broken."""
    return [each for each in findings if each.state in ALARMS]


def describe(finding: Finding, compared: Compared, record: Noun) -> str:
    """Say which share of records changed most, now and in training."""
    if finding.state == "broken" and finding.kind != "score":
        return BROKEN
    name = finding.column
    trained = (
        compared.reference.score
        if finding.kind == "score"
        else compared.reference.columns[name]
    )
    parts = list(_parts(trained, np.array(trained.counts), compared.counts[name]))
    if finding.kind == "missing":
        parts = parts[-1:]
    phrase, was, now = max(parts, key=_difference)
    return (
        f"{percent(now)} of {record.many} {phrase}; in training it was {percent(was)}"
    )


def percent(share: float) -> str:
    """Write a share for the eye; a small one keeps two digits.

    >>> [percent(share) for share in (0, 0.00432, 0.0567, 0.345, 1)]
    ['0%', '0.43%', '5.7%', '34%', '100%']
    """
    if 0 < share < SMALL:
        return f"{float(f'{100 * share:.2g}'):g}%"
    return f"{share:.0%}"


def day(moment: date) -> str:
    """Write a day.

    >>> day(date(2026, 11, 3))
    '3 November 2026'
    """
    return f"{moment.day} {moment:%B} {moment.year}"


def about(moment: datetime, precision: timedelta) -> str:
    """Write a moment in UTC, as exactly as it is known."""
    if precision >= timedelta(days=1):
        return day(moment)
    return f"{day(moment)} {moment:%H:%M} UTC"


def listed(names: Sequence[str], most: int = 3) -> str:
    """List names in a sentence; of many, only the first.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    >>> listed(["a", "b"])
    'a and b'
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def bin_names(trained: Distribution) -> list[str]:
    """Name the bins of a column, in their order."""
    if not trained.edges:
        return [
            *map(_plain, trained.values),
            "a rarer value",
            "a new value",
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
    phrases = [f"have the value {_plain(value)}" for value in trained.values]
    phrases += ["have one of the rarer values", "have a value new since training"]
    if trained.edges:
        phrases = [f"are above {_plain(edge)}" for edge in trained.edges]
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
