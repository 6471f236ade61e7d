"""The record class → its columns: names, kinds, ranges and categories.

Everything that is derived comes from them. Nothing here knows a column's name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
from pydantic import BaseModel

from skewless.core.errors import ConfigError
from skewless.core.nouns import Noun
from skewless.core.record import DAY, NO_CONTROLS

Kind = Literal["integer", "number", "boolean", "category", "date"]
# what the pattern of `NO_CONTROLS` leaves out
CONTROL: Final = re.compile(r"[\x00-\x1F\x7F-\x9F]")
# of a surrogate pair: no character, so pydantic takes none
HALF: Final = re.compile(r"[\uD800-\uDFFF]")
NOT_TEXT: Final = re.compile(f"{CONTROL.pattern}|{HALF.pattern}")


class Columns(Protocol):
    """Column name → pandas or Dask Series, NumPy array (n,) or NumPy scalar."""

    def __getitem__(self, name: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class Column(BaseModel, frozen=True, extra="ignore"):
    """One field of the record, as the data that the artefact and `GET /model` hold."""

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
        """Type of the column in memory.

        Missing numbers need a float's NaN, and a date is days since 1970.
        """
        if self.kind == "category":
            return np.dtype(object)
        if self.kind in {"number", "date"} or self.nullable:
            return np.dtype(np.float64)
        return np.dtype(np.int64 if self.kind == "integer" else np.bool_)

    @property
    def choices(self) -> tuple[str, ...]:
        """Values that it takes one of, as text; none of a number or date.

        The records of each are a segment, as those without a value are.
        """
        return ("false", "true") if self.kind == "boolean" else self.categories

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of a number, or of a date as days.

        Both are declared, see `columns`.
        """
        return as_number(self.minimum), as_number(self.maximum)

    @property
    def rule(self) -> str:
        """What is allowed, in words: ``integer, 0 to 365``."""
        if self.kind == "category":
            allowed = f"one of {', '.join(self.categories)}"
        elif self.kind == "boolean":
            allowed = "true or false"
        else:
            low = _bound_in_words(self.minimum)
            high = _bound_in_words(self.maximum)
            allowed = f"{self.kind}, {low} to {high}"
        return f"{allowed}, or missing" if self.nullable else allowed


def _bound_in_words(bound: float | str | None) -> str:
    return bound if isinstance(bound, str) else f"{bound or 0:,.12g}"


class TableFormat(BaseModel, frozen=True, extra="forbid"):
    """How the training table spells what the record class declares."""

    id: str
    """Field that identifies a record.

    It is required and unique in a table, optional in a request.
    """
    target: str
    """Column to predict."""
    outcomes: dict[str, int]
    """How the table writes the target → 0 or 1.

    A number or truth value goes by its value, see `cells`.
    """
    headers: dict[str, str] = {}
    """Field, `id` or `target` → its header in the table, where that is another."""
    dates: dict[str, str] = {}
    """Field that is a date → how the table writes it, such as ``%d.%m.%Y``.

    2026-01-31 is always read.
    """


@dataclass(frozen=True, eq=False)
class Contract:
    """A record class and its table, and all that follows from the two."""

    record: type[BaseModel]
    table: TableFormat

    @property
    def id(self) -> str:
        """Name of the field that identifies a record."""
        return self.table.id

    @property
    def target(self) -> str:
        """Name of the column to predict."""
        return self.table.target

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The record's columns in their declared order, the id left out.

        Raises
        ------
        ConfigError
            A field is neither integer, number, boolean, date nor a choice of strings,
            or a number or date lacks a bound, or the id or a category may hold control
            characters.
        """
        properties = self.record.model_json_schema()["properties"]
        if self.id in properties:
            _check_id(self.id, properties[self.id])
        fields = self.record.model_fields
        return tuple(
            _column(name, spec, fields[name].metadata)
            for name, spec in properties.items()
            if name != self.id
        )

    @cached_property
    def noun(self) -> Noun:
        """What a sentence calls a record: the name of its class, in small letters."""
        return Noun.of_class(self.record)

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """What the cells of a table are, by field.

        The id is read as a category, the target as a boolean.
        """
        return {
            self.id: "category",
            self.target: "boolean",
            **{column.name: column.kind for column in self.columns},
        }

    @cached_property
    def id_length(self) -> tuple[int, int]:
        """The shortest and longest id that the record allows, in characters.

        Raises
        ------
        ConfigError
            The id's declaration lacks a length, or `NO_CONTROLS`.
        """
        spec = self.record.model_json_schema()["properties"][self.id]
        _check_id(self.id, spec)
        text = _text_of(spec)
        return text["minLength"], text["maxLength"]

    def example(self) -> dict[str, Any]:
        """Build a valid JSON record from the fields' own examples."""
        properties = self.record.model_json_schema()["properties"]
        return {
            name: spec["examples"][0]
            for name, spec in properties.items()
            if spec.get("examples")
        }


