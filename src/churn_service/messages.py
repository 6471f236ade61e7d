"""What goes over the wire: requests and responses, their names fixed whatever table the project serves."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from churn_service.contract import Column
from churn_service.predict import Decision
from churn_service.schema import Customer


class Prediction(Decision):
    """An answer, and which model gave it."""

    model_version: str
    trained_at: str | None
    prediction_id: Annotated[str, Field(description="Unique to this answer; quote it to trace the answer")]


class BatchRequest(BaseModel, extra="forbid", strict=True):
    """Several customers in one request; order does not matter to the answers."""

    customers: Annotated[list[Customer], Field(min_length=1)]


class BatchPrediction(BaseModel):
    """One prediction per customer, in the order of the request."""

    predictions: list[Prediction]
    batch_size: int
    latency_ms: Annotated[float, Field(description="From the parsed request to the answer")]


class ModelDescription(BaseModel):
    """What a caller has to know about the model that answers."""

    version: str
    trained_at: str
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
    """Whether the process can answer predictions."""

    status: Literal["ready"] = "ready"
    model_version: str


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
    errors: list[FieldError] = []
