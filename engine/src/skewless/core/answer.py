"""What was answered, in the engine's own words; a project says it in its own (`to_response`)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import BaseModel

from skewless.core.decision import RiskTier, Source

ID_DIGITS: Final = 32  # hexadecimal, of a prediction's random id


class Answer(NamedTuple):
    """What the model says of one record."""

    probability: float
    """Of the event, in [0, 1]."""
    decision: bool
    """Whether the probability reaches the threshold."""
    tier: RiskTier
    model_version: str
    trained_at: str | None
    """None if no model answered but the baseline."""
    prediction_id: str
    """Unique to this answer."""


class Answered(NamedTuple):
    """What was asked in one request, and what was answered."""

    records: Sequence[BaseModel]
    answers: Sequence[Answer]
    source: Source
    latency_ms: float | None
    """None if nobody waited for it."""
