"""Which version answered this request, and what became of the customer."""

import json
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from conftest import Run, make_project
from own import CONTRACT, ID
from recorded import write_outcomes
from remembered import NOON, VERSION, database_at, in_columns, line, log_file
from skewless.monitoring import find as finding
from skewless.monitoring.compact import compact
from skewless.monitoring.place import Log
from skewless.monitoring.postgres import engine
from skewless.monitoring.postgres_log import PREDICTIONS


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = make_project(tmp_path / "own")
    days = ("2026-02-28", "2026-03-01")
    for start, day in enumerate(days):
        moment = NOON - timedelta(days=1 - start)
        log_file(
            folder / "predictions",
            *(line(10 * start + row, moment) for row in range(10)),
            day=day,
        )
    return folder


def recorded(days: float, outcome: int, **of: str) -> dict:
    seen = (NOON + timedelta(days=days)).isoformat()
    return {"recorded_at": seen, **of, "outcome": outcome, "observed_at": seen}


def test_an_answer_is_found_with_its_record_its_version_and_its_outcomes(
    own: Path, run: Run
):
    lines = [
        recorded(1, 0, record="c-13"),
        recorded(2, 1, prediction_id="p-13"),
        recorded(-1, 1, record="c-13"),  # seen before it was asked about
        recorded(400, 0, record="c-13"),  # beyond the horizon
        recorded(1, 1, record="c-12"),
        recorded(1, 1, prediction_id="p-12"),
    ]
    write_outcomes(own / "predictions", lines)

    done = run(own, "log", "find", "p-13", "--json")

    found = json.loads(done.stdout)
    assert (done.returncode, found["prediction_id"], found["model_version"]) == (
        0,
        "p-13",
        VERSION,
    ), done.stderr
    assert (found["time"], found["source"]) == (
        (NOON + timedelta(seconds=13)).isoformat(),
        "/predict",
    )
    assert (found["probability"], found["record"]) == (
        0.013,
        CONTRACT.example() | {ID: "c-13"},
    )
    assert [each["outcome"] for each in found["outcomes"]] == [0, 1]
    assert found["outcomes"][1]["observed_at"] == (NOON + timedelta(days=2)).isoformat()


def test_a_whole_number_is_one_although_others_miss_it(own: Path, run: Run):
    empty = dict.fromkeys(CONTRACT.example()) | {ID: None}
    lines = [line(33), line(34, record=empty)]
    log_file(own / "predictions", *lines, day="2026-03-01", name="host-2-b.000")

    found = json.loads(run(own, "log", "find", "p-33", "--json").stdout)
    nobody = json.loads(run(own, "log", "find", "p-34", "--json").stdout)

    assert json.dumps(found["record"], sort_keys=True) == json.dumps(
        CONTRACT.example() | {ID: "c-33"}, sort_keys=True
    )
    assert set(nobody["record"].values()) == {None}


@pytest.mark.parametrize("form", ["lines", "parquet"])
def test_one_row_of_a_batch_is_found_as_if_it_had_been_asked_alone(
    own: Path, run: Run, form: str
):
    rows = [json.loads(line(number, NOON)) for number in range(40, 44)]
    rows[2]["answer"]["probability"] = 0.125
    log_file(own / "predictions", in_columns(rows), name="host-2-b.000")
    write_outcomes(own / "predictions", [recorded(1, 1, record="c-42")])
    if form == "parquet":
        log = Log(own / "predictions")
        list(compact(log, before=date(2026, 4, 1), now=time.time() + 10**6))

    found = json.loads(run(own, "log", "find", "p-42", "--json").stdout)

    assert (found["prediction_id"], found["probability"]) == ("p-42", 0.125)
    assert (found["model_version"], found["source"]) == (VERSION, "/predict/batch")
    assert [each["outcome"] for each in found["outcomes"]] == [1]
    assert json.dumps(found["record"], sort_keys=True) == json.dumps(
        CONTRACT.example() | {ID: "c-42"}, sort_keys=True
    )


def test_a_column_that_privacy_hides_is_shown_as_it_is_kept(own: Path, run: Run):
    name = CONTRACT.columns[0].name
    row = json.loads(line(50, record=CONTRACT.example() | {name: "0a1b"}))
    hidden = json.dumps(row | {"privacy": {name: "hash"}}).encode() + b"\n"
    log_file(own / "predictions", hidden, name="host-2-b.000")

    found = json.loads(run(own, "log", "find", "p-50", "--json").stdout)

    assert (found["record"][name], found["privacy"]) == ("0a1b", {name: "hash"})


def test_a_person_reads_a_line_per_fact(own: Path, run: Run):
    said = run(own, "log", "find", "p-3").stdout

    assert f"model version     {VERSION}\n" in said
    assert f'customer          {{"{ID}": "c-3", ' in said or f'"{ID}": "c-3"' in said


def test_an_answer_that_the_log_does_not_hold_is_said_so(own: Path, run: Run):
    done = run(own, "log", "find", "p-99")

    assert (done.returncode, done.stdout) == (3, "")
    assert "the log holds no answer 'p-99'" in done.stderr


@pytest.mark.needs("postgres")
@pytest.mark.slow
def test_an_answer_is_found_in_the_database(
    own: Path, run: Run, database: str, monkeypatch: pytest.MonkeyPatch
):

    asked = engine(database_at(database))
    with asked.begin() as connection:
        PREDICTIONS.metadata.create_all(connection)
        rows = [json.loads(line(number)) for number in range(100, 120)]
        values = [
            {
                "prediction_id": row["answer"]["prediction_id"],
                "time": NOON,
                "model_version": VERSION,
                "entry": row,
            }
            for row in rows
        ]
        connection.execute(PREDICTIONS.insert(), values)
    asked.dispose()
    monkeypatch.setenv("CHURN_LOG_URL", database)

    found = [
        json.loads(run(own, "log", "find", name, "--json").stdout)
        for name in ("p-117", "p-3")
    ]

    assert [each["prediction_id"] for each in found] == ["p-117", "p-3"]


def test_the_command_has_help_with_an_example(own: Path, run: Run):
    assert "Example: " in run(own, "log", "find", "--help").stdout


@pytest.mark.fault
def test_an_answer_is_found_although_its_file_is_compacted_meanwhile(
    own: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    log = Log(own / "predictions")
    real = finding._in_lines  # noqa: SLF001 - the moment after the files were listed
    looks = []

    def in_lines(*words: object) -> object:
        if not looks:
            list(compact(log, before=date(2026, 4, 1), now=time.time() + 10**6))
        looks.append(words)
        return real(*words)

    monkeypatch.setattr(finding, "_in_lines", in_lines)

    done = run(own, "log", "find", "p-13", "--json")

    assert (done.returncode, len(looks)) == (0, 2), done.stderr
    assert json.loads(done.stdout)["prediction_id"] == "p-13"
