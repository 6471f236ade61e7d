"""What a raw customer record is: the one contract that everything else derives from.

Request body, OpenAPI example, table validation, simulator, test strategies and the
model card's data dictionary are all read off `Customer`. Write a fact about a field
here and nowhere else.
"""

from typing import Annotated, Final, Literal

from pydantic import Field
from skewless import NO_CONTROLS, WHOLE, Record, TableFormat

TABLE: Final = TableFormat(
    id="customer_id", target="churned", outcomes={"0": 0, "1": 1}
)
"""How the training table names the id and the target.

1 left within 90 days of the snapshot, 0 stayed.
"""


class Customer(Record):
    """One customer as known on the day of the snapshot."""

    customer_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="Your own key for this customer",
            examples=["c-1042"],
        ),
        NO_CONTROLS,
    ] = None
    tenure_months: Annotated[
        int,
        Field(
            ge=0, le=600, description="Months since the first contract", examples=[14]
        ),
        WHOLE,
    ]
    plan: Annotated[
        Literal["basic", "standard", "premium"],
        Field(description="Current plan", examples=["standard"]),
    ]
    spend: Annotated[
        float,
        Field(
            ge=0, le=100_000, description="USD over the last 365 days", examples=[240.5]
        ),
    ]
    active_days: Annotated[
        int,
        Field(
            ge=0,
            le=365,
            description="Days with a login in the last 365 days",
            examples=[48],
        ),
        WHOLE,
    ]
    days_since_login: Annotated[
        int,
        Field(ge=0, le=3_650, description="Days since the last login", examples=[21]),
        WHOLE,
    ]
    satisfaction: Annotated[
        int | None,
        Field(
            ge=1,
            le=5,
            description="Last survey answer, 1 (bad) to 5 (good)",
            examples=[4],
        ),
        WHOLE,
    ] = None
