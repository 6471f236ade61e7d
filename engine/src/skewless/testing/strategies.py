"""Hypothesis strategies, derived from a contract: no column is named here."""

from datetime import date
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from skewless.core.contract import Column, Contract


def values(column: Column) -> st.SearchStrategy[Any]:
    """Generate every value that the contract allows in a column, as JSON has it.

    None is missing.
    """
    match column.kind:
        case "category":
            allowed: st.SearchStrategy[Any] = st.sampled_from(column.categories)
        case "boolean":
            allowed = st.booleans()
        case "integer":
            low, high = column.bounds
            allowed = st.integers(int(low), int(high))
        case "number":
            allowed = st.floats(*column.bounds)
        case "date":
            first = date.fromisoformat(str(column.minimum))
            last = date.fromisoformat(str(column.maximum))
            allowed = st.dates(first, last).map(date.isoformat)
    return st.none() | allowed if column.nullable else allowed


def ids(contract: Contract) -> st.SearchStrategy[str]:
    """Generate every id that the contract allows.

    It has no control character, and no half of a surrogate pair.
    """
    shortest, longest = contract.id_length
    return st.text(
        st.characters(exclude_categories=["Cc", "Cs"]),
        min_size=shortest,
        max_size=longest,
    )


def payloads(contract: Contract) -> st.SearchStrategy[dict[str, Any]]:
    """Generate valid JSON records; a field that may be missing is null or left out."""
    required = {
        column.name: values(column)
        for column in contract.columns
        if not column.nullable
    }
    optional = {
        column.name: values(column) for column in contract.columns if column.nullable
    }
    return st.fixed_dictionaries(
        required, optional={**optional, contract.id: ids(contract)}
    )


def records(contract: Contract) -> st.SearchStrategy[BaseModel]:
    """Generate validated records."""
    return payloads(contract).map(lambda payload: contract.record(**payload))
