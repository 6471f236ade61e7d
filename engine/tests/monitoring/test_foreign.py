"""What is not the service's in the folder of a log costs nothing but itself."""

import io
import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import Run
from own import CONTRACT, ID
from recorded import outcome
from remembered import NOON, ids, line, log_file, older_parquet, remembered, told
from skewless.core.errors import LogStoreError
from skewless.monitoring.compact import compact, prune
from skewless.monitoring.labels import join_outcomes
from skewless.monitoring.outcome_file import read_file
from skewless.monitoring.place import COMPACT, Log, Window

LATER = datetime(2027, 1, 1, tzinfo=UTC)
GOOD = [f"p-{number}" for number in range(4)]


def deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def changed(where: str | None = None, **values: Any) -> bytes:
    entry = json.loads(line(9))
    (entry[where] if where else entry).update(values)
    return json.dumps(entry).encode()


def without(where: str, name: str) -> bytes:
    entry = json.loads(line(9))
    del entry[where][name]
    return json.dumps(entry).encode()


FOREIGN = {
    "deep list": deep(10_000),
    "deep object": b'{"a":' * 10_000 + b"0" + b"}" * 10_000,
    "deep field cut short": line(9)[:-2] + b',"x":' + b"[" * 5_000,
    "null": b"null",
    "number": b"5",
    "week as time": changed(time="2026-W09-7T12:00:09Z"),
    "comma in time": changed(time="2026-03-01T12:00:09,0Z"),
    "time without end": changed(time="infinity"),
    "time of another kind": changed(time=5),
    "score of list": changed("answer", probability=[0.5]),
    "score of null": changed("answer", probability=None),
    "score absent": without("answer", "probability"),
    "score of 7": changed("answer", probability=7),
    "score not a number": changed("answer", probability=float("nan")),
    "batch of another shape": b'{"records":{"a":[1]},"answers":[1]}',
    "batch without scores": b'{"records":{"a":[1]},"answers":{"decision":[true]}}',
    "not UTF-8": line(9).strip().replace(b'"r-9"', b'"r\xff"'),
    "half a character": line(9).strip().replace(b'"p-9"', b'"p\\ud800"'),
}

LENIENT = {
    "score of text": (changed("answer", probability="0.5"), "probability", 0.5),
    "id of number": (changed("answer", prediction_id=5), "prediction_id", "5"),
    "version of list": (
        changed("answer", model_version=["a"]),
        "model_version",
        '["a"]',
    ),
    "cell of list": (changed("record", **{ID: ["a"]}), ID, '["a"]'),
    "cell of number": (changed("record", **{ID: 5}), ID, "5"),
}
"""A line, the field that is written in another way, and what it says all the same."""


def compacted(folder: Path) -> list[Any]:
    return list(compact(Log(folder), before=date(2026, 4, 1), now=time.time() + 10**6))


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.slow
def test_a_line_that_tells_of_no_prediction_is_counted_and_shifts_no_other(
    tmp_path: Path, foreign: bytes
):
    good = [line(number) for number in range(4)]
    log_file(tmp_path, *good[:2], foreign + b"\n", *good[2:])

    labelled = join_outcomes(
        Log(tmp_path), CONTRACT, Window(until=LATER), horizon=timedelta(days=90)
    )
    before = remembered(tmp_path)
    (done,) = compacted(tmp_path)

    assert (len(labelled), labelled["probability"].between(0, 1).all()) == (4, True)
    assert (ids(before), before.unreadable) == (GOOD, 1)
    assert (done.left, done.rows, done.unreadable) == (None, 4, 1)
    assert ids(remembered(tmp_path)) == GOOD


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.slow
def test_a_file_of_nothing_else_is_no_obstacle(tmp_path: Path, foreign: bytes):
    log_file(tmp_path, foreign + b"\n")

    found = remembered(tmp_path)

    assert (ids(found), found.unreadable) == ([], 1)
    assert (
        len(
            join_outcomes(
                Log(tmp_path), CONTRACT, Window(until=LATER), horizon=timedelta(days=90)
            )
        )
        == 0
    )
    assert [(done.rows, done.unreadable) for done in compacted(tmp_path)] == [(0, 1)]


@pytest.mark.parametrize(("foreign", "name", "value"), LENIENT.values(), ids=LENIENT)
def test_a_value_of_another_kind_that_says_the_same_is_read_as_that(
    tmp_path: Path, foreign: bytes, name: str, value: Any
):
    log_file(tmp_path, line(0), foreign + b"\n", line(1))

    before = remembered(tmp_path)
    (done,) = compacted(tmp_path)
    after = remembered(tmp_path)

    for found in (before, after):
        told = found.answers if name in found.answers else found.records
        assert told[name].tolist()[-1] == value
        assert (len(told), found.unreadable) == (3, 0)
    assert (done.rows, done.unreadable) == (3, 0)


