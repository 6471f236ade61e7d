"""Closed days become Parquet, and old ones go.

Nothing is lost, doubled or removed unasked, whenever it stops.
"""

import json
import os
import re
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conftest import Run, make_project
from fields import field
from own import CONTRACT, ID
from remembered import NOON, database_at, ids, in_columns, line, log_file, remembered
from skewless.monitoring import compact as compacting
from skewless.monitoring.compact import alone, compact, prune
from skewless.monitoring.line_log import LineLog
from skewless.monitoring.place import Log
from skewless.monitoring.postgres_log import PostgresLog

TODAY = date(2026, 3, 3)
LATER = NOON.timestamp() + 10**9
DAY = timedelta(days=1)
HOUR = 60 * 60  # seconds


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log of three days, two processes, two versions and a torn line.

    Some of the answers are in a batch.
    """
    folder = tmp_path / "predictions"
    for day in range(3):
        for number, process in enumerate("ab"):
            first = 100 * (2 * day + number)
            lines = [
                line(first + n, NOON + day * DAY, version=f"0.{n % 2}.0-0")
                for n in range(50)
            ]
            rows = [json.loads(each) for each in lines[40:]]
            batches = [in_columns(rows[start::2]) for start in range(2)]
            lines = [*lines[:40], *batches]
            torn = [lines[0][:40] + b"\n"] if (day, process) == (0, "a") else []
            name = (NOON + day * DAY).date().isoformat()
            log_file(folder, *lines, *torn, day=name, name=f"host-{process}.000")
    return folder


def done(
    folder: Path, before: date = TODAY, now: float = LATER
) -> list[compacting.Compacted]:
    return list(compact(Log(folder), before=before, now=now))


def known(folder: Path, **asked: Any) -> list[dict[str, Any]]:
    """Return all rows that can be read, in the same order wherever they are."""
    found = remembered(folder, **asked)
    records = (table.to_dict("records") for table in found[:2])
    rows = [
        answer | {"record": record} for answer, record in zip(*records, strict=True)
    ]
    return sorted(rows, key=lambda row: row["prediction_id"])


@pytest.mark.slow
def test_closed_days_read_as_before_from_a_file_by_date_and_version(log: Path):
    before, one = (
        known(log),
        known(log, version="0.1.0-0", since=NOON + timedelta(seconds=10)),
    )

    found = done(log)

    assert [(each.rows, each.unreadable, each.left) for each in found] == [
        (50, 1, None)
    ] + [(50, 0, None)] * 3
    assert known(log) == before
    assert known(log, version="0.1.0-0", since=NOON + timedelta(seconds=10)) == one
    assert sorted(path.name for path in log.glob("*.jsonl")) == [
        "2026-03-03.host-a.000.jsonl",
        "2026-03-03.host-b.000.jsonl",
    ]
    assert {
        path.parent.relative_to(log).as_posix() for path in log.rglob("*.parquet")
    } == {
        f"compact/date=2026-03-0{day}/version=0.{n}.0-0"
        for day in (1, 2)
        for n in (0, 1)
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in log.rglob("*.parquet")} == {
        0o600
    }


def test_a_second_time_there_is_nothing_to_do(log: Path):
    done(log)
    before = {path: path.read_bytes() for path in log.rglob("*.*") if path.is_file()}

    assert done(log) == []
    assert {
        path: path.read_bytes() for path in log.rglob("*.*") if path.is_file()
    } == before


@pytest.mark.slow
def test_what_a_killed_process_left_unfinished_is_not_read(log: Path):
    done(log)
    before = known(log)
    for path in list(log.rglob("*.parquet")):
        path.with_name(".0a1b.parquet").write_bytes(path.read_bytes()[:100])

    assert known(log) == before


def test_a_file_that_was_written_to_within_the_hour_stays(log: Path):
    busy = log / "2026-03-01.host-a.000.jsonl"
    os.utime(busy, (LATER - HOUR + 60, LATER - HOUR + 60))

    found = done(log)

    assert [each.left for each in found] == [
        "written to within the hour",
        None,
        None,
        None,
    ]
    assert busy.exists()


@pytest.mark.parametrize("step", ["replace", "flush_folder", "unlink"])
@pytest.mark.parametrize("after", range(4))
@pytest.mark.slow
def test_killed_at_any_moment_it_loses_and_doubles_nothing(
    log: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: int
):
    before, count = known(log), 0

    def killed(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count > after:
                raise KilledError
            return real(*words, **named)

        return call

    with monkeypatch.context() as patch:
        owner = compacting if step == "flush_folder" else Path
        patch.setattr(owner, step, killed(getattr(owner, step)))
        with pytest.raises(KilledError):
            done(log)

    assert known(log) == before
    done(log)
    assert known(log) == before


@pytest.mark.slow
def test_a_file_that_becomes_parquet_while_it_is_about_to_be_read_is_read_as_that(
    log: Path, monkeypatch: pytest.MonkeyPatch
):
    before, real = known(log), Path.open

    def open_later(path: Path, *words: Any, **named: Any) -> Any:
        if path.suffix == ".jsonl":
            monkeypatch.undo()
            done(log)
        return real(path, *words, **named)

    monkeypatch.setattr(Path, "open", open_later)

    assert known(log) == before


@pytest.mark.parametrize("shape", ["alone", "together"])
def test_kinds_that_differ_between_the_lines_of_a_file_come_together(
    tmp_path: Path, shape: str
):
    name = field("number").name
    values = [None, None, None, 3, 4.5, None, 1, "0a1b", "7"]
    lines = [
        line(n, record=CONTRACT.example() | {name: value})
        for n, value in enumerate(values)
    ]
    if shape == "together":
        rows = [json.loads(each) for each in lines]
        lines = [in_columns(rows[:4]), in_columns(rows[4:])]
    log_file(tmp_path, *lines)
    before = remembered(tmp_path)

    (found,) = done(tmp_path)
    after = remembered(tmp_path)
    (path,) = tmp_path.rglob("*.parquet")
    kept = pd.read_parquet(path, columns=[f"record.{name}"], partitioning=None)

    assert (found.left, found.rows) == (None, len(values))
    assert after.answers.equals(before.answers)
    assert after.records.equals(before.records)
    assert sorted(kept[f"record.{name}"].dropna().tolist())[:2] == ["0a1b", "1"]


def test_a_file_of_torn_lines_alone_is_told_of_and_removed(tmp_path: Path):
    path = log_file(tmp_path, b'{"time":"2026-03\n')

    (found,) = done(tmp_path)

    assert (found.rows, found.unreadable, path.exists()) == (0, 1, False)


def test_columns_that_are_all_dropped_survive(tmp_path: Path):
    log_file(tmp_path, line(0, record={}), line(1, record={}))

    done(tmp_path)

    found = remembered(tmp_path).records
    assert len(found) == 2
    assert found.isna().all(axis=None)


def test_a_version_that_is_no_file_name_finds_its_folder(tmp_path: Path):
    log_file(tmp_path, line(0, version="fallback:baseline/x"), line(1))

    done(tmp_path)

    assert ids(remembered(tmp_path, version="fallback:baseline/x")) == ["p-0"]


def outcome_and_shadow(log: Path) -> list[Path]:
    return [
        log_file(log / name, b"{}\n", day="2026-03-01")
        for name in ("outcomes", "shadow")
    ]


def test_pruning_removes_old_days_of_every_kind_but_no_outcome(log: Path):
    done(log, before=date(2026, 3, 2))
    outcome, shadow = outcome_and_shadow(log)

    told = prune(Log(log), before=TODAY, outcomes=False, dry_run=True)
    assert len(known(log)) == 300
    found = prune(Log(log), before=TODAY, outcomes=False, dry_run=False)

    assert found == told._replace(dry_run=False)
    assert (found.files, found.rows, found.before) == (2 + 4 + 1, 0, "2026-03-03")
    assert {row["time"].date() for row in known(log)} == {TODAY}
    assert list((log / "compact").iterdir()) == []
    assert (outcome.exists(), shadow.exists()) == (True, False)


def test_outcomes_go_when_that_is_asked_for(log: Path):
    outcome, _ = outcome_and_shadow(log)

    prune(Log(log), before=TODAY, outcomes=True, dry_run=False)

    assert not outcome.exists()


def test_pruning_waits_until_nobody_else_rewrites_files(log: Path):
    def pruned() -> None:
        prune(Log(log), before=TODAY, outcomes=False, dry_run=False)

    with ThreadPoolExecutor() as threads:
        with alone(log):
            told = prune(Log(log), before=TODAY, outcomes=False, dry_run=True)
            running = threads.submit(pruned)
            done_early = wait([running], timeout=0.3).done
            there = len(known(log))
        running.result(60)

    assert (told.dry_run, done_early, there) == (True, set(), 300)
    assert {row["time"].date() for row in known(log)} == {TODAY}


@pytest.mark.needs("postgres", "initdb")
@pytest.mark.slow
def test_pruning_reaches_the_database(database: str, tmp_path: Path):
    lines = [
        line(30 * day + n, NOON + day * DAY) for day in range(3) for n in range(10)
    ]
    report = (lambda _: None, lambda *_, **__: None)
    files = LineLog(tmp_path, 1, report)
    written = PostgresLog(
        database_at(database), files, id_name=ID, seconds=1, report=report
    )
    written.put(NOON, b"".join(lines), len(lines))
    written.close()
    log = Log(tmp_path, database_at(database))

    told = prune(log, before=TODAY, outcomes=False, dry_run=True)
    found = prune(log, before=TODAY, outcomes=False, dry_run=False)

    assert (
        told.rows,
        found.rows,
        prune(log, before=TODAY, outcomes=False, dry_run=False).rows,
    ) == (
        20,
        20,
        0,
    )
    assert len(ids(remembered(tmp_path, database))) == 10


@pytest.fixture
def project(tmp_path: Path, log: Path) -> Path:
    """Return a project with the log in it, of which nobody wrote to a file lately."""
    folder = make_project(tmp_path)
    for path in log.glob("*.jsonl"):
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    return folder


@pytest.mark.slow
def test_the_commands_say_what_they_did_to_a_person_and_to_a_program(
    project: Path, run: Run
):
    said = run(project, "log", "compact", "--before", "2026-03-02")
    data = run(project, "log", "compact", "--json")
    kept = (datetime.now(UTC).date() - date(2026, 3, 2)).days
    told = run(project, "log", "prune", "--keep-days", kept, "--dry-run")
    pruned = run(project, "log", "prune", "--keep-days", kept, "--json")

    assert (
        said.returncode == data.returncode == told.returncode == pruned.returncode == 0
    ), said.stderr
    assert re.search(
        r"^before +2026-03-02\nfiles +2\nrows +100\nunreadable +1\n", said.stdout
    )
    assert json.loads(data.stdout) | {
        "bytes_before": 0,
        "bytes_after": 0,
        "before": "",
    } == {
        "before": "",
        "files": 4,
        "rows": 200,
        "unreadable": 0,
        "bytes_before": 0,
        "bytes_after": 0,
        "left": {},
    }
    assert re.search(
        r"^before +2026-03-02\nfiles +4\n(.*\n)+dry run +True$", told.stdout
    )
    assert json.loads(pruned.stdout)["files"] == 4
    assert {row["time"].day for row in known(project / "predictions")} == {2, 3}


def test_without_a_log_the_commands_say_so(project: Path, run: Run):
    from steady import configure

    configure(project, "monitoring", prediction_log=None)

    done = run(project, "log", "compact")

    assert done.returncode == 2
    assert "monitoring.prediction_log: found null" in done.stderr
