"""How well each field separates the outcomes alone, and the scorecards it makes."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skewless.adopt.cells import TRUTH, Distinct
from skewless.adopt.fields import AdoptedField
from skewless.adopt.target import Target
from skewless.adopt.worth import Scorecard, own_auc, scorecard
from skewless.adopt.written import Written

SAMPLE: Final = 100_000  # rows that columns are judged on, evenly spread


@dataclass(frozen=True)
class Judged:
    """A field, and what it is worth alone."""

    field: AdoptedField
    auc: float
    cards: tuple[Scorecard, ...]


def sample(column: pa.ChunkedArray) -> pa.Array:
    """Take rows evenly from a column, the same from every column of a table."""
    rows = np.unique(np.linspace(0, len(column) - 1, SAMPLE).astype(np.int64))
    return (
        column if len(rows) == len(column) else column.take(pa.array(rows))
    ).combine_chunks()


def outcomes(column: pa.Array, target: Target) -> np.ndarray:
    """Read the target of sampled rows as 0 and 1."""
    return np.array([target.meanings[word.strip()] for word in column.to_pylist()])


def judge(
    field: AdoptedField, column: pa.Array, *, written: Written, target: np.ndarray
) -> Judged:
    """Judge one field by sampled rows."""
    values = _as_numbers(field, column, written)
    auc = own_auc(values, target)
    if field.kind != "category":
        cards = [scorecard(field.name, values, target)]
    else:
        # A missing category is zero everywhere, as in `one_hot`.
        cards = [
            scorecard(name, (values == code).astype(np.float64), target)
            for code, name in enumerate(field.features)
        ]
    return Judged(field, auc, tuple(card for card in cards if card is not None))


def _as_numbers(field: AdoptedField, column: pa.Array, written: Written) -> np.ndarray:
    """Read cells as the model's numbers; a missing one is NaN.

    A category is read as the place of its value.
    """
    encoded = column.dictionary_encode()
    different = Distinct(encoded.dictionary, np.ones(len(encoded.dictionary)))
    match field.kind:
        case "category":
            places = {
                value: float(place) for place, value in enumerate(field.profile.values)
            }
            read = np.array(
                [places.get(text, np.nan) for text in different.texts.to_pylist()]
            )
        case "boolean":
            read = np.array(
                [
                    TRUTH.get(text.lower(), np.nan)
                    for text in different.stripped.to_pylist()
                ]
            )
        case "date":
            read = different.days(field.profile.date_format)
        case _:
            read = different.numbers(written.style)
    read = np.where(
        pc.is_in(different.stripped, pa.array(written.missing)), np.nan, read
    )
    codes = encoded.indices.fill_null(len(read)).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(read, np.nan)[codes])
