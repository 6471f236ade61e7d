"""What was asked in a window → counts in frozen bins and a sample, one row per id.

Of each id the latest row counts, so that none weighs more for being asked about every
hour. A row without an id stands for itself. What is kept of an id is a 64-bit hash and
a byte per column.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from skewless.core.contract import Column
from skewless.models.reference import Distribution, Reference
from skewless.monitoring.drift import SCORE
from skewless.monitoring.drift_figures import Rows
from skewless.monitoring.place import Window
from skewless.monitoring.views import Views, condition_sql, literal, quoted

SAMPLE: Final = 10_000  # rows
HASHES: Final = 2**64
LEAST_LINE_BYTES: Final = 100  # of a file of lines, per row
LEAST_PARQUET_BYTES: Final = 40
SPARE: Final = 50  # times the sample: rows kept at first, as an id has several
HIDDEN: Final = 255
"""Place of a cell that privacy did not keep as it was; no column has so many bins."""


class Asked(NamedTuple):
    """What was asked between two moments."""

    counts: dict[str, np.ndarray]
    """Column, or `SCORE` → records per bin."""
    left_out: dict[str, int]
    """Column → records that privacy hid while others were kept; none left out: absent.
    """
    segments: dict[tuple[str, int], dict[str, np.ndarray]]
    """Column whose values are segments, and its bin → such counts of the others."""
    sample: pd.DataFrame
    """The columns of at most 10,000 records, drawn by chance, the same each time."""
    rows: Rows


def gather(
    views: Views,
    window: Window,
    reference: Reference,
    *,
    columns: Sequence[Column],
    by: Sequence[str] = (),
) -> Asked:
    """Count a window of the log.

    Parameters
    ----------
    views
        Of the log, at least of that window.
    window
        Which predictions.
    reference
        Whose bins are counted in.
    columns
        The columns to count; privacy may have hidden others.
    by
        Columns, of those, whose values are segments.
    """
    bins = {column.name: reference.columns[column.name] for column in columns}
    places = [
        f"CASE WHEN privacy[{literal(column.name)}] IS NOT NULL THEN {HIDDEN} "
        f"ELSE {place_sql(bins[column.name], cell_sql(column))} END"
        for column in columns
    ]
    bins[SCORE] = reference.score
    places.append(place_sql(reference.score, "probability"))
    cells = [(column.name, cell_sql(column)) for column in columns]
    cells.append((SCORE, "probability"))
    words = _words(places)
    for cut in _cuts(views):
        views.ask(
            ROWS.format(
                id=f"record.{quoted(views.contract.id)}",
                words=", ".join(f"{word} AS {name}" for name, word in words.items()),
                kept=", ".join(f"{literal(name)}: {cell}" for name, cell in cells),
                cut=cut,
                condition=condition_sql(window),
            )
        )
        latest = (f"arg_max({name}, {MOMENT}) AS {name}" for name in words)
        views.ask(LATEST.format(words=", ".join(latest)))
        (facts,) = views.table(FACTS).to_dict("records")
        sample = views.table(SAMPLED.format(moment=MOMENT, rows=SAMPLE))
        if len(sample) >= min(SAMPLE, facts["rows"]):
            break
    names = list(bins)
    parts = {names.index(name): bins[name].bins for name in by}
    counts, within = views.batches(
        f"SELECT {', '.join(words)} FROM latest WHERE who IS NOT NULL",
        partial(_count, len(words), parts),
    )
    return Asked(
        counts=_by_name(counts, bins),
        left_out={
            column.name: int(counts[place, HIDDEN])
            for place, column in enumerate(columns)
            if counts[place, HIDDEN]
        },
        segments={
            (names[place], value): _by_name(found[value], bins, but=names[place])
            for place, found in within.items()
            for value in bins[names[place]].segments
        },
        sample=sample,
        rows=Rows.model_validate(facts),
    )


ROWS: Final = """
    CREATE OR REPLACE TEMP TABLE rows AS
    SELECT CASE WHEN readable THEN hash(coalesce({id}, prediction_id)) END AS who,
        {id} IS NOT NULL AS is_named, time, hash(prediction_id) AS prediction, {words},
        CASE WHEN who <= {cut} THEN {{{kept}}} END AS kept
    FROM entries WHERE NOT readable OR ({condition})
"""
"""Lines that could not be read have no `who`."""

MOMENT: Final = "(epoch_us(time)::HUGEINT << 64) + prediction"
"""Orders rows in time, and those of one moment always in the same way."""

LATEST: Final = """
    CREATE OR REPLACE TEMP TABLE latest AS
    SELECT who, count(*) AS answers, bool_or(is_named) AS is_named, {words}
    FROM rows GROUP BY who
