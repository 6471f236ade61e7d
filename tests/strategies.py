"""Hypothesis strategies, derived from the contract: no column is named here."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from churn_service.contract import Column
from churn_service.schema import Customer
from own import CONTRACT, ID


def values(column: Column) -> st.SearchStrategy[Any]:
    """Every value that the contract allows in a column; None is missing."""
    match column.kind:
        case "category":
            allowed: st.SearchStrategy[Any] = st.sampled_from(column.categories)
        case "boolean":
            allowed = st.booleans()
        case "integer":
            allowed = st.integers(int(column.minimum), int(column.maximum))
        case "number":
            allowed = st.floats(column.minimum, column.maximum)
        case "date":
            first, last = (date.fromisoformat(bound) for bound in (column.minimum, column.maximum))
            allowed = st.dates(first, last).map(date.isoformat)
    return st.none() | allowed if column.nullable else allowed


def ids() -> st.SearchStrategy[str]:
    """Every id that the contract allows: no control character, and no half of a surrogate pair."""
    shortest, longest = CONTRACT.id_length
    return st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=shortest, max_size=longest)


def payloads() -> st.SearchStrategy[dict[str, Any]]:
    """Valid JSON records; a field that may be missing is null or left out."""
    required = {column.name: values(column) for column in CONTRACT.columns if not column.nullable}
    optional = {column.name: values(column) for column in CONTRACT.columns if column.nullable}
    return st.fixed_dictionaries(required, optional={**optional, ID: ids()})


def customers() -> st.SearchStrategy[Customer]:
    """Build validated records."""
    return payloads().map(lambda payload: Customer(**payload))
