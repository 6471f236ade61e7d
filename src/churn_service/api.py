"""The HTTP contract: what callers send, and what they get back."""

import time
from typing import Annotated, Any, Final

from fastapi import Body, Depends, Request
from pydantic import BaseModel, Field

from churn_service.answer import answer
from churn_service.application import KEY, REFUSED, limit_record, limit_rows
from churn_service.messages import BatchPrediction, Prediction
from churn_service.project import project
from churn_service.schema import Customer

EXAMPLE: Final = project.contract.example()


class BatchRequest(BaseModel, extra="forbid", strict=True):
    """Several customers in one request; order does not matter to the answers."""

    customers: Annotated[list[Customer], Field(min_length=1)]


async def predict(request: Request, customer: Annotated[Customer, Body(examples=[EXAMPLE])]) -> Prediction:
    """Predict one customer's churn."""
    (prediction,) = await answer(request, [customer])
    return prediction


async def limit_batch(request: Request) -> None:
    """Refuse what is no JSON, and what would cost too much to validate: many customers, or fields of them."""
    await limit_rows(request, "customers", frozenset(Customer.model_fields))


async def predict_batch(
    request: Request, batch: Annotated[BatchRequest, Body(examples=[{"customers": [EXAMPLE, EXAMPLE]}])]
) -> BatchPrediction:
    """Predict many customers' churn: the same answers as one by one."""
    started = time.perf_counter()
    predictions = await answer(request, batch.customers)
    latency_ms = round((time.perf_counter() - started) * 1000, 3)
    return BatchPrediction.model_construct(
        predictions=predictions, batch_size=len(predictions), latency_ms=latency_ms
    )


ROUTES: Final[tuple[dict[str, Any], ...]] = (
    {
        "path": "/predict",
        "endpoint": predict,
        "methods": ["POST"],
        "responses": REFUSED,
        "dependencies": [KEY, Depends(limit_record)],
    },
    {
        "path": "/predict/batch",
        "endpoint": predict_batch,
        "methods": ["POST"],
        "responses": REFUSED,
        "dependencies": [KEY, Depends(limit_batch)],
    },
)
