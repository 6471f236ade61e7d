"""The record class → its columns: names, kinds, ranges and categories, for everything that is derived.

Nothing here knows a column's name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
from pydantic import BaseModel

from churn_service.errors import ConfigError
from churn_service.schema import DAY, ID, NO_CONTROLS, Customer

Kind = Literal["integer", "number", "boolean", "category", "date"]
CONTROL: Final = re.compile(r"[\x00-\x1F\x7F-\x9F]")  # what the pattern of `NO_CONTROLS` leaves out
HALF: Final = re.compile(r"[\uD800-\uDFFF]")  # of a surrogate pair: no character, so pydantic takes none
NOT_TEXT: Final = re.compile(f"{CONTROL.pattern}|{HALF.pattern}")


class Columns(Protocol):
    """Column name → pandas Series, Dask Series, NumPy array of shape (n,) or NumPy scalar."""

    def __getitem__(self, name: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class Column(BaseModel, frozen=True, extra="ignore"):
    """One field of the record, as data: what the artefact stores and `GET /model` shows."""

    name: str
    kind: Kind
    nullable: bool = False
    minimum: float | str | None = None
    maximum: float | str | None = None
    """Of a number, or of a date as text such as 2026-01-31."""
    categories: tuple[str, ...] = ()
    description: str = ""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the column in memory; missing numbers need a float's NaN, and a date is days since 1970."""
        if self.kind == "category":
            return np.dtype(object)
        if self.kind in {"number", "date"} or self.nullable:
            return np.dtype(np.float64)
        return np.dtype(np.int64 if self.kind == "integer" else np.bool_)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of a number, or of a date as days; both are declared, see `columns`."""
        return as_number(self.minimum), as_number(self.maximum)

    @property
    def rule(self) -> str:
        """What is allowed, in words: ``integer, 0 to 365``."""
        if self.kind == "category":
            allowed = f"one of {', '.join(self.categories)}"
        elif self.kind == "boolean":
            allowed = "true or false"
        else:
            bounds = self.minimum, self.maximum
            low, high = (bound if isinstance(bound, str) else f"{bound or 0:,.12g}" for bound in bounds)
            allowed = f"{self.kind}, {low} to {high}"
        return f"{allowed}, or missing" if self.nullable else allowed


@cache
def columns(record: type[BaseModel] = Customer) -> tuple[Column, ...]:
    """List the record's columns in their declared order, the id left out.

    Raises
    ------
    ConfigError
        A field is neither integer, number, boolean, date nor a choice of strings, or a number or date lacks
        a bound, or the id or a category may hold control characters.
    """
    properties = record.model_json_schema()["properties"]
    if ID in properties:
        id_length(record)  # raises if the id's rules are not complete
    fields = record.model_fields
    return tuple(
        _column(name, spec, fields[name].metadata) for name, spec in properties.items() if name != ID
    )


def _column(name: str, spec: Mapping[str, Any], rules: Sequence[Any]) -> Column:
    options = spec.get("anyOf", [spec])
    (kept, *others) = [option for option in options if option.get("type") != "null"]
    categories = tuple(kept.get("enum", [kept["const"]] if "const" in kept else []))
    _refuse_controls(name, categories)
    kind = "category" if categories and kept.get("type") == "string" else kept.get("type")
    if kept.get("format") == "date":
        kind, kept = "date", _bounds_of_date(rules)
    bounded = kind in {"category", "boolean"} or {"minimum", "maximum"} <= kept.keys()
    if others or not bounded or kind not in get_args(Kind):
        msg = (
            f"schema.py: {name} must be an int or float with ge= and le=, a bool, a Literal of strings, or a "
            f"date with ge= and le= and, last, DAY (each may be `| None`); found {dict(spec)}"
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


def _refuse_controls(name: str, categories: Sequence[Any]) -> None:
    wrong = [each for each in categories if isinstance(each, str) and not is_plain_text(each)]
    if wrong:
        shown = ", ".join(f"'{each}'" for each in wrong)
        msg = (
            f"schema.py: {name} allows {shown}; a category must hold no control character. Write it plainly "
            "in the table, and allow that"
        )
        raise ConfigError(msg)


def _bounds_of_date(rules: Sequence[Any]) -> dict[str, str]:
    """Find what JSON Schema has no word for; nothing, if the field would not take JSON's text everywhere."""
    names = {"ge": "minimum", "le": "maximum"}
    found = {names[key]: str(getattr(rule, key)) for rule in rules for key in names if hasattr(rule, key)}
    return found if DAY in rules else {}


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
    """Return the shortest and longest id that the record allows, in characters.

    Raises
    ------
    ConfigError
        The id's declaration lacks a length, or `NO_CONTROLS`.
    """
    options = record.model_json_schema()["properties"][ID].get("anyOf", [])
    text: dict[str, Any] = next((option for option in options if option.get("type") == "string"), {})
    if not {"minLength", "maxLength"} <= text.keys() or text.get("pattern") != NO_CONTROLS.pattern:
        msg = (
            f"schema.py: {ID} must be declared as `Annotated[str | None, Field(min_length=1, max_length=64), "
            f"NO_CONTROLS]`, with lengths of your own; found {options}"
        )
        raise ConfigError(msg)
    return text["minLength"], text["maxLength"]


def is_plain_text(text: str) -> bool:
    r"""Tell whether a text has no control character and no half of a surrogate pair.

    >>> is_plain_text("c-1042 ü"), is_plain_text("c\0"), is_plain_text("\ud800")
    (True, False, False)
    """
    return NOT_TEXT.search(text) is None


def example(record: type[BaseModel] = Customer) -> dict[str, Any]:
    """Build a valid JSON record from the fields' own examples.

    >>> Customer(**example()).model_dump(mode="json") == example()
    True
    """
    properties = record.model_json_schema()["properties"]
    return {name: spec["examples"][0] for name, spec in properties.items() if spec.get("examples")}


def as_number(value: float | str | None) -> float:
    """Read a JSON number, or a date as days since 1970; what is missing is 0.

    >>> as_number("1970-02-01")
    31.0
    """
    return float(np.datetime64(value, "D").astype(int)) if isinstance(value, str) else float(value or 0)
