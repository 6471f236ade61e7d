"""A version and the log of its answers → what drifted, and how that moves them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from skewless.core.contract import Column, Kind
from skewless.core.errors import ConfigError
from skewless.core.segment import Segment
from skewless.models.metadata import Metadata
from skewless.models.predict import Predictor
from skewless.models.reference import Distribution, Reference
from skewless.monitoring.drift import SCORE, judge, judge_all
from skewless.monitoring.drift_figures import STATES, Figures, Finding, SegmentFindings
from skewless.monitoring.impact import Effect, column_effects
from skewless.monitoring.place import Window
from skewless.monitoring.views import Views
from skewless.monitoring.window import Asked, gather


class Span(NamedTuple):
    """Which rows are looked at, and when."""

    since: datetime
    until: datetime
    """Exclusive."""
    checked_at: datetime


class Scope(NamedTuple):
    """Which columns are looked at, and how."""

    hidden: Collection[str]
    """Those that monitoring.privacy hides; they are not."""
    by: Sequence[str] | None = ()
    """Those of whose values each is looked at by itself; None: all that can be."""


class Compared(NamedTuple):
    """What was compared: training, and records of a window."""

    reference: Reference
    counts: dict[str, np.ndarray]
    """Column, or the score → records of the window per bin."""


class Found(NamedTuple):
    """What the job found, and the counts that it follows from."""

    figures: Figures
    metadata: Metadata
    whole: Compared
    segments: Mapping[str, Compared]
    """Segment, by its name → its records."""


def find_drift(
    views: Views,
    metadata: Metadata,
    predictor: Predictor,
    *,
    scope: Scope,
    span: Span,
) -> Found:
    """Compare what a version was asked with what it was trained on.

    Parameters
    ----------
    views
        Of the prediction log, at least of that span.
    metadata, predictor
        The version.
    scope
        What to look at.
    span
        For the record.

    Raises
    ------
    ConfigError
        The version holds no reference, or no segments of `scope.by`: this code did
        not keep them when it was trained.
    """
    reference = metadata.reference
    if reference is None:
        msg = (
            f"{metadata.version} holds no reference; train again, "
            "or name another version with --version"
        )
        raise ConfigError(msg)
    hidden, by = scope
    judged = [
        column for column in metadata.identity.columns if column.name not in hidden
    ]
    if by is None:
        by = [name for name in reference.segments if name not in hidden]
    for name in by:
        if name not in reference.segments:
            raise ConfigError(_no_segments(name, metadata.version, reference))
    asked = gather(
        views,
        Window(span.since, span.until, metadata.version),
        reference,
        columns=judged,
        by=by,
    )
    findings = judge(reference, asked.counts)
    segments = _segments(metadata.identity.columns, reference, asked)
    effects = dict[str, Effect]()
    if (
        asked.rows.rows
        and not asked.left_out
        and len(judged) == len(metadata.identity.columns)
    ):
        sample = {name: asked.sample[name].to_numpy() for name in reference.columns}
        decision = metadata.identity.decision
        effects = column_effects(
            sample,
            reference,
            predictor.probabilities,
            bounds=(decision.medium_risk, decision.high_risk),
        )
    figures = Figures(
        version=metadata.version,
        hidden=tuple(sorted(set(hidden) & set(reference.columns))),
        left_out=asked.left_out,
        findings=tuple(_with_effect(each, effects) for each in findings),
        segments=_judge_segments(segments),
        **span._asdict(),
        **asked.rows.model_dump(),
    )
    return Found(
        figures,
        metadata,
        whole=Compared(reference, asked.counts),
        segments={segment.name: each for segment, each in segments.items()},
    )


def _segments(
    columns: Iterable[Column], reference: Reference, asked: Asked
) -> dict[Segment, Compared]:
    """Take the segments that training had."""
    kinds = {column.name: column.kind for column in columns}
    found = {}
    for (column, place), counts in asked.segments.items():
        if place in reference.segments[column]:
            value = _value(reference.columns[column], place, kinds[column])
            compared = Compared(reference.of_segment(column, place), counts)
            found[Segment(column=column, value=value)] = compared
    return found


def _judge_segments(
    segments: Mapping[Segment, Compared],
) -> tuple[SegmentFindings, ...]:
    """Judge them as one family."""
    judged = judge_all(list(segments.values()))
    found = [
        SegmentFindings(
            **segment.model_dump(),
            rows=int(compared.counts[SCORE].sum()),
            findings=tuple(findings),
        )
        for (segment, compared), findings in zip(segments.items(), judged, strict=True)
    ]
    return tuple(sorted(found, key=_urgency))


def _urgency(segment: SegmentFindings) -> tuple[int, float]:
    """Put the worst state first, then what lies furthest from training."""
    furthest = max(each.psi for each in segment.findings)
    return STATES.index(segment.state), -furthest


def _value(trained: Distribution, place: int, kind: Kind) -> str | None:
    """Write the value of a segment as a caller sends it; None: missing."""
    if place == trained.bins - 1:
        return None
    value = trained.values[place]
    if kind == "boolean":
        return "true" if value else "false"
    return str(value)


def _no_segments(name: str, version: str, reference: Reference) -> str:
    if not reference.segments:
        return (
            f"{version} was trained without segments; train again, "
            "or name another version with --version"
        )
    kept = ", ".join(reference.segments)
    return (
        f"--by {name}: {version} was trained on too many columns to keep the segments "
        f"of all; it kept those of {kept}"
    )


def _with_effect(finding: Finding, effects: Mapping[str, Effect]) -> Finding:
    effect = effects.get(finding.name)
    return finding if effect is None else finding.model_copy(update=effect._asdict())
