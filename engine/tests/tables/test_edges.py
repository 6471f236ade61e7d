"""Records at the edges of a contract: all are allowed, and every edge is among them."""

from typing import Self

from pydantic import model_validator

from churn_service.schema import Customer
from fields import NUMBERS, field
from own import CONTRACT, contract_of
from skewless.tables.edges import edge_records

NUMBER = field(*NUMBERS).name


def test_every_edge_of_every_field_is_there():
    records = edge_records(CONTRACT)

    for column in CONTRACT.columns:
        found = {getattr(record, column.name) for record in records}
        assert set(column.categories) <= found
        assert (None in found) == column.nullable
        if column.kind in {"integer", "number"}:
            assert set(column.bounds) <= found


def test_several_fields_are_at_an_edge_at_once():
    records = edge_records(CONTRACT)
    first, last = CONTRACT.columns[0], CONTRACT.columns[-1]

    pairs = {
        (getattr(record, first.name), getattr(record, last.name)) for record in records
    }

    assert len(pairs) > 3


def test_a_record_that_the_project_refuses_is_left_out():
    class Picky(Customer):
        @model_validator(mode="after")
        def _low(self) -> Self:
            if getattr(self, NUMBER) == field(*NUMBERS).maximum:
                msg = "too high"
                raise ValueError(msg)
            return self

    values = [getattr(record, NUMBER) for record in edge_records(contract_of(Picky))]

    assert values
    assert field(*NUMBERS).maximum not in values
