"""What is derived from the record class, for this contract and for others."""

import json
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from pydantic import BaseModel, Field

from churn_service.contract import Column, as_columns, as_scalars, columns, example, id_length, to_arrays
from churn_service.errors import ConfigError
from churn_service.schema import ID, Customer
from machine import Machine
from strategies import customers, payloads


def test_columns_tell_kind_range_categories_and_what_may_be_missing():
    assert columns(Machine) == (
        Column(name="running", kind="boolean", nullable=True),
        Column(name="heat", kind="number", minimum=-40, maximum=90.5, description="°C"),
        Column(name="maker", kind="category", categories=("a",)),
        Column(name="state", kind="category", categories=("on", "off"), nullable=True),
    )
    assert [column.rule for column in columns(Machine)] == [
        "true or false, or missing",
        "number, -40 to 90.5",
        "one of a",
        "one of on, off, or missing",
    ]
    assert id_length(Machine) == (2, 40)


def test_a_record_of_another_kind_becomes_scalars_with_its_own_types():
    made = as_scalars(Machine(running=None, heat=1, maker="a"))

    assert np.isnan(made.pop("running"))
    assert made == {"heat": 1.0, "maker": "a", "state": ""}
    assert isinstance(made["heat"], np.float64)


@pytest.mark.parametrize("annotation", [float, str, list[int], int | str, Annotated[int, Field(ge=0)]])
def test_a_field_that_no_table_can_hold_is_refused_with_what_is_allowed(annotation: type):
    record = type("Wrong", (BaseModel,), {"__annotations__": {"field": annotation}})

    with pytest.raises(ConfigError, match="field must be an int or float with ge= and le="):
        columns(record)


@given(payload=payloads())
def test_every_record_that_the_strategies_make_survives_json(payload: dict[str, object]):
    customer = Customer.model_validate_json(json.dumps(payload))

    assert customer.model_dump(exclude_unset=True) == payload


@given(customer=customers())
def test_arrays_and_scalars_of_a_record_hold_equal_values_of_equal_types(customer: Customer):
    scalars, arrays = as_scalars(customer), as_columns([customer])

    assert list(scalars) == list(arrays) == [column.name for column in columns()]
    for name, scalar in scalars.items():
        (value,) = arrays[name]
        assert isinstance(scalar, np.generic)
        assert type(value) is type(scalar) or isinstance(scalar, np.str_)
        assert value == scalar or (value is None and scalar == "") or (value != value and scalar != scalar)  # noqa: PLR0124 - NaN


def test_an_absent_column_is_missing_on_every_row():
    (first, *others) = columns()
    made = to_arrays({ID: [None] * 3} | {column.name: [example()[column.name]] * 3 for column in others})

    assert len(made[first.name]) == 3
    assert all(value is None or np.isnan(value) for value in made[first.name])


def test_every_field_has_an_example_and_a_description():
    assert {column.name for column in columns()} <= set(example())
    assert all(column.description for column in columns())
