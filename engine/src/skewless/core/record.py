"""What a record class is made of: a strict base, and marks that some fields need."""

import datetime as dt
from typing import Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints


def _with_example(schema: dict[str, Any]) -> None:
    """Add a whole record to what documents one, made of the fields' own examples."""
    shown = {
        name: each["examples"][0]
        for name, each in schema["properties"].items()
        if each.get("examples")
    }
    schema["examples"] = [shown]


class Record(BaseModel):
    """A raw record, frozen: strict types, no unknown field, no NaN and no infinity."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_extra=_with_example,
    )


def _as_whole(value: Any) -> Any:
    """Take 4.0 for 4, as JSON Schema does.

    pandas writes it when other rows miss the value.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_day(value: Any) -> Any:
    """Take "2026-01-31" for that day, in Python as in JSON, and no other spelling."""
    if not isinstance(value, str):
        return value
    msg = "must be a date such as 2026-01-31"
    # else Python would read 20260131 and 2026-W05-6 too
    has_hyphens = value[4:5] == value[7:8] == "-"
    if not has_hyphens:
        raise ValueError(msg)
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError(msg) from None


WHOLE: Final = BeforeValidator(_as_whole)
"""Stands last in the annotation of an integer."""

DAY: Final = BeforeValidator(_as_day)
"""Stands last in the annotation of a date."""

NO_CONTROLS: Final = StringConstraints(pattern=r"^[^\x00-\x1F\x7F-\x9F]*$")
"""Stands last in the annotation of the id.

Control characters (C0, DEL, C1) make a terminal, a log or a database do something, or
refuse the row.
"""
