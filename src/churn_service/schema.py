"""What a raw customer record is: the one contract that everything else derives from.

Request body, OpenAPI example, table validation, simulator, test strategies and the model card's data
dictionary are all read off `Customer`. Write a fact about a field here and nowhere else.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

ID: Final = "customer_id"
"""Column that identifies a record: required and unique in a table, optional in a request."""

TARGET: Final = "churned"
"""Column of the training table to predict: 1 left within 90 days of the snapshot, 0 stayed."""


def _as_whole(value: Any) -> Any:
    """Take 4.0 for 4, as JSON Schema does; pandas writes it when other rows miss the value."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE: Final = BeforeValidator(_as_whole)  # stands last in an integer's annotation


class Customer(BaseModel):
    """One customer as known on the day of the snapshot."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    customer_id: Annotated[
        str | None,
        Field(min_length=1, max_length=64, description="Your own key for this customer", examples=["c-1042"]),
    ] = None
    tenure_months: Annotated[
        int, Field(ge=0, le=600, description="Months since the first contract", examples=[14]), WHOLE
    ]
    plan: Annotated[
        Literal["basic", "standard", "premium"], Field(description="Current plan", examples=["standard"])
    ]
    spend: Annotated[
        float, Field(ge=0, le=100_000, description="USD over the last 365 days", examples=[240.5])
    ]
    active_days: Annotated[
        int, Field(ge=0, le=365, description="Days with a login in the last 365 days", examples=[48]), WHOLE
    ]
    days_since_login: Annotated[
        int, Field(ge=0, le=3_650, description="Days since the last login", examples=[21]), WHOLE
    ]
    satisfaction: Annotated[
        int | None,
        Field(ge=1, le=5, description="Last survey answer, 1 (bad) to 5 (good)", examples=[4]),
        WHOLE,
    ] = None