@pytest.mark.parametrize(
    "extra",
    [b"5", b'{"a":{"b":[1]}}', deep(900), b'"2026-03-01"'],
    ids=["number", "object", "deep", "time"],
)
def test_a_field_that_nobody_knows_is_left_out_of_tables_and_parquet(
    tmp_path: Path, extra: bytes
):
    more = [
        line(number).strip()[:-1] + b',"extra":' + extra + b"}\n" for number in (1, 3)
    ]
    log_file(tmp_path, line(0), more[0], line(2), more[1])

    before = remembered(tmp_path)
    compacted(tmp_path)
    after = remembered(tmp_path)

    assert ids(before) == ids(after) == GOOD
    assert "extra" not in before.answers
    assert after.answers.equals(before.answers)
    assert after.records.equals(before.records)


def test_text_that_looks_like_json_is_kept_as_it_is(tmp_path: Path):
    customers = [CONTRACT.example() | {ID: text} for text in ("{{}{}}", "}", "[", "c")]
    log_file(
        tmp_path,
        *(line(number, record=customer) for number, customer in enumerate(customers)),
    )

    compacted(tmp_path)

    assert remembered(tmp_path).records[ID].tolist() == ["{{}{}}", "}", "[", "c"]


@pytest.mark.posix
def test_names_that_are_no_files_of_a_log_are_passed_over(tmp_path: Path):
    log_file(tmp_path, *(line(number) for number in range(4)))
    log_file(tmp_path, line(9), day="2026-19-39")
    for folder in (tmp_path, tmp_path / "outcomes", tmp_path / "shadow"):
        (folder / "2026-03-01.folder.jsonl").mkdir(parents=True)
        os.mkfifo(folder / "2026-03-01.pipe.jsonl")
    (tmp_path / COMPACT / "date=2026-03-01/version=a/2026-03-01.x.parquet").mkdir(
        parents=True
    )

    assert ids(remembered(tmp_path)) == GOOD
    assert len(told(tmp_path, before=LATER)) == 0
    assert [done.rows for done in compacted(tmp_path)] == [4]
    assert ids(remembered(tmp_path)) == GOOD
    assert (
        prune(
            Log(tmp_path), before=date(2026, 4, 1), outcomes=True, dry_run=False
        ).files
        == 1
    )
    assert ids(remembered(tmp_path)) == []


@pytest.mark.posix
@pytest.mark.parametrize("where", ["a file", "the folder"])
def test_a_name_that_is_not_utf_8_is_told_of(tmp_path: Path, where: str):
    odd = os.fsdecode(b"host-\xff")
    folder = tmp_path / odd if where == "the folder" else tmp_path
    log_file(folder, line(0), name="host-1-a" if where == "the folder" else odd)

    with pytest.raises(LogStoreError, match="its name is not UTF-8"):
        remembered(folder)


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-01 14:00:09+0200",
        "2026-03-01T14:00:09.000+02:00",
        "2026-03-01T12:00:09",
    ],
)
def test_a_time_that_is_written_in_another_way_is_the_same_time(
    tmp_path: Path, time: str
):
    log_file(tmp_path, line(8), changed(time=time))

    assert remembered(tmp_path).answers["time"].tolist() == [
        NOON + timedelta(seconds=n) for n in (8, 9)
    ]


def test_what_is_no_outcome_is_ignored(tmp_path: Path):
    known = outcome(0, 1, prediction_id="a")
    wrong = [
        5,
        [1],
        {},
        None,
        "x",
        known | {"outcome": "x"},
        known | {"outcome": 7},
        known | {"outcome": True},
    ]
    wrong += [
        known | {"prediction_id": None},
        known | {"recorded_at": 5},
        known | {"observed_at": [1]},
        known | {"observed_at": "x"},
        known | {"observed_at": "infinity"},
        known | {"recorded_at": "-infinity"},
    ]
    lines = [json.dumps(each).encode() + b"\n" for each in [*wrong, known]]
    log_file(
        tmp_path / "outcomes",
        *lines,
        deep(10_000) + b"\n",
        b'{"outcome"',
        day="2026-01-05",
    )

    assert told(tmp_path, before=LATER)["outcome"].tolist() == [1]


def test_a_late_line_of_a_compacted_day_is_read_beside_it(tmp_path: Path):
    log_file(tmp_path, line(0), line(1))
    compacted(tmp_path)

    log_file(tmp_path, line(2))
    beside = ids(remembered(tmp_path))
    compacted(tmp_path)
    log_file(tmp_path, line(3))

    assert beside == GOOD[:3]
    assert ids(remembered(tmp_path)) == GOOD
    compacted(tmp_path)
    assert ids(remembered(tmp_path)) == GOOD


@pytest.mark.fault
def test_what_is_written_while_it_is_compacted_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from skewless.monitoring import compact as compacting

    real = compacting.copy_parquet  # the moment before the end
    path = log_file(tmp_path, line(0))
    with path.open("ab") as late:

        def write(*words: Any) -> int:
            count = real(*words)
            late.write(line(1))
            late.flush()
            return count

        monkeypatch.setattr(compacting, "copy_parquet", write)
        (done,) = compacted(tmp_path)
    monkeypatch.undo()

    assert done.left == "written to meanwhile"
    assert ids(remembered(tmp_path)) == GOOD[:2]
    compacted(tmp_path)
    assert ids(remembered(tmp_path)) == GOOD[:2]


