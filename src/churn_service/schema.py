"""What a raw customer record is: the one contract that everything else derives from.

Request body, OpenAPI example, table validation, simulator, test strategies and the model card's data
dictionary are all read off `Customer`. Write a fact about a field here and nowhere else.
"""

import datetime as dt
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

ID: Final = "customer_id"
"""Column that identifies a record: required and unique in a table, optional in a request."""

TARGET: Final = "churned"
"""Column of the training table to predict: 1 left within 90 days of the snapshot, 0 stayed."""

HEADERS: Final[dict[str, str]] = {}
"""Field, `ID` or `TARGET` → its header in the table, where that is another."""

TARGET_VALUES: Final[dict[str, int]] = {"0": 0, "1": 1}
"""How the table writes the target → what it means; a number or truth value by its value, see `cells.py`."""

DATES: Final[dict[str, str]] = {}
"""Field that is a date → how the table writes it, such as ``%d.%m.%Y``; 2026-01-31 is always understood."""


def _as_whole(value: Any) -> Any:
    """Take 4.0 for 4, as JSON Schema does; pandas writes it when other rows miss the value."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_day(value: Any) -> Any:
    """Take "2026-01-31" for that day, in Python as in JSON, and no other way to write it."""
    if not isinstance(value, str):
        return value
    try:
        return dt.date.fromisoformat(value if value[4:5] == value[7:8] == "-" else "")
    except ValueError:
        msg = "must be a date such as 2026-01-31"
        raise ValueError(msg) from None


WHOLE: Final = BeforeValidator(_as_whole)  # stands last in an integer's annotation
DAY: Final = BeforeValidator(_as_day)  # stands last in a date's annotation

# Control characters (C0, DEL, C1) make a terminal, a log or a database do something, or refuse the row.
NO_CONTROLS: Final = StringConstraints(
    pattern=r"^[^\x00-\x1F\x7F-\x9F]*$"
)  # stands last in the id's annotation


class Customer(BaseModel):
    """One customer as known on the day of the snapshot."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    customer_id: Annotated[
        str | None,
        Field(min_length=1, max_length=64, description="Your own key for this customer", examples=["c-1042"]),
        NO_CONTROLS,
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
