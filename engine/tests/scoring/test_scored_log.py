"""Scored tables are logged as if the service had been asked once.

That holds whatever happens meanwhile.
"""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from churn_service.schema import Customer
from conftest import Done, Run
from own import CONTRACT, ID, PROJECT, TARGET
from remembered import ids, in_rows, remembered
from skewless.core.arrays import to_json
from skewless.models.predict import load_predictor
from skewless.monitoring import scored_log
from skewless.monitoring.compact import compact
from skewless.monitoring.place import Log
from skewless.monitoring.scored_log import Keeper
from skewless.scoring import score as score_module
from skewless.tables.simulate import simulate
from skewless.tables.table import write_table
from steady import configure

ROWS = 300
Score = Callable[..., Done]


@pytest.fixture
def owned(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the project, with its own log."""
    no_log = shutil.ignore_patterns("predictions")
    return Path(shutil.copytree(trained, tmp_path / "project", ignore=no_log))


@pytest.fixture
def score(owned: Path, run: Run) -> Score:
    return partial(run, owned, "score", "--log")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(3):
        path = tmp_path / f"in/{number}.parquet"
        path.parent.mkdir(exist_ok=True)
        write_table(
            pd.DataFrame(simulate(ROWS, number, CONTRACT)).drop(columns=TARGET),
            path,
            CONTRACT,
        )
    return tmp_path / "in"


def posted(number: int) -> list[Customer]:
    """Return a table's customers as they would be posted, one by one."""
    made = simulate(ROWS, number, CONTRACT)
    cells = {
        column.name: to_json(made[column.name], column) for column in CONTRACT.columns
    }
    cells[ID] = list(made[ID])
    rows = [
        dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)
    ]
    whole = {column.name for column in CONTRACT.columns if column.kind == "integer"}
    bodies = [
        {
            name: int(value) if name in whole and value is not None else value
            for name, value in row.items()
        }
        for row in rows
    ]
    return [Customer.model_validate_json(json.dumps(body)) for body in bodies]


def test_a_scored_customer_is_logged_as_one_that_was_asked_about(
    owned: Path, version: Path, source: Path, tmp_path: Path, score: Score
):
    customers, predictor = posted(0), load_predictor(version, PROJECT)

    assert score(source / "0.parquet", tmp_path / "out.csv").returncode == 0

    (path,) = (owned / "predictions").glob("*.jsonl")
    lines = in_rows(map(json.loads, path.read_text().splitlines()))
    assert [line["record"] for line in lines] == [
        json.loads(each.model_dump_json()) for each in customers
    ]
    for name in ("probability", "decision", "tier"):
        answered = [getattr(each, name) for each in predictor.predict(customers)]
        assert [line["answer"][name] for line in lines] == answered
    assert {line["answer"]["model_version"] for line in lines} == {version.name}
    assert {line["threshold"] for line in lines} == {predictor.threshold}
    assert len(set(ids(remembered(owned / "predictions")))) == ROWS


@pytest.mark.slow
def test_a_table_is_logged_once_however_often_and_however_it_is_scored(
    owned: Path,
    source: Path,
    tmp_path: Path,
    score: Score,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(score_module, "PART_ROWS", 100)
    score(source, tmp_path / "out")
    once = ids(remembered(owned / "predictions"))

    assert score(source, tmp_path / "out").returncode == 0
    assert score(source, tmp_path / "elsewhere", "--threads", "1").returncode == 0
    later = datetime.now(UTC) + timedelta(days=2)
    done = list(
        compact(Log(owned / "predictions"), before=later.date(), now=later.timestamp())
    )
    assert {each.left for each in done} == {None}
    assert score(source, tmp_path / "after", "--json").returncode == 0

    assert len(once) == 3 * ROWS
    assert sorted(ids(remembered(owned / "predictions"))) == sorted(once)


@pytest.mark.fault
@pytest.mark.slow
def test_a_crash_between_log_and_output_neither_loses_nor_doubles_a_row(
    owned: Path,
    source: Path,
    tmp_path: Path,
    score: Score,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(score_module, "PART_ROWS", 100)
    kept, keep = [], Keeper.__call__

    def crash_after_two(*words, **named) -> None:
        keep(*words, **named)
        kept.append(1)
        if len(kept) == 2:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "__call__", crash_after_two)
        crashed = score(source, tmp_path / "out", "--threads", "1")
    resumed = score(source, tmp_path / "out", "--json")

    assert (crashed.returncode, "No space left" in crashed.stderr) == (1, True)
    assert json.loads(resumed.stdout)["rows"] == 3 * ROWS
    logged = ids(remembered(owned / "predictions"))
    assert len(logged) == len(set(logged)) == 3 * ROWS


@pytest.mark.fault
def test_a_full_disk_leaves_nothing_of_a_part_in_the_log(
    owned: Path,
    source: Path,
    tmp_path: Path,
    score: Score,
    monkeypatch: pytest.MonkeyPatch,
):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scored_log, "os", SimpleNamespace(fsync=full, getpid=os.getpid))

    refused = score(source / "0.parquet", tmp_path / "out.csv")

    assert (refused.returncode, "No space left" in refused.stderr) == (1, True)
    assert not list((owned / "predictions").iterdir())


