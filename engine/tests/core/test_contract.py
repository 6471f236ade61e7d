"""What is derived from the record class, for this contract and for others."""

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError, create_model

from churn_service.schema import Customer
from machine import Machine
from own import CONTRACT, ID, contract_of
from skewless.core.arrays import as_columns, as_scalars, to_arrays, to_json
from skewless.core.contract import Column
from skewless.core.errors import ConfigError
from skewless.core.record import DAY, NO_CONTROLS
from skewless.tables.faults import describe, find_faults
from skewless.tables.simulate import simulate
from skewless.tables.table import read_table, typed, write_table
from skewless.testing import ids, payloads, records
from subscriber import FIRST, GERMAN, LAST, Subscriber


def test_columns_tell_kind_range_categories_and_what_may_be_missing():
    assert contract_of(Machine).columns == (
        Column(name="running", kind="boolean", nullable=True),
        Column(name="heat", kind="number", minimum=-40, maximum=90.5, description="°C"),
        Column(name="maker", kind="category", categories=("a",)),
        Column(name="state", kind="category", categories=("on", "off"), nullable=True),
    )
    assert [column.rule for column in contract_of(Machine).columns] == [
        "true or false, or missing",
        "number, -40 to 90.5",
        "one of a",
        "one of on, off, or missing",
    ]
    assert contract_of(Machine).id_length == (2, 40)


def test_a_record_of_another_kind_becomes_scalars_with_its_own_types():
    made = as_scalars(Machine(running=None, heat=1, maker="a"), contract_of(Machine))

    assert np.isnan(made.pop("running"))
    assert made == {"heat": 1.0, "maker": "a", "state": ""}
    assert isinstance(made["heat"], np.float64)


def test_a_date_has_its_bounds_as_text_and_counts_in_days():
    (signed_up, last_call, *_) = GERMAN.columns

    assert (signed_up.kind, signed_up.minimum, signed_up.maximum) == (
        "date",
        "1965-01-01",
        "2030-12-31",
    )
    assert (last_call.kind, last_call.nullable, last_call.dtype) == (
        "date",
        True,
        np.float64,
    )
    assert signed_up.bounds == (-1826.0, 22279.0)
    assert Column.model_validate_json(signed_up.model_dump_json()) == signed_up
    assert GERMAN.example()["last_call"] == "2026-01-31"


@given(signed_up=st.dates(FIRST, LAST), last_call=st.none() | st.dates(FIRST, LAST))
@pytest.mark.slow
def test_a_date_is_the_same_day_from_json_from_an_array_from_a_scalar_and_from_a_table(
    signed_up: dt.date, last_call: dt.date | None
):
    sent = GERMAN.example() | {
        "signed_up": str(signed_up),
        "last_call": last_call and str(last_call),
    }
    record = Subscriber.model_validate_json(json.dumps(sent))

    scalars = as_scalars(record, GERMAN)
    table = typed(pd.DataFrame([record.model_dump()]), GERMAN)

    assert Subscriber(**sent) == record
    assert json.loads(record.model_dump_json()) == {ID: None} | sent
    for column in GERMAN.columns[:2]:
        (in_table,) = table[column.name]
        assert isinstance(scalars[column.name], np.float64)
        assert np.array_equal([scalars[column.name]], [in_table], equal_nan=True)
        assert to_json(np.array([in_table]), column) == [sent[column.name]]


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-1-31",
        "20260131",
        "2026-W05-6",
        "2026-01-31T00:00:00",
        "31.01.2026",
        "2026-02-30",
        "",
        20_484,
        1.5,
        True,
    ],
)
def test_only_iso_text_is_a_date(wrong: object):
    sent = GERMAN.example() | {"signed_up": wrong}

    for validate in (
        Subscriber.model_validate,
        lambda sent: Subscriber.model_validate_json(json.dumps(sent)),
    ):
        with pytest.raises(ValidationError, match="signed_up"):
            validate(sent)


@pytest.mark.parametrize(
    "rules", [[], [DAY], [Field(ge=FIRST, le=LAST)], [Field(ge=FIRST), DAY]]
)
def test_a_date_without_bounds_or_its_mark_is_refused(rules: list[object]):
    annotation: Any = Annotated
    record = create_model(
        "Wrong", field=(annotation[(dt.date, *rules)] if rules else dt.date, ...)
    )

    with pytest.raises(ConfigError, match="a date with ge= and le= and, last, DAY"):
        _ = contract_of(record).columns


def test_a_simulated_table_with_dates_keeps_the_contract_that_it_is_drawn_from():
    made = pd.DataFrame(simulate(500, 1, GERMAN))

    assert len(find_faults(made, GERMAN, training=True)) == 0
    assert (made["signed_up"] % 1 == 0).all()
    assert 0.05 < made["last_call"].isna().mean() < 0.2


