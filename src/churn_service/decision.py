"""What follows from a probability, and who said so."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from churn_service.contract import Column
from churn_service.sections import DecisionConfig

RiskTier = Literal["LOW", "MEDIUM", "HIGH"]
TIERS: Final[tuple[RiskTier, ...]] = get_args(RiskTier)


class Decision(NamedTuple):
    """A probability and what follows from it."""

    churn_probability: float
    churn_prediction: bool
    risk_tier: RiskTier


@dataclass(frozen=True)
class Source:
    """Who answers, and what decides besides the probability."""

    version: str
    trained_at: str | None
    columns: tuple[Column, ...]
    decision: DecisionConfig