def test_what_was_scored_without_the_log_is_not_taken_for_logged(
    owned: Path, source: Path, tmp_path: Path, score: Score, run: Run
):
    run(owned, "score", source, tmp_path / "out")

    refused = score(source, tmp_path / "out")

    assert (refused.returncode, "--overwrite" in refused.stderr) == (2, True)
    assert not list((owned / "predictions").glob("*"))


def test_privacy_holds_for_scored_tables_too(
    owned: Path, source: Path, tmp_path: Path, score: Score
):
    (first, *_) = CONTRACT.columns
    configure(owned, "monitoring", privacy={ID: "drop", first.name: "drop"})

    score(source / "0.parquet", tmp_path / "out.csv")

    (path,) = (owned / "predictions").glob("*.jsonl")
    assert path.stat().st_mode & 0o077 == 0
    logged = json.loads(path.read_text().splitlines()[0])
    kept = {each.name for each in CONTRACT.columns} - {first.name}
    assert set(logged["records"]) == kept
    assert logged["privacy"] == {ID: "drop", first.name: "drop"}


def test_without_a_log_to_write_to_nothing_is_scored(
    owned: Path, source: Path, tmp_path: Path, score: Score
):
    configure(owned, "monitoring", prediction_log=None)

    refused = score(source, tmp_path / "out")

    assert (refused.returncode, "monitoring.prediction_log" in refused.stderr) == (
        2,
        True,
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.needs("postgres", "initdb")
@pytest.mark.slow
def test_a_database_takes_scored_tables_once_and_no_file_does(
    owned: Path,
    source: Path,
    tmp_path: Path,
    score: Score,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("CHURN_LOG_URL", database)

    assert score(source, tmp_path / "out").returncode == 0
    assert score(source, tmp_path / "elsewhere").returncode == 0

    assert len(ids(remembered(owned / "predictions", database))) == 3 * ROWS
    assert not list((owned / "predictions").glob("*"))


@pytest.mark.needs("postgres", "initdb")
@pytest.mark.fault
@pytest.mark.slow
def test_a_database_that_is_away_fails_the_files_and_the_next_run_goes_on(
    owned: Path,
    source: Path,
    tmp_path: Path,
    score: Score,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(
        "CHURN_LOG_URL", "postgresql+psycopg://churn@127.0.0.1:9/nothing"
    )
    refused = score(source, tmp_path / "out")
    monkeypatch.setenv("CHURN_LOG_URL", database)
    resumed = score(source, tmp_path / "out")

    assert (refused.returncode, "CHURN_LOG_URL" in refused.stderr) == (3, True)
    assert resumed.returncode == 0, resumed.stderr
    assert len(ids(remembered(owned / "predictions", database))) == 3 * ROWS


def test_a_worker_that_knows_no_database_does_not_log_elsewhere(
    owned: Path,
    source: Path,
    tmp_path: Path,
    score: Score,
    monkeypatch: pytest.MonkeyPatch,
):
    keep = Keeper.__call__

    def forget(*words, **named) -> None:
        # as in the environment of another machine
        monkeypatch.delenv("CHURN_LOG_URL", raising=False)
        keep(*words, **named)

    monkeypatch.setenv(
        "CHURN_LOG_URL", "postgresql+psycopg://churn@127.0.0.1:9/nothing"
    )
    monkeypatch.setattr(Keeper, "__call__", forget)

    refused = score(source, tmp_path / "out")

    assert (refused.returncode, "where a worker runs" in refused.stderr) == (3, True)
    assert not list((owned / "predictions").glob("*"))