@pytest.mark.fault
def test_a_file_that_somebody_else_takes_away_is_passed_over(tmp_path: Path):
    for name in "abc":
        log_file(tmp_path, line(ord(name)), name=name)
    rest = compact(Log(tmp_path), before=date(2026, 4, 1), now=time.time() + 10**6)
    next(rest)
    other = compacted(tmp_path)

    assert (len(other), list(rest)) == (2, [])
    assert len(ids(remembered(tmp_path))) == 3


def damaged(whole: bytes) -> dict[str, bytes]:
    """Say what a disk may make of a file of Parquet."""
    other = io.BytesIO()
    pd.DataFrame({"time": [1]}).to_parquet(other)
    flipped = bytes([whole[50] ^ 1])
    found = {
        "garbage": b"x" * 500,
        "empty": b"",
        "cut short": whole[:-9],
        "a table of others": other.getvalue(),
    }
    return found | {"one bit": whole[:50] + flipped + whole[51:]}


@pytest.mark.fault
@pytest.mark.parametrize("how", damaged(bytes(100)))
@pytest.mark.slow
def test_damaged_parquet_is_named_with_what_to_do_and_never_read_as_something_else(
    project: Path, run: Run, how: str
):
    log_file(folder := project / "predictions", *(line(number) for number in range(4)))
    compacted(folder)
    (path,) = folder.rglob("*.parquet")
    path.write_bytes(damaged(path.read_bytes())[how])

    done = run(project, "performance", "--as-of", "2026-03-02")
    path.rename(project / path.name)
    without = run(project, "performance", "--as-of", "2026-03-02")

    assert (done.returncode, f"{path} cannot be read (" in done.stderr) == (1, True)
    assert "Put the file back from a backup, or move it away" in done.stderr
    assert (without.returncode, "nothing was predicted" in without.stdout) == (0, True)


def test_parquet_of_an_older_engine_is_read_and_its_damage_is_found(tmp_path: Path):
    lines = [line(number) for number in range(4)]
    log_file(tmp_path / "lines", *lines)
    path = older_parquet(tmp_path / "parquet", *lines)

    known = remembered(tmp_path / "lines")
    found = remembered(tmp_path / "parquet")

    assert found.answers.equals(known.answers)
    assert found.records.equals(known.records)
    whole = path.read_bytes()
    for how, content in damaged(whole).items():
        path.write_bytes(content)
        with pytest.raises(LogStoreError) as caught:
            remembered(tmp_path / "parquet")
        assert f"{path} cannot be read (" in str(caught.value), how


def test_a_bit_that_a_disk_turned_anywhere_is_found(tmp_path: Path):
    log_file(tmp_path, *(line(number) for number in range(4)))
    compacted(tmp_path)
    (path,) = tmp_path.rglob("*.parquet")
    whole = path.read_bytes()

    for place in np.linspace(0, len(whole) - 1, 30).astype(int).tolist():
        turned = bytes([whole[place] ^ 1])
        path.write_bytes(whole[:place] + turned + whole[place + 1 :])
        with pytest.raises(LogStoreError, match="cannot be read"):
            remembered(tmp_path)


def test_lines_that_are_put_back_beside_their_parquet_are_counted_once(
    project: Path, run: Run
):
    log_file(folder := project / "predictions", *(line(number) for number in range(4)))
    before = run(project, "performance", "--as-of", "2026-03-02", "--json")
    compacted(folder)
    log_file(folder, *(line(number) for number in range(4)))
    after = run(project, "performance", "--as-of", "2026-03-02", "--json")
    compacted(folder)

    assert (json.loads(before.stdout)["weeks"][0]["predicted"], after.stdout) == (
        4,
        before.stdout,
    )
    assert (
        run(project, "performance", "--as-of", "2026-03-02", "--json").stdout
        == before.stdout
    )
    assert len(ids(remembered(folder))) == 8  # who reads every line gets what is there


def test_prediction_ids_that_are_all_digits_are_text_in_a_file_of_outcomes(
    tmp_path: Path,
):
    (tmp_path / "known.csv").write_text(f"prediction_id,outcome\n{'01' * 16},1\n")

    assert [
        each.prediction_id for each in read_file(tmp_path / "known.csv", CONTRACT)
    ] == ["01" * 16]


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)
def test_a_moment_at_the_ends_of_the_calendar_is_recorded_as_the_service_would(
    project: Path, run: Run, moment: str
):
    (project / "known.csv").write_text(f"{ID},outcome,observed_at\nc-1,1,{moment}\n")

    done = run(project, "outcomes", "known.csv")

    (path,) = (project / "predictions/outcomes").glob("*.jsonl")
    assert (done.returncode, json.loads(path.read_text())["observed_at"]) == (
        0,
        moment,
    ), done.stderr
    known = told(project / "predictions", before=datetime.now(UTC) + timedelta(days=1))
    assert (known["observed_at"] <= known["recorded_at"]).tolist() == [True]
