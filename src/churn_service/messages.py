"""What goes over the wire: requests and responses, their names fixed whatever table the project serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field

from churn_service.contract import Column
from churn_service.decision import RiskTier, Source


@dataclass(slots=True)
class Prediction:
    """An answer, and which model gave it."""

    churn_probability: float
    churn_prediction: bool
    risk_tier: RiskTier
    model_version: str
    trained_at: str | None
    prediction_id: Annotated[str, Field(description="Unique to this answer; quote it to trace the answer")]


class BatchPrediction(BaseModel):
    """One prediction per customer, in the order of the request."""

    predictions: list[Prediction]
    batch_size: int
    latency_ms: Annotated[float, Field(description="From the parsed request to the answer")]


class ModelDescription(BaseModel):
    """What a caller has to know about the model that answers."""

    version: str
    trained_at: str | None
    fields: tuple[Column, ...]
    threshold: float
    tiers: Annotated[dict[str, float], Field(description="Tier → the probability that it begins at")]


class Health(BaseModel):
    """Whether the process lives."""

    status: Literal["ok"] = "ok"
    model_loaded: bool
    model_version: str | None
    uptime_seconds: float


class Readiness(BaseModel):
    """Whether the process can answer predictions; degraded answers come from the baseline."""

    status: Literal["ready", "degraded"]
    model_version: str
    refused_version: Annotated[
        str | None, Field(description="What should answer and may not; the log says why")
    ] = None


class FieldError(BaseModel):
    """One rule that one field broke."""

    field: str
    rule: str
    message: str


class Problem(BaseModel):
    """An error as RFC 9457 describes it; never holds a value that was sent."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: Annotated[str | None, Field(description="Quote it to find the request in the logs")] = None
    errors: list[FieldError] = []


class Answered(NamedTuple):
    """What was asked and answered, as the contract leaves it in `scope["state"]["answered"]`."""

    customers: Sequence[BaseModel]
    predictions: Sequence[Prediction]
    source: Source
    latency_ms: float | None
    """None if nobody waited for it."""