"""
FACTS: Final = """
    SELECT count(who) AS rows,
        count(*) FILTER (WHERE who IS NOT NULL AND NOT is_named) AS rows_without_id,
        coalesce(sum(answers) FILTER (WHERE who IS NOT NULL), 0)::BIGINT AS rows_logged,
        coalesce(sum(answers) FILTER (WHERE who IS NULL), 0)::BIGINT AS rows_unreadable
    FROM latest
"""
SAMPLED: Final = """
    SELECT unnest(arg_max(kept, {moment})) FROM rows
    WHERE who IS NOT NULL AND kept IS NOT NULL
    GROUP BY who ORDER BY who LIMIT {rows}
"""
"""The ids with the smallest hashes: a draw by chance, the same each time."""

PLACES: Final = 8  # of a byte each, in a word of 64 bits


def cell_sql(column: Column) -> str:
    """Give a cell of a record as the features see it, in SQL."""
    cell = f"record.{quoted(column.name)}"
    if column.kind == "category":
        return cell
    if column.kind == "date":
        return f"date_diff('day', DATE '1970-01-01', {cell})::DOUBLE"
    # NaN is missing, as it is to the features; to DuckDB it is the largest number.
    return f"nullif({cell}::DOUBLE, 'NaN'::DOUBLE)"


def place_sql(bins: Distribution, cell: str) -> str:
    """Say in SQL in which bin a cell lies, as `Distribution.place` does."""
    missing = bins.bins - 1
    whens = [f"WHEN {cell} IS NULL THEN {missing}"]
    if bins.edges:
        whens += [
            f"WHEN {cell} <= {edge!r}::DOUBLE THEN {place}"
            for place, edge in enumerate(bins.edges)
        ]
        others = len(bins.edges)
    else:
        whens += [
            f"WHEN {cell} = {_value_sql(value)} THEN {min(place, len(bins.values))}"
            for place, value in enumerate((*bins.values, *bins.rare))  # noqa: PD011 - no table
        ]
        others = bins.known_bins
    return f"CASE {' '.join(whens)} ELSE {others} END"


def _value_sql(value: float | str) -> str:
    return literal(value) if isinstance(value, str) else f"{value!r}::DOUBLE"


def _cuts(views: Views) -> Iterator[int]:
    """Guess the hash up to which rows must be kept for the sample, then keep all."""
    files = views.files
    most_rows = _bytes(files.lines) // LEAST_LINE_BYTES
    most_rows += _bytes(files.parquet) // LEAST_PARQUET_BYTES
    guess = SAMPLE * SPARE * HASHES // max(most_rows, 1)
    if guess < HASHES:
        yield guess
    yield HASHES - 1


def _bytes(paths: Sequence[str]) -> int:
    return sum(Path(path).stat().st_size for path in paths)


def _words(places: Sequence[str]) -> dict[str, str]:
    """Pack places into words, which DuckDB can move to a disk and lists it cannot."""
    words = {}
    for first in range(0, len(places), PLACES):
        parts = [
            f"(({place})::UBIGINT << {8 * number})"
            for number, place in enumerate(places[first : first + PLACES])
        ]
        words[f"word_{first}"] = " | ".join(parts)
    return words


def _count(
    words: int, parts: Mapping[int, int], batches: Iterable[pa.RecordBatch]
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Count what is in each byte of the words of rows.

    Parameters
    ----------
    words
        How many there are.
    parts
        Byte whose values are segments → how many values.
    batches
        The rows.

    Returns
    -------
    tuple
        Rows by byte and its value, (bytes of all words, 256); the same of each segment,
        by the byte that it is of, each (values, bytes of all words, 256).
    """
    shape = words * PLACES, HIDDEN + 1
    counts = np.zeros(shape, np.int64)
    within = {
        byte: np.zeros((values, *shape), np.int64) for byte, values in parts.items()
    }
    for batch in batches:
        rows = np.column_stack([column.to_numpy() for column in batch.columns])
        places = rows.astype("<u8", order="C").view(np.uint8)
        counts += _count_bytes(places)
        for byte, found in within.items():
            for value in range(len(found)):
                found[value] += _count_bytes(places[places[:, byte] == value])
    return counts, within


def _count_bytes(places: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(column, minlength=HIDDEN + 1) for column in places.T])


def _by_name(
    counts: np.ndarray, bins: Mapping[str, Distribution], but: str | None = None
) -> dict[str, np.ndarray]:
    """Give each column, but one, and the score the counts of its byte."""
    return {
        name: counts[place, : each.bins]
        for place, (name, each) in enumerate(bins.items())
        if name != but
    }
