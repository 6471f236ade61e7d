"""Counts in frozen bins → what drifted.

Tests measure the false alarms and the power of the rule. A shift is an alarm if it is
large and no chance: PSI above 0.2, and p below 0.01 after Holm over everything that is
looked at. With no shift, PSI / (1/n + 1/m) is chi-squared with one degree of freedom
less than there are bins (Yurdakul 2018), n and m being the rows of training and of the
window.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.stats import chi2

from skewless.models.reference import SMOOTHING, Reference, psi
from skewless.monitoring.drift_figures import STATES, Finding, State

LARGE: Final = 0.2  # PSI
LEVEL: Final = 0.01  # chance of any alarm in a window without drift, at most
SCORE: Final = "probability"


class Shift(NamedTuple):
    """How far windows lie from training; each (...)."""

    psi: np.ndarray
    corrected: np.ndarray
    """Less its expectation where there is no shift; around 0 then."""
    p: np.ndarray
    """Chance of so large a PSI where there is no shift."""


class Member(NamedTuple):
    """One thing that is looked at.

    Its counts are those of training, (bins,), and of windows, (..., bins).
    """

    name: str
    kind: Literal["column", "missing", "score"]
    expected: np.ndarray
    actual: np.ndarray
    known_bins: int
    importance: float | None


def measure(expected: np.ndarray, actual: np.ndarray) -> Shift:
    """Measure windows against training.

    Parameters
    ----------
    expected, actual
        Counts per bin, (..., bins).
    """
    rows = actual.sum(axis=-1)
    noise = 1 / expected.sum(axis=-1) + 1 / np.maximum(rows, 1)
    freedom = np.maximum((expected + actual > 0).sum(axis=-1) - 1, 0)
    found = np.where(rows > 0, psi(expected, actual), 0.0)
    p = np.where(freedom > 0, chi2.sf(found / noise, np.maximum(freedom, 1)), 1.0)
    return Shift(found, found - freedom * noise, p)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p values along the last axis for the size of their family (Holm 1979).

    However many there are, the chance that any is below a level by chance is at most
    that level.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, axis=-1)
    raised = np.take_along_axis(p, order, axis=-1) * np.arange(p.shape[-1], 0, -1)
    adjusted = np.empty_like(raised)
    np.put_along_axis(
        adjusted, order, np.minimum(np.maximum.accumulate(raised, axis=-1), 1), axis=-1
    )
    return adjusted


def is_drift(found: np.ndarray, adjusted: np.ndarray) -> np.ndarray:
    """Apply the rule to PSI and adjusted p, both (...)."""
    return np.asarray((found > LARGE) & (adjusted < LEVEL))


def rows_needed(expected: int, bins: int, family: int) -> int | None:
    """Return how many rows it takes for a PSI of 0.2 to be more than chance.

    `family` is how many things are looked at. None: no number of rows is enough.
    """
    least_noise = LARGE / chi2.isf(LEVEL / family, max(bins, 2) - 1)
    return (
        math.ceil(1 / (least_noise - 1 / expected))
        if least_noise * expected > 1
        else None
    )


def judge(reference: Reference, counts: Mapping[str, np.ndarray]) -> list[Finding]:
    """Judge a window: every column, every column's missing rate, and the score.

    Parameters
    ----------
    reference
        Of the version that answered.
    counts
        Of the window, by column and `SCORE`; what is left out is not judged.

    Returns
    -------
    list of Finding
        The worst first.
    """
    (found,) = judge_all([(reference, counts)])
    return found


def judge_all(
    parts: Sequence[tuple[Reference, Mapping[str, np.ndarray]]],
) -> list[list[Finding]]:
    """Judge parts of a window as `judge` does, as one family.

    The chance of any alarm without drift, in any part, is at most `LEVEL`.
    """
    family = [list(_family(*part)) for part in parts]
    together = [member for members in family for member in members]
    if not together:
        return [[] for _ in parts]
    shift = _measure_all(together)
    found = iter(
        _finding(
            member,
            Shift(*(values[place] for values in shift)),
            family=len(together),
        )
        for place, member in enumerate(together)
    )
    return [sorted(islice(found, len(members)), key=_urgency) for members in family]


def compare(
    reference: Reference, counts: Mapping[str, np.ndarray]
) -> tuple[list[Member], Shift]:
    """Measure whole windows; each of their counts (..., bins).

    Returns
    -------
    tuple of list of Member and Shift
        All that is looked at, and its figures, each (..., members); p is adjusted.
    """
    family = list(_family(reference, counts))
    return family, _measure_all(family)


def _family(reference: Reference, counts: Mapping[str, np.ndarray]) -> Iterator[Member]:
    for name, actual in counts.items():
        yield from _members(reference, name, actual)


def _measure_all(family: Sequence[Member]) -> Shift:
    shifts = [measure(member.expected, member.actual) for member in family]
    found, corrected, p = (
        np.stack(figures, axis=-1) for figures in zip(*shifts, strict=True)
    )
    return Shift(found, corrected, holm(p))


def _members(reference: Reference, name: str, actual: np.ndarray) -> Iterator[Member]:
    if name == SCORE:
        score = reference.score
        yield Member(
            SCORE, "score", np.array(score.counts), actual, score.known_bins, None
        )
        return
    column = reference.columns[name]
    expected = np.array(column.counts)
    yield Member(name, "column", expected, actual, column.known_bins, column.importance)
    yield Member(
        f"{name} missing",
        "missing",
        _rate(expected),
        _rate(actual),
        2,
        column.importance,
    )


def _rate(counts: np.ndarray) -> np.ndarray:
    """Count what is there and what is missing, (..., 2)."""
    return np.stack([counts[..., :-1].sum(axis=-1), counts[..., -1]], axis=-1)


def _finding(member: Member, shift: Shift, *, family: int) -> Finding:
    expected, rows = int(member.expected.sum()), int(member.actual.sum())
    needed = rows_needed(
        expected, int(np.sum(member.expected + member.actual > 0)), family
    )
    state: State = (
        "ok" if needed is not None and rows >= needed else "insufficient_data"
    )
    if is_drift(shift.psi, shift.p):
        state = "drift"
    if _is_lost(member, rows, LEVEL / family):
        state = "broken"
    corrected = float(shift.corrected)
    return Finding(
        name=member.name,
        kind=member.kind,
        state=state,
        psi=float(shift.psi),
        psi_corrected=corrected,
        p=float(shift.p),
        rows_needed=needed,
        impact=None
        if member.importance is None
        else max(corrected, 0) * max(member.importance, 0),
    )


def _is_lost(member: Member, rows: int, level: float) -> bool:
    """Tell whether no row has a value that training knew.

    Where rows are so few that this may be chance, the answer is no.
    """
    known, trained = (
        counts[: member.known_bins].sum() for counts in (member.actual, member.expected)
    )
    lost_share = 1 - (trained + SMOOTHING) / (member.expected.sum() + 2 * SMOOTHING)
    return bool(known == 0 and rows > 0 and lost_share**rows < level)


def _urgency(finding: Finding) -> tuple[int, float]:
    """Put the worst state first, then the largest impact.

    The score, in which all impacts meet, comes before the columns.
    """
    impact = math.inf if finding.impact is None else finding.impact
    return STATES.index(finding.state), -impact
