"""A window of the log is counted as if its rows were a table, each record once."""

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fields import movable
from own import CONTRACT, ID
from remembered import NOON, in_columns, line, log_file
from skewless.core.contract import Column
from skewless.models.artifact import read_artifact
from skewless.models.reference import Distribution, Reference, freeze
from skewless.monitoring import window
from skewless.monitoring.drift import SCORE
from skewless.monitoring.place import EVERY, Log
from skewless.monitoring.views import open_views
from skewless.monitoring.window import Asked, cell_sql, gather, place_sql
from windows import customers, write_log

ROWS = 400
MOVED = movable().name
Row = tuple[str | None, float, dict[str, Any]]
"""An id, the score, and the cells that are not the example's."""


@pytest.fixture(scope="module")
def reference(version: Path) -> Reference:
    return read_artifact(version).metadata.reference


def request(number: int, second: int, rows: list[Row], *, together: bool) -> bytes:
    """Write what was asked at one moment, in one line or in one for each row."""
    entries = []
    for place, (name, score, cells) in enumerate(rows):
        record = CONTRACT.example() | {ID: name} | cells
        entry = json.loads(line(1000 * number + place, record=record))
        entry["time"] = (NOON + timedelta(seconds=second)).isoformat()
        entry["answer"]["probability"] = score
        entries.append(entry)
    if together:
        return in_columns(entries)
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def gathered(folder: Path, reference: Reference, columns: list[Column]) -> Asked:
    with open_views(Log(folder), CONTRACT) as views:
        return gather(views, EVERY, reference, columns=columns)


@pytest.mark.parametrize("shape", ["alone", "together"])
@pytest.mark.parametrize("order", [1, -1])
def test_who_is_asked_about_again_and_again_counts_once_with_the_latest_row(
    tmp_path: Path, reference: Reference, shape: str, order: int
):
    # a number of many values has none
    known = reference.columns[MOVED].values
    low, high = (
        (known[0], "never seen" if isinstance(known[0], str) else 1e9)
        if known
        else (-1e9, 1e9)
    )
    low, high = {MOVED: low}, {MOVED: high}
    files = [
        [(9, [("a", 0.9, high)]), (1, [("b", 0.1, low), (None, 0.1, low)])],
        [(5, [("a", 0.1, low)]), (2, [("b", 0.9, high), (None, 0.1, low)])],
    ]
    for name, requests in zip("ab", files[::order], strict=True):
        lines = (
            request(second, second, rows, together=shape == "together")
            for second, rows in requests
        )
        log_file(tmp_path, *lines, name=f"host-{name}.000")

    found = gathered(tmp_path, reference, [movable()])

    counts = found.counts[MOVED]
    # two without an id; the latest of a and b
    places = reference.columns[MOVED].place(np.array([low[MOVED], high[MOVED]]))
    assert counts[places].tolist() == [2, 2]
    assert counts.sum() == 4
    assert list(found.rows.model_dump().values()) == [4, 2, 6, 0]
    assert len(found.sample) == 4