def _check_id(name: str, spec: Mapping[str, Any]) -> None:
    """Refuse an id without its lengths, or one that may hold control characters."""
    text = _text_of(spec)
    has_lengths = {"minLength", "maxLength"} <= text.keys()
    if not has_lengths or text.get("pattern") != NO_CONTROLS.pattern:
        msg = (
            f"schema.py: {name} must be declared as `Annotated[str | None, "
            "Field(min_length=1, max_length=64), NO_CONTROLS]`, with lengths of your "
            f"own; found {spec.get('anyOf', [])}"
        )
        raise ConfigError(msg)


def _text_of(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a field of text or missing may be; nothing for any other field."""
    options: Sequence[Mapping[str, Any]] = spec.get("anyOf", [])
    for option in options:
        if option.get("type") == "string":
            return option
    return {}


def _column(name: str, spec: Mapping[str, Any], rules: Sequence[Any]) -> Column:
    options = spec.get("anyOf", [spec])
    (kept, *others) = _options(spec)
    allowed = _categories(spec)
    _refuse_controls(name, allowed)
    kind = "category" if allowed and kept.get("type") == "string" else kept.get("type")
    if kept.get("format") == "date":
        kind = "date"
        kept = _bounds_of_date(rules)
    bounded = kind in {"category", "boolean"} or {"minimum", "maximum"} <= kept.keys()
    if others or not bounded or kind not in get_args(Kind):
        msg = (
            f"schema.py: {name} must be an int or float with ge= and le=, a bool, a "
            "Literal of strings, or a date with ge= and le= and, last, DAY (each may "
            f"be `| None`); found {dict(spec)}"
        )
        raise ConfigError(msg)
    return Column(
        name=name,
        kind=kind,
        nullable=len(options) > 1,
        minimum=kept.get("minimum"),
        maximum=kept.get("maximum"),
        categories=allowed,
        description=spec.get("description", ""),
    )


def _options(spec: Mapping[str, Any]) -> list[Any]:
    """List what a field may be besides missing, as JSON Schema has it."""
    return [
        option for option in spec.get("anyOf", [spec]) if option.get("type") != "null"
    ]


def _categories(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values that a field lists, if any, in their declared order."""
    kept = _options(spec)[0]
    if "enum" in kept:
        return tuple(kept["enum"])
    return (kept["const"],) if "const" in kept else ()


def _refuse_controls(name: str, categories: Sequence[Any]) -> None:
    wrong = [
        each for each in categories if isinstance(each, str) and not is_plain_text(each)
    ]
    if wrong:
        shown = ", ".join(f"'{each}'" for each in wrong)
        msg = (
            f"schema.py: {name} allows {shown}; a category must hold no control "
            "character. Write it plainly in the table, and allow that"
        )
        raise ConfigError(msg)


def _bounds_of_date(rules: Sequence[Any]) -> dict[str, str]:
    """Find what JSON Schema has no word for.

    It is nothing if the field would not take JSON's text everywhere.
    """
    if DAY not in rules:
        return {}
    found = {}
    for rule in rules:
        if getattr(rule, "ge", None) is not None:
            found["minimum"] = str(rule.ge)
        if getattr(rule, "le", None) is not None:
            found["maximum"] = str(rule.le)
    return found


@cache
def categories(record: type[BaseModel], name: str) -> tuple[str, ...]:
    """Return the values that a record class declares for a category, in their order.

    Raises
    ------
    ConfigError
        The field is no category.
    """
    found = {
        field: _categories(spec)
        for field, spec in record.model_json_schema()["properties"].items()
    }
    if not found.get(name):
        known = ", ".join(field for field, values in found.items() if values)
        msg = f"schema.py: {name} is not a category; {known or 'none'} is"
        raise ConfigError(msg)
    return found[name]


def is_plain_text(text: str) -> bool:
    r"""Tell whether a text has no control character and no half of a surrogate pair.

    >>> is_plain_text("c-1042 ü"), is_plain_text("c\0"), is_plain_text("\ud800")
    (True, False, False)
    """
    return NOT_TEXT.search(text) is None


def as_number(value: float | str | None) -> float:
    """Read a JSON number, or a date as days since 1970; what is missing is 0.

    >>> as_number("1970-02-01")
    31.0
    """
    if isinstance(value, str):
        return float(np.datetime64(value, "D").astype(int))
    return float(value or 0)
