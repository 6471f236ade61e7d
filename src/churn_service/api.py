"""The HTTP contract: what callers send, and what they get back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field
from skewless.serving import (
    FROM_COLUMNS,
    FROM_RECORDS,
    TO_COLUMNS,
    Answer,
    Model,
    OneField,
    RiskTier,
    create_app,
)

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


class BatchRequest(OneField, extra="forbid", strict=True):
    """Several customers in one request, as records or as columns.

    Order does not matter to the answers.
    """

    customers: Annotated[Sequence[Customer], Field(default_factory=list), FROM_RECORDS]
    columns: Annotated[Sequence[Customer], Field(default_factory=list), FROM_COLUMNS]


class BatchPrediction(BaseModel):
    """One prediction per customer, in the order of the request."""

    predictions: list[Prediction]
    batch_size: int
    latency_ms: Annotated[
        float, Field(description="From the parsed request to the answer")
    ]


class BatchColumns(BatchPrediction):
    """The same, with a list for each field of a prediction."""

    predictions: Annotated[list[Prediction], TO_COLUMNS]


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
async def predict_batch(
    batch: BatchRequest, model: Model
) -> BatchColumns | BatchPrediction:
    """Predict many customers' churn: the same answers as one by one.

    Who sends columns is answered in columns.
    """
    started = time.perf_counter()
    answers = await model.predict_batch(batch.customers or batch.columns)
    form = BatchPrediction if batch.customers else BatchColumns
    return form(
        predictions=[to_response(answer) for answer in answers],
        batch_size=len(answers),
        latency_ms=round((time.perf_counter() - started) * 1000, 3),
    )