REQUESTS = st.lists(
    st.tuples(
        st.dictionaries(
            st.integers(0, 5), st.floats(0, 1), min_size=1, max_size=5
        ),  # who, and the score; 0 names nobody
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(
    requests=REQUESTS,
    files=st.integers(1, 4),
    twice=st.booleans(),
    random=st.randoms(use_true_random=False),
)
@pytest.mark.slow
def test_the_latest_row_counts_whatever_the_order_the_files_and_the_shape_of_lines(
    tmp_path_factory: pytest.TempPathFactory,
    requests: list[tuple[dict[int, float], bool]],
    files: int,
    twice: bool,  # noqa: FBT001 - drawn by Hypothesis
    random: Any,
):
    folder = tmp_path_factory.mktemp("log")
    score = freeze(np.linspace(0, 1, 100))
    latest = dict[Any, float]()
    lines, logged = [], 0
    for second, (asked, together) in enumerate(requests):
        rows = [(f"c{who}" if who else None, value, {}) for who, value in asked.items()]
        lines.append(request(second, second, rows, together=together))
        latest |= {who or (second,): value for who, value in asked.items()}
        logged += len(rows)
    random.shuffle(lines)
    for place in range(files):
        log_file(folder, *lines[place::files], name=f"host-{place}.000")
    if twice:
        log_file(folder, *lines[::files], name="host-again.000")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "SAMPLE", 3)
        found = gathered(folder, Reference(columns={}, score=score), [])

    values = np.array(list(latest.values()))
    assert found.counts[SCORE].tolist() == score.count(values).tolist()
    assert found.rows.rows == len(latest)
    assert found.rows.rows_without_id == sum(isinstance(who, tuple) for who in latest)
    assert (found.rows.rows_logged > logged) == twice
    assert len(found.sample) == min(3, len(latest))
    assert set(found.sample[SCORE]) <= set(latest.values())


@pytest.mark.parametrize("shape", ["alone", "together"])
def test_a_log_is_counted_and_drawn_as_the_table_that_it_was_written_of(
    tmp_path: Path, reference: Reference, shape: str
):
    values = customers(ROWS, 5)
    ids = [f"c-{row}" for row in range(ROWS)]
    write_log(tmp_path, "0.1.0-00000000", values, time=NOON, ids=ids)
    if shape == "together":
        (path,) = tmp_path.iterdir()
        entries = [json.loads(each) for each in path.read_text().splitlines()]
        for each in entries:
            each["answer"]["trained_at"] = None
        path.write_bytes(in_columns(entries[:250]) + in_columns(entries[250:]))

    found = gathered(tmp_path, reference, list(CONTRACT.columns))

    bins = {**reference.columns, SCORE: reference.score}
    for name, each in bins.items():
        assert found.counts[name].tolist() == each.count(values[name]).tolist(), name
        drawn = each.count(found.sample[name].to_numpy())
        assert drawn.tolist() == each.count(values[name]).tolist(), name
    assert found.left_out == {}


def test_a_column_is_counted_only_over_rows_that_were_logged_as_they_are(
    tmp_path: Path, reference: Reference
):
    rows = [json.loads(line(number)) for number in range(10)]
    hidden = {"privacy": {MOVED: "drop"}}
    for each in rows[:3]:
        del each["record"][MOVED]
    alone = [json.dumps(each | hidden).encode() + b"\n" for each in rows[:2]]
    log_file(tmp_path, *alone, in_columns(rows[2:3], **hidden), in_columns(rows[3:]))

    found = gathered(tmp_path, reference, list(CONTRACT.columns))

    sums = {name: int(counts.sum()) for name, counts in found.counts.items()}
    assert sums == dict.fromkeys(sums, 10) | {MOVED: 7}
    assert found.left_out == {MOVED: 3}
    assert found.rows.rows == 10


KINDS = ("number", "boolean", "category", "date")
CELLS = {
    "number": st.floats() | st.sampled_from([0.1, -0.0, 1e-320, 2**53 + 1.0]),
    "boolean": st.booleans(),
    "category": st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3
    )
    | st.sampled_from(["'", '"', "a'b", "''", "NULL", "--", "\\"]),
    "date": st.integers(-30_000, 80_000),  # days since 1970
}
ARROW = {
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "date": pa.date32(),
}


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@pytest.mark.slow
def test_sql_puts_each_cell_into_the_bin_that_the_reference_puts_it_into(
    kind: str, data: st.DataObject
):
    cells = CELLS[kind]
    finite = cells.filter(lambda cell: kind != "number" or math.isfinite(cell))
    # More than 20 numbers have edges, others a bin each.
    least = data.draw(st.sampled_from([0, 30]) if kind == "number" else st.just(0))
    unique = {"min_size": least, "max_size": 60, "unique": least > 0}
    trained = data.draw(st.lists(finite, **unique))
    dtype = object if kind == "category" else np.float64
    bins = freeze(np.array([*trained, None], dtype))
    near = [*bins.edges, *bins.values, *bins.rare]
    if kind == "number":
        near += np.nextafter(bins.edges, math.inf).tolist()
    if kind == "date":
        near = np.concatenate([np.floor(near), np.ceil(near)]).tolist()
    asked = [*data.draw(st.lists(st.none() | cells, max_size=10)), *near, None]
    asked += [math.nan] if kind == "number" else []

    assert places(bins, kind, asked) == bins.place(np.array(asked, dtype)).tolist()


def places(bins: Distribution, kind: str, cells: list[Any]) -> list[int]:
    """Ask DuckDB for the bin of each cell."""
    column = Column(name='a "b"', kind=kind, nullable=True)
    if kind in {"boolean", "date"}:
        whole = [None if cell is None else int(cell) for cell in cells]
        array = pa.array(whole, pa.int32()).cast(ARROW[kind])
    else:
        array = pa.array(cells, ARROW[kind])
    sql = place_sql(bins, cell_sql(column))
    with duckdb.connect() as connection:
        connection.register("cells", pa.table({"cell": array}))
        found = connection.execute(
            f"SELECT {sql} FROM "  # noqa: S608 - the SQL is what is tested
            "(SELECT {'a \"b\"': cell} AS record FROM cells)"
        ).fetchall()
    return [place for (place,) in found]
