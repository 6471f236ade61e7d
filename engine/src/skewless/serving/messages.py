"""What the engine's own endpoints answer; a project's predictions are in its api.py."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from skewless.core.contract import Column


class ModelDescription(BaseModel):
    """What a caller has to know about the model that answers."""

    version: str
    trained_at: str | None
    fields: tuple[Column, ...]
    threshold: float
    tiers: Annotated[
        dict[str, float], Field(description="Tier → the probability that it begins at")
    ]


class Health(BaseModel):
    """Whether the process lives."""

    status: Literal["ok"] = "ok"
    model_loaded: bool
    model_version: str | None
    uptime_seconds: float


class Readiness(BaseModel):
    """Whether the process can answer predictions.

    Degraded answers come from the baseline.
    """

    status: Literal["ready", "degraded"]
    model_version: str
    refused_version: Annotated[
        str | None,
        Field(description="What should answer and may not; the log says why"),
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
    request_id: Annotated[
        str | None, Field(description="Quote it to find the request in the logs")
    ] = None
    errors: list[FieldError] = []
