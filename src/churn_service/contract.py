"""The record class → its columns: names, kinds, ranges and categories, for everything that is derived.

Nothing here knows a column's name. A record is turned into columns in two shapes that hold the same values:
arrays of length n (`as_columns`) and NumPy scalars (`as_scalars`, for one record, without the arrays' cost).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel

from churn_service.errors import ConfigError
from churn_service.schema import ID, Customer

Kind = Literal["integer", "number", "boolean", "category"]


class Columns(Protocol):
    """Column name → pandas Series, Dask Series, NumPy array of shape (n,) or NumPy scalar."""

    def __getitem__(self, name: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class Column(BaseModel, frozen=True, extra="ignore"):
    """One field of the record, as data: what the artefact stores and `GET /model` shows."""

    name: str
    kind: Kind
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    description: str = ""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the column in memory; missing numbers need a float's NaN."""
        if self.kind == "category":
            return np.dtype(object)
        if self.kind == "number" or self.nullable:
            return np.dtype(np.float64)
        return np.dtype(np.int64 if self.kind == "integer" else np.bool_)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of a number; both are declared, see `columns`."""
        return float(self.minimum or 0), float(self.maximum or 0)

    @property
    def rule(self) -> str:
        """What is allowed, in words: ``integer, 0 to 365``."""
        if self.kind == "category":
            allowed = f"one of {', '.join(self.categories)}"
        elif self.kind == "boolean":
            allowed = "true or false"
        else:
            low, high = (f"{bound:,.12g}" for bound in self.bounds)
            allowed = f"{self.kind}, {low} to {high}"
        return f"{allowed}, or missing" if self.nullable else allowed


@cache
def columns(record: type[BaseModel] = Customer) -> tuple[Column, ...]:
    """List the record's columns in their declared order, the id left out.

    Raises
    ------
    ConfigError
        A field is neither integer, number, boolean nor a choice of strings, or a number lacks a bound.
    """
    properties = record.model_json_schema()["properties"]
    return tuple(_column(name, spec) for name, spec in properties.items() if name != ID)


def _column(name: str, spec: Mapping[str, Any]) -> Column:
    options = spec.get("anyOf", [spec])
    (kept, *others) = [option for option in options if option.get("type") != "null"]
    categories = tuple(kept.get("enum", [kept["const"]] if "const" in kept else []))
    kind = "category" if categories and kept.get("type") == "string" else kept.get("type")
    bounded = kind in {"category", "boolean"} or {"minimum", "maximum"} <= kept.keys()
    if others or not bounded or kind not in {"integer", "number", "boolean", "category"}:
        msg = (
            f"schema.py: {name} must be an int or float with ge= and le=, a bool, or a Literal of strings "
            f"(each may be `| None`); found {dict(spec)}"
        )
        raise ConfigError(msg)
    return Column(
        name=name,
        kind=kind,
        nullable=len(options) > 1,
        minimum=kept.get("minimum"),
        maximum=kept.get("maximum"),
        categories=categories,
        description=spec.get("description", ""),
    )


@cache
def categories(name: str) -> tuple[str, ...]:
    """Return the values that the contract declares for a category column, in their declared order."""
    declared = {column.name: column.categories for column in columns() if column.kind == "category"}
    if name not in declared:
        msg = f"schema.py: {name} is not a category; {', '.join(declared) or 'none'} is"
        raise ConfigError(msg)
    return declared[name]


@cache
def id_length(record: type[BaseModel] = Customer) -> tuple[int, int]:
    """Return the shortest and longest id that the record allows, in characters."""
    (text, _) = record.model_json_schema()["properties"][ID]["anyOf"]
    return text["minLength"], text["maxLength"]


def example(record: type[BaseModel] = Customer) -> dict[str, Any]:
    """Build a valid JSON record from the fields' own examples.

    >>> Customer(**example()).model_dump() == example()
    True
    """
    properties = record.model_json_schema()["properties"]
    return {name: spec["examples"][0] for name, spec in properties.items() if spec.get("examples")}


def as_columns(records: Sequence[BaseModel]) -> dict[str, np.ndarray]:
    """Turn n validated records into arrays of shape (n,)."""
    rows = [record.__dict__ for record in records]
    return to_arrays({column.name: [row[column.name] for row in rows] for column in columns()})


def to_arrays(values: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
    """Turn lists of JSON values (None is missing) into the contract's arrays; an absent column is missing."""
    rows = len(next(iter(values.values())))
    return {
        column.name: np.array(_present(values[column.name], column), dtype=column.dtype)
        if column.name in values
        else np.full(rows, None if column.kind == "category" else np.nan)
        for column in columns()
    }


def as_scalars(record: BaseModel) -> dict[str, Any]:
    """Turn one validated record into NumPy scalars: the same values as `as_columns`, without arrays.

    A missing category is the empty string: like None it equals no category, and like an array's cell its
    comparisons are NumPy's, so that ``~`` and ``+`` mean the same as on columns.
    """
    return {
        name: kind(missing if (value := getattr(record, name)) is None else value)
        for name, kind, missing in _scalar_kinds(type(record))
    }


@cache
def _scalar_kinds(record: type[BaseModel]) -> tuple[tuple[str, Callable[[Any], np.generic], Any], ...]:
    return tuple(
        (column.name, np.str_, "") if column.kind == "category" else (column.name, column.dtype.type, np.nan)
        for column in columns(record)
    )


def _present(values: Sequence[Any], column: Column) -> Sequence[Any]:
    """Write a missing number as NaN; a missing category stays None and equals no category."""
    if column.kind == "category" or not column.nullable:
        return values
    return [np.nan if value is None else value for value in values]
