"""The records at the edges of what a contract allows, where code is wrong first."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from skewless.core.contract import Column, Contract

MIXED = 100  # records that stand at several edges at once
SEED = 17


def edge_records(contract: Contract) -> list[BaseModel]:
    """List records at the edges of a contract.

    They are the example; the example without anything that may be missing; the example
    with one field at each of its edges; and `MIXED` records whose every field is at an
    edge, drawn by a fixed seed. The edges of a field are its bounds, 0 if that lies
    between, each category, both truth values, and missing where it is allowed. A record
    that a validator of the record class refuses is left out.
    """
    edges = {column.name: _edges(column) for column in contract.columns}
    example = {name: values[0] for name, values in edges.items()} | contract.example()
    bare = {column.name: None for column in contract.columns if column.nullable}
    made = [example, example | bare]
    for name, values in edges.items():
        made += [example | {name: value} for value in values]
    random = np.random.default_rng(SEED)
    for _ in range(MIXED):
        drawn = {name: _one_of(values, random) for name, values in edges.items()}
        made.append(example | drawn)
    return list(_allowed(made, contract))


def _allowed(made: list[dict[str, Any]], contract: Contract) -> Iterator[BaseModel]:
    for record in made:
        with suppress(ValidationError):
            yield contract.record.model_validate(record)


def _one_of(values: list[Any], random: np.random.Generator) -> Any:
    return values[random.integers(len(values))]


def _edges(column: Column) -> list[Any]:
    missing = [None] if column.nullable else []
    if column.kind == "category":
        return [*column.categories, *missing]
    if column.kind == "boolean":
        return [False, True, *missing]
    if column.kind == "date":
        return [column.minimum, column.maximum, *missing]
    low, high = column.bounds
    numbers = {low, high, min(max(0.0, low), high)}
    number = int if column.kind == "integer" else float
    return [*map(number, sorted(numbers)), *missing]
