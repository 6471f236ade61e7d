"""The HTTP contract: what callers send, and what they get back."""

import time
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field
from skewless.serving import Answer, Model, RiskTier, create_app

from churn_service.project import project
from churn_service.schema import Customer


@dataclass(slots=True)
class Prediction:
    """The probability of one customer's churn, and which model says so."""

    churn_probability: float
    churn_prediction: bool
    risk_tier: RiskTier
    model_version: str
    trained_at: str | None
    prediction_id: Annotated[
        str, Field(description="Unique to this answer; quote it to trace the answer")
    ]


class BatchRequest(BaseModel, extra="forbid", strict=True):
    """Several customers in one request; order does not matter to the answers."""

    customers: Annotated[list[Customer], Field(min_length=1)]


class BatchPrediction(BaseModel):
    """One prediction per customer, in the order of the request."""

    predictions: list[Prediction]
    batch_size: int
    latency_ms: Annotated[
        float, Field(description="From the parsed request to the answer")
    ]


def to_response(answer: Answer) -> Prediction:
    """Say an answer in this API's words; every prediction is answered by it."""
    return Prediction(
        churn_probability=answer.probability,
        churn_prediction=answer.decision,
        risk_tier=answer.tier,
        model_version=answer.model_version,
        trained_at=answer.trained_at,
        prediction_id=answer.prediction_id,
    )


app = create_app(project, to_response)


@app.post("/predict")
async def predict(customer: Customer, model: Model) -> Prediction:
    """Predict one customer's churn."""
    return to_response(await model.predict(customer))


@app.post("/predict/batch")
async def predict_batch(batch: BatchRequest, model: Model) -> BatchPrediction:
    """Predict many customers' churn: the same answers as one by one."""
    started = time.perf_counter()
    answers = await model.predict_batch(batch.customers)
    return BatchPrediction(
        predictions=[to_response(answer) for answer in answers],
        batch_size=len(answers),
        latency_ms=round((time.perf_counter() - started) * 1000, 3),
    )
