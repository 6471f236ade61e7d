"""A version and the log of its answers → what drifted, and how that moves them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np

from skewless.core.errors import ConfigError
from skewless.models.metadata import Metadata
from skewless.models.predict import Predictor
from skewless.models.reference import Reference
from skewless.monitoring.drift import judge
from skewless.monitoring.drift_figures import Figures, Finding
from skewless.monitoring.impact import Effect, column_effects
from skewless.monitoring.place import Window
from skewless.monitoring.views import Views
from skewless.monitoring.window import gather


class Span(NamedTuple):
    """Which rows are looked at, and when."""

    since: datetime
    until: datetime
    """Exclusive."""
    checked_at: datetime


class Found(NamedTuple):
    """What the job found, and the counts that it follows from."""

    figures: Figures
    counts: dict[str, np.ndarray]
    """Column, or the score → records per bin."""
    metadata: Metadata
    reference: Reference


def find_drift(
    views: Views,
    metadata: Metadata,
    predictor: Predictor,
    *,
    hidden: Collection[str],
    span: Span,
) -> Found:
    """Compare what a version was asked with what it was trained on.

    Parameters
    ----------
    views
        Of the prediction log, at least of that span.
    metadata, predictor
        The version.
    hidden
        Columns that monitoring.privacy hides.
    span
        For the record.

    Raises
    ------
    ConfigError
        The version holds no reference: this code did not keep one when it was trained.
    """
    reference = metadata.reference
    if reference is None:
        msg = (
            f"{metadata.version} holds no reference; train again, "
            "or name another version with --version"
        )
        raise ConfigError(msg)
    judged = [
        column for column in metadata.identity.columns if column.name not in hidden
    ]
    asked = gather(
        views,
        Window(span.since, span.until, metadata.version),
        reference,
        columns=judged,
        contract=predictor.contract,
    )
    findings = judge(reference, asked.counts)
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
        **span._asdict(),
        **asked.rows.model_dump(),
    )
    return Found(figures, asked.counts, metadata, reference)


def _with_effect(finding: Finding, effects: Mapping[str, Effect]) -> Finding:
    effect = effects.get(finding.name)
    return finding if effect is None else finding.model_copy(update=effect._asdict())