@pytest.mark.parametrize(
    "annotation", [float, str, list[int], int | str, Annotated[int, Field(ge=0)]]
)
def test_a_field_that_no_table_can_hold_is_refused_with_what_is_allowed(
    annotation: type,
):
    record = type("Wrong", (BaseModel,), {"__annotations__": {"field": annotation}})

    with pytest.raises(
        ConfigError, match="field must be an int or float with ge= and le="
    ):
        _ = contract_of(record).columns


@given(payload=payloads(CONTRACT))
def test_every_record_that_the_strategies_make_survives_json(
    payload: dict[str, object],
):
    customer = Customer.model_validate_json(json.dumps(payload))

    assert customer.model_dump(mode="json", exclude_unset=True) == payload


@given(customer=records(CONTRACT))
def test_arrays_and_scalars_of_a_record_hold_equal_values_of_equal_types(
    customer: Customer,
):
    scalars, arrays = as_scalars(customer, CONTRACT), as_columns([customer], CONTRACT)

    assert list(scalars) == list(arrays) == [column.name for column in CONTRACT.columns]
    for name, scalar in scalars.items():
        (value,) = arrays[name]
        assert isinstance(scalar, np.generic)
        assert type(value) is type(scalar) or isinstance(scalar, np.str_)
        assert (
            value == scalar
            or (value is None and scalar == "")
            or (value != value and scalar != scalar)  # noqa: PLR0124 - NaN
        )


@given(
    name=ids(CONTRACT),
    control=st.characters(categories=["Cc", "Cs"]),
    place=st.integers(0, 64),
)
def test_a_control_character_or_half_a_character_anywhere_in_an_id_is_refused(
    name: str, control: str, place: int
):
    broken = (name[:place] + control + name[place:])[: CONTRACT.id_length[1]]
    broken = broken if control in broken else control

    assert Customer(**CONTRACT.example() | {ID: name})
    with pytest.raises(ValidationError, match=ID):
        Customer(**CONTRACT.example() | {ID: broken})


@pytest.mark.parametrize("control", ["\0", "\n", "\x1b", "\x7f", "\x85"])
def test_a_table_names_row_and_column_of_an_id_with_a_control_character(
    control: str, tmp_path: Path
):
    table = pd.DataFrame(
        [CONTRACT.example() | {ID: f"c-{number}"} for number in range(4)]
    )
    table.loc[1, ID] = f"c{control}1"
    for path in (tmp_path / "table.csv", tmp_path / "table.parquet"):
        write_table(table, path, CONTRACT)

        (fault,) = find_faults(read_table(path, CONTRACT), CONTRACT).to_dict("records")

        assert (fault["row"], fault["column"], fault["rule"]) == (
            2,
            ID,
            "text without control characters",
        )
        assert fault["found"].isprintable()


@pytest.mark.parametrize("name", [ID, *(column.name for column in CONTRACT.columns)])
def test_half_a_character_in_any_cell_is_a_fault_of_its_row(name: str):
    table = pd.DataFrame(
        [CONTRACT.example() | {ID: f"c-{number}"} for number in range(4)]
    ).astype({name: object})
    table.loc[1, name] = "\ud800"

    (fault,) = find_faults(table, CONTRACT).to_dict("records")

    assert (fault["row"], fault["column"], fault["found"]) == (1, name, r"\ud800")


def test_a_cell_reaches_no_terminal_and_no_file_with_its_control_characters():
    (column, *_) = CONTRACT.columns
    table = pd.DataFrame([CONTRACT.example()]).astype({column.name: object})
    table.loc[0, column.name] = "\x1b[31mred\x07"

    told = describe(find_faults(table, CONTRACT))

    assert r"\x1b[31mred\x07" in told[-1]
    assert all(line.isprintable() for line in told)


def test_a_category_with_a_control_character_is_refused_with_the_contract():
    record = create_model("Wrong", field=(Literal["plain", "bel\x07"], ...))

    with pytest.raises(
        ConfigError, match=r"field allows 'bel\\x07'; a category must hold no control"
    ):
        _ = contract_of(record).columns


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [Field(min_length=1, max_length=64)],
        [NO_CONTROLS],
        [Field(max_length=64), NO_CONTROLS],
    ],
)
def test_an_id_without_its_lengths_or_its_mark_is_refused(rules: list[object]):
    annotation: Any = Annotated
    text = annotation[(str | None, *rules)] if rules else str | None
    record = create_model("Wrong", **{ID: (text, None), "field": (bool, ...)})

    with pytest.raises(ConfigError, match=rf"{ID} must be declared as .*NO_CONTROLS"):
        _ = contract_of(record).columns


def test_an_absent_column_is_missing_on_every_row():
    (first, *others) = CONTRACT.columns
    made = to_arrays(
        {ID: [None] * 3}
        | {column.name: [CONTRACT.example()[column.name]] * 3 for column in others},
        CONTRACT,
    )

    assert len(made[first.name]) == 3
    assert all(value is None or np.isnan(value) for value in made[first.name])


def test_every_field_has_an_example_and_a_description():
    assert {column.name for column in CONTRACT.columns} <= set(CONTRACT.example())
    assert all(column.description for column in CONTRACT.columns)
