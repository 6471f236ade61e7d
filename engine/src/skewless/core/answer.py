"""What follows from a probability, who said so, and what is answered.

All of it is in the engine's own words; a project says it in its own
(`to_response`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final, Literal, NamedTuple, Self, get_args, overload

import numpy as np
from pydantic import BaseModel

from skewless.core.contract import Column
from skewless.core.errors import PredictionError
from skewless.core.sections import DecisionConfig

RiskTier = Literal["LOW", "MEDIUM", "HIGH"]
TIERS: Final[tuple[RiskTier, ...]] = get_args(RiskTier)  # the lowest first
TIER_ARRAY: Final = np.array(TIERS, dtype=object)


class Decision(NamedTuple):
    """A probability and what follows from it."""

    probability: float
    decision: bool
    tier: RiskTier


@dataclass(frozen=True)
class Source:
    """Who answers, and what decides besides the probability."""

    version: str
    trained_at: str | None
    columns: tuple[Column, ...]
    decision: DecisionConfig


def decide(probabilities: np.ndarray, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Apply the threshold and the tiers to probabilities, float64 (n,).

    A bound belongs to the tier above.

    Returns
    -------
    tuple of ndarray, each (n,)
        The decision about each, bool; its tier, str.

    Raises
    ------
    PredictionError
        One of them is no probability.
    """
    right = (probabilities >= 0) & (probabilities <= 1)  # NaN is neither
    if not right.all():
        wrong = probabilities[~right][0]
        msg = f"{source.version} answered {wrong}, which is no probability"
        raise PredictionError(msg)
    bounds = np.array([source.decision.medium_risk, source.decision.high_risk])
    places = bounds.searchsorted(probabilities, side="right")
    return probabilities >= source.decision.threshold, TIER_ARRAY[places]


ID_DIGITS: Final = 32  # hexadecimal, of a prediction's random id


@dataclass(slots=True)
class Answer:
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


@dataclass(frozen=True, eq=False)
class Answers(Sequence[Answer]):
    """Answers of one version as columns; each is built when somebody asks for it."""

    source: Source
    probability: list[float]
    decision: list[bool]
    tier: list[RiskTier]
    prediction_id: list[str]

    @classmethod
    def of(cls, answers: Sequence[Answer], source: Source) -> Self:
        """Turn answers into columns; columns are returned as they are."""
        if isinstance(answers, cls):
            return answers
        return cls(
            source,
            [each.probability for each in answers],
            [each.decision for each in answers],
            [each.tier for each in answers],
            [each.prediction_id for each in answers],
        )

    def __len__(self) -> int:
        """Count the answers."""
        return len(self.probability)

    @overload
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> "Answers": ...
    def __getitem__(self, place: int | slice) -> "Answer | Answers":
        """Return an answer, or some of them as columns."""
        if isinstance(place, slice):
            return Answers(self.source, *(cells[place] for cells in self._columns))
        return Answer(
            self.probability[place],
            self.decision[place],
            self.tier[place],
            self.source.version,
            self.source.trained_at,
            self.prediction_id[place],
        )

    def __iter__(self) -> Iterator[Answer]:
        """Build one answer after the other."""
        return map(
            Answer,
            self.probability,
            self.decision,
            self.tier,
            repeat(self.source.version),
            repeat(self.source.trained_at),
            self.prediction_id,
        )

    @property
    def _columns(self) -> tuple[Any, ...]:
        return self.probability, self.decision, self.tier, self.prediction_id


class Answered(NamedTuple):
    """What was asked in one request, and what was answered."""

    records: Sequence[BaseModel]
    answers: Sequence[Answer]
    source: Source
    latency_ms: float | None
    """None if nobody waited for it."""
