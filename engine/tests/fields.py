"""Fields of this project's contract, chosen by what a test needs; none is named."""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from conftest import ROOT
from own import CONTRACT
from skewless.core.arrays import to_json
from skewless.core.contract import Column, Contract

KNOW_THE_TABLE = {
    "src/churn_service/schema.py",
    "src/churn_service/features.py",
    "src/churn_service/config.py",
    "config.yaml",
    "config.schema.json",  # written from the sections, of which two are in config.py
    "tests/test_features.py",
}
NUMBERS = ("integer", "number")
MOVABLE = ("number", "integer", "category", "boolean", "date")


def fields(*kinds: str, nullable: bool | None = None) -> list[Column]:
    """List the fields of some kinds that may be missing, or that may not.

    Without a kind, fields of any kind are listed.
    """
    return [
        column
        for column in CONTRACT.columns
        if column.kind in (kinds or {column.kind})
        and nullable in {None, column.nullable}
    ]


def field(*kinds: str, nullable: bool | None = None) -> Column:
    """Return the first such field."""
    return fields(*kinds, nullable=nullable)[0]


def required() -> str:
    """Name a field that no record may leave out."""
    return field(nullable=False).name


def movable() -> Column:
    """Return a field whose values can be moved: a number, if there is one."""
    able = [
        column
        for column in CONTRACT.columns
        if column.kind != "category" or len(column.categories) > 1
    ]
    return min(able, key=lambda column: MOVABLE.index(column.kind))


def moved(values: np.ndarray, column: Column) -> np.ndarray:
    """Move the values of a column; gaps stay.

    Numbers and days become three times as high, others all the same.
    """
    if column.kind in {*NUMBERS, "date"}:
        low, high = column.bounds
        return np.clip(low + 3 * (values - low), low, high).astype(values.dtype)
    last = column.categories[-1] if column.kind == "category" else True
    return np.array(
        [
            value if value != value or value is None else last  # noqa: PLR0124 - NaN
            for value in values.tolist()
        ]
    ).astype(values.dtype)


def as_records(
    made: Mapping[str, np.ndarray], contract: Contract = CONTRACT
) -> list[dict[str, Any]]:
    """Turn arrays into JSON records, as a caller would send them.

    What the contract does not know stays.
    """
    known = {column.name: column for column in contract.columns}
    cells = {
        name: to_json(values, known[name]) if name in known else values.tolist()
        for name, values in made.items()
    }
    return [
        dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)
    ]


def wrong(column: Column) -> Any:
    """Return a value that the contract does not allow in a column, as JSON."""
    highest = column.bounds[1] if column.kind in NUMBERS else 0
    return highest + max(1, abs(highest)) if column.kind in NUMBERS else "no such value"


def two_records() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return two valid records that differ in one field, see `movable`."""
    column = movable()
    dates = (column.minimum, column.maximum)
    choices = {"category": column.categories, "boolean": (False, True), "date": dates}
    (first, *_, last) = choices.get(column.kind, column.bounds)
    whole = int if column.kind == "integer" else lambda value: value
    return CONTRACT.example() | {column.name: whole(first)}, CONTRACT.example() | {
        column.name: whole(last)
    }


def shown_record() -> dict[str, Any]:
    """Return the record that README shows."""
    found = re.search(
        r"(?m)^```json\n(\{.*\})$", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    return json.loads(found[1])
