"""Columns are read as the same records would be, whatever a record class declares."""

import datetime as dt
from typing import Annotated, Any, Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from skewless import DAY, WHOLE, Record
from skewless.core.record_columns import BatchReader, RecordColumns


class Of(Record):
    """Every kind of field, each required and not."""

    count: Annotated[int, Field(ge=0, le=9), WHOLE]
    share: Annotated[float, Field(ge=0, le=1)]
    is_new: bool
    kind: Literal["a", "b"]
    day: Annotated[dt.date, Field(ge=dt.date(2020, 1, 1), le=dt.date(2030, 1, 1)), DAY]
    visits: Annotated[int | None, Field(ge=0, le=9), WHOLE] = None
    other_day: Annotated[
        dt.date | None, Field(ge=dt.date(2020, 1, 1), le=dt.date(2030, 1, 1)), DAY
    ] = None
    name: Annotated[str | None, Field(min_length=1)] = None


class Checked(Of):
    """Has a rule that no cell shows."""

    @model_validator(mode="after")
    def is_consistent(self) -> Self:
        if self.is_new and self.count > 3:
            msg = "a new one has few"
            raise ValueError(msg)
        return self


class Doubled(Of):
    """Changes a value."""

    @field_validator("share")
    @classmethod
    def doubled(cls, share: float) -> float:
        return share * 2


class Emptied(Of):
    """Changes what is sent."""

    @model_validator(mode="before")
    @classmethod
    def without_kind(cls, sent: Any) -> Any:
        return sent | {"kind": "a"} if isinstance(sent, dict) else sent


class Counted(Of):
    """Has a default of each record's own."""

    name: Annotated[str | None, Field(default_factory=lambda: "made")]


class Lenient(Of):
    model_config = ConfigDict(strict=False)


class Careless(Of):
    model_config = ConfigDict(extra="ignore")


class Named(Of):
    share: Annotated[float, Field(ge=0, le=1, alias="part")]


RIGHT = {
    "count": 3,
    "share": 0.5,
    "is_new": True,
    "kind": "a",
    "day": "2024-02-29",
    "visits": None,
    "other_day": None,
    "name": "x",
}
CELLS = [
    *(None, True, False, 0, 4, 4.0, 4.5, 12, -1, 0.25, float("nan"), float("inf")),
    *("a", "b", "", "4", "2024-02-29", "2024-02-30", "20240229", [], {}, 10**400),
]
RECORDS = [Of, Checked, Doubled, Emptied, Counted, Lenient, Careless, Named]


@st.composite
def columns(draw: st.DrawFn) -> dict[str, list[Any]]:
    rows = draw(st.integers(1, 4))
    cells = {name: [value] * rows for name, value in RIGHT.items()}
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*RIGHT, "part"]))
        column = cells.setdefault(name, [0.5] * rows)
        column[draw(st.integers(0, rows - 1))] = draw(st.sampled_from(CELLS))
    for name in draw(st.lists(st.sampled_from(list(RIGHT)), max_size=1)):
        cells.pop(name)
    if draw(st.booleans()):
        cells["unknown"] = [1] * rows
    return cells


def as_rows(cells: dict[str, list[Any]]) -> list[dict[str, Any]]:
    together = zip(*cells.values(), strict=True)
    return [dict(zip(cells, row, strict=True)) for row in together]


def read(reading: Any, sent: Any) -> Any:
    """Return what is read, or the faults."""
    try:
        return reading(sent)
    except ValidationError as error:
        return [(each["loc"], each["type"], each["msg"]) for each in error.errors()]


def by_row(faults: list[Any], rows: int) -> set[Any]:
    """Say of columns' faults what they are in records."""
    found = set()
    for place, rule, text in faults:
        match place:
            case (int(row),):
                found.add(((row,), rule, text))
            case (name, int(row), *rest):
                found.add(((row, name, *rest), rule, text))
            case _:
                found |= {((row, *place), rule, text) for row in range(rows)}
    return found


@pytest.mark.parametrize("record", RECORDS)
@given(sent=columns())
def test_columns_are_read_as_the_same_records(record: Any, sent: dict[str, list[Any]]):
    rows, reader = as_rows(sent), BatchReader(record)
    expected = read(TypeAdapter(list[record]).validate_python, rows)

    from_columns = read(reader.read_columns, sent)
    from_records = read(reader.read_records, rows)

    if isinstance(from_columns, RecordColumns):
        assert list(from_columns) == list(from_records) == expected
        assert repr([each.model_fields_set for each in from_columns]) == repr(
            [each.model_fields_set for each in expected]
        )
        for found in (from_columns, from_records):
            lists = {n: [getattr(e, n) for e in expected] for n in record.model_fields}
            assert repr(found.lists) == repr(lists)
    else:
        assert from_records == expected
        assert by_row(from_columns, len(rows)) == {
            (tuple(place), *rest) for place, *rest in expected
        }


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {name: st.just(value) for name, value in RIGHT.items() if value},
            optional={
                "visits": st.sampled_from([None, 1, 2.0, "x"]),
                "unknown": st.just(1),
            },
        )
        | st.sampled_from([None, 1, "text", [], ["count"], {}, RIGHT]),
        max_size=4,
    )
)
def test_records_that_differ_in_what_they_hold_are_read_as_a_list_of_them(rows: Any):
    wanted = TypeAdapter(Annotated[list[Of], Field(min_length=1)])

    found = read(BatchReader(Of).read_records, rows)

    expected = read(wanted.validate_python, rows)
    assert (list(found) if isinstance(found, RecordColumns) else found) == expected


def test_some_of_the_records_are_columns_too():
    sent = {name: [value] * 4 for name, value in RIGHT.items()}
    sent["count"] = [1, 2, 3, 4]
    batch = BatchReader(Of).read_columns(sent)

    some = batch[1:3]

    assert isinstance(some, RecordColumns)
    assert (len(some), some.lists["count"]) == (2, [2, 3])
    assert [each.count for each in some] == [2, 3]
    assert batch[-1].count == 4


def test_records_are_built_once_and_only_if_they_are_asked_for():
    built: list[int] = []

    class Noisy(BaseModel):
        count: int

        def __hash__(self) -> int:
            return self.count

    records = [Noisy(count=1), Noisy(count=2)]

    def build() -> list[BaseModel]:
        built.append(len(records))
        return list(records)

    batch = RecordColumns(Noisy, {"count": [1, 2]}, build=build)
    assert (len(batch), built) == (2, [])
    assert (batch[0], list(batch), built) == (records[0], records, [2])
