"""Check a candidate beside what it would replace.

The checks let a promotion pass, or say why not.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from skewless.core.bootstrap import paired_bootstrap
from skewless.core.checkout import State
from skewless.core.contract import Column
from skewless.models.metadata import Metadata
from skewless.models.reference import shift
from skewless.registry.events import Check

SHOWN_FLIPS = 5
# Of a score whose distribution is compared: what differs by less is the same on another
# processor.
SCORE_DIGITS = 3
COMMITTED: Final[dict[State, bool | None]] = {
    "clean": True,
    "dirty": False,
    "unknown": None,
}
TRAIN_ANEW: Final[dict[State, str]] = {
    "clean": "",
    "dirty": ", so nobody else can rebuild it: commit, raise model.version, train",
    "unknown": (
        ", so nobody can tell whether all of its code was committed: "
        "make `git status` answer here, raise model.version, train"
    ),
}


class Replayed(NamedTuple):
    """The same requests, answered by production then and by the candidate now."""

    prediction_ids: Sequence[str]
    production: np.ndarray
    candidate: np.ndarray
    flipped: np.ndarray
    """Whether the decision differs, each by its own threshold."""
    latency_ratio: float
    """Candidate's median time over production's, measured one after the other."""


def check_origin(candidate: Metadata) -> Check:
    """Ask for code that somebody else can check out.

    Whether the candidate is whole was seen when it was loaded. The evidence is missing
    if git could not tell: a question without an answer was not answered well.
    """
    state = candidate.checkout.state
    said = (
        "whole, its golden rows come out again; "
        f"trained by commit {candidate.commit}{TRAIN_ANEW[state]}"
    )
    if "best possible" in candidate.metrics:  # which only made-up records have
        said += "; it knows nothing of your data: its table is the simulator's"
    return Check(name="artefact", passed=COMMITTED[state], said=said)


def check_contract(candidate: Sequence[Column], production: Sequence[Column]) -> Check:
    """Check that callers of production can go on as they are.

    Nothing may be taken away, narrowed or newly required.
    """
    new = {column.name: column for column in candidate}
    old = {column.name: column for column in production}
    faults = [f"{name} was removed" for name in old.keys() - new.keys()]
    faults += [
        f"{name} is new and not nullable"
        for name in new.keys() - old.keys()
        if not new[name].nullable
    ]
    for name in old.keys() & new.keys():
        faults += [f"{name}: {fault}" for fault in _narrowed(old[name], new[name])]
    said = "; ".join(sorted(faults)) or "every request that production takes is taken"
    return Check(name="contract", passed=not faults, said=said)


def _narrowed(old: Column, new: Column) -> list[str]:
    if old.kind != new.kind:
        return [f"was {old.kind}, is {new.kind}"]
    faults = []
    if old.nullable and not new.nullable:
        faults.append("may no longer be missing")
    lost = set(old.categories) - set(new.categories)
    if lost:
        faults.append(f"lost {', '.join(sorted(lost))}")
    is_inside = new.bounds[0] <= old.bounds[0] and old.bounds[1] <= new.bounds[1]
    if not is_inside:
        faults.append(f"was {old.rule}, is {new.rule}")
    return faults


def check_beats(
    name: str, candidate: np.ndarray, other: np.ndarray, *, margin: float
) -> Check:
    """Compare losses on the same records: the interval must end at or below `margin`.

    Parameters
    ----------
    name
        Of the other.
    candidate, other
        Losses, float64 (n,); see `log_losses`.
    margin
        Nats per record that the candidate may be worse; below 0 it must be better by so
        much.
    """
    found = paired_bootstrap(candidate - other)
    said = (
        f"log loss {candidate.mean():.5f} against {other.mean():.5f}, "
        f"difference {found}, allowed {margin:+g}"
    )
    facts = {
        "rows": len(other),
        "candidate": float(candidate.mean()),
        "other": float(other.mean()),
    }
    return Check(
        name=name,
        passed=found.high <= margin,
        said=f"{said} on {len(other):,} records held out",
        facts=facts | {"difference": found._asdict(), "margin": margin},
    )


def check_replay(
    replayed: Replayed,
    *,
    max_flip_share: float,
    max_psi: float,
    max_latency_ratio: float,
) -> Check:
    """Compare answers to production's own requests: decisions, distribution, time."""
    moved_by = shift(
        np.round(replayed.production, SCORE_DIGITS),
        np.round(replayed.candidate, SCORE_DIGITS),
    )
    flips = float(np.mean(replayed.flipped))
    moved = np.abs(replayed.candidate - replayed.production)
    largest_first = np.argsort(-moved, kind="stable")
    flipped = [place for place in largest_first if replayed.flipped[place]]
    shown = [
        {
            "prediction_id": replayed.prediction_ids[place],
            "from": float(replayed.production[place]),
            "to": float(replayed.candidate[place]),
        }
        for place in flipped[:SHOWN_FLIPS]
    ]
    limits = {
        f"decisions that flip {flips:.1%}, allowed {max_flip_share:.1%}": (
            flips <= max_flip_share
        ),
        f"score PSI {moved_by:.3f}, allowed {max_psi:g}": moved_by <= max_psi,
        f"latency {replayed.latency_ratio:.2f}x, allowed {max_latency_ratio:g}x": (
            replayed.latency_ratio <= max_latency_ratio
        ),
    }
    said = f"{len(moved):,} logged requests: {'; '.join(limits)}"
    if shown:
        told = [f"{each['from']:.3f} to {each['to']:.3f}" for each in shown]
        said += f"; largest flips {', '.join(told)}"
    facts = {
        "requests": len(moved),
        "flip_share": flips,
        "psi": moved_by,
        "largest_flips": shown,
        "latency_ratio": replayed.latency_ratio,
        "quartiles": {
            "production": _quartiles(replayed.production),
            "candidate": _quartiles(replayed.candidate),
        },
    }
    return Check(name="replay", passed=all(limits.values()), said=said, facts=facts)


def _quartiles(values: np.ndarray) -> list[float]:
    quartiles: list[float] = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return quartiles
