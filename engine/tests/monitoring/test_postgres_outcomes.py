"""Outcomes in PostgreSQL are as durable as in files.

Files take them while PostgreSQL is away; readers see both.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import ROOT
from own import CONTRACT, ID, PROJECT
from postgres import Postgres
from remembered import database_at, told
from skewless.core.config_file import load_config
from skewless.core.settings import Settings
from skewless.monitoring import postgres_outcomes
from skewless.monitoring.compact import prune
from skewless.monitoring.outcomes import (
    OUTCOMES,
    OfPrediction,
    OutcomeFiles,
    Outcomes,
    outcome_models,
)
from skewless.monitoring.place import Log
from skewless.monitoring.postgres_outcomes import PostgresOutcomes
from skewless.monitoring.sinks import open_outcomes

pytestmark = [pytest.mark.needs("postgres", "initdb"), pytest.mark.posix]

FIRST = OfPrediction(prediction_id="f" * 32, outcome=1)
SECOND = outcome_models(CONTRACT).of_record.model_validate({ID: "ada", "outcome": 0})


def later() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


def opened(log: Log) -> Outcomes:
    monitoring = load_config(ROOT / "config.yaml", PROJECT).monitoring
    return open_outcomes(log, monitoring, Settings(_env_file=None), contract=CONTRACT)


@pytest.fixture
def log(tmp_path: Path, database: str) -> Log:
    return Log(tmp_path / "log", database_at(database))


def test_what_is_recorded_is_in_the_database_and_reads_as_from_files(
    log: Log, tmp_path: Path
):
    files = Log(tmp_path / "files")
    for each in (log, files):
        for outcome in (FIRST, SECOND, FIRST):
            opened(each).add([outcome])

    kept, expected = (told(each, before=later()) for each in (log, files))

    assert not (log.folder / OUTCOMES).exists()
    columns = ["prediction_id", "record_id", "outcome", "repeats", "corrects"]
    assert kept[columns].equals(expected[columns])
    assert kept["repeats"].tolist() == [False, False, True]


def test_of_a_request_only_the_outcomes_that_the_table_refuses_go_to_a_file(
    log: Log, server: Postgres, database: str, caplog: pytest.LogCaptureFixture
):
    opened(log).add([FIRST])
    with server.connect(database.rpartition("/")[2]) as connection:
        connection.execute(
            "ALTER TABLE outcomes ADD CHECK (entry ->> 'record' <> 'eve')"
        )
    eve = outcome_models(CONTRACT).of_record.model_validate({ID: "eve", "outcome": 1})

    opened(log).add([SECOND, eve, SECOND])

    (aside,) = (log.folder / OUTCOMES).iterdir()
    with server.connect(database.rpartition("/")[2]) as connection:
        assert connection.execute("SELECT count(*) FROM outcomes").fetchone() == (3,)
    assert aside.read_bytes().count(b"\n") == 1
    assert len(told(log, before=later())) == 4
    assert "CheckViolation" in caplog.text
    assert "eve" not in caplog.text


@pytest.mark.fault
def test_where_no_file_can_be_written_for_the_refused_the_table_takes_none(
    log: Log, server: Postgres, database: str
):
    opened(log).add([FIRST])
    with server.connect(database.rpartition("/")[2]) as connection:
        connection.execute(
            "ALTER TABLE outcomes ADD CHECK (entry ->> 'record' <> 'eve')"
        )
    log.folder.write_text("in the way")
    eve = outcome_models(CONTRACT).of_record.model_validate({ID: "eve", "outcome": 1})

    with pytest.raises(OSError, match=r"exists|directory"):
        opened(log).add([SECOND, eve])

    with server.connect(database.rpartition("/")[2]) as connection:
        assert connection.execute("SELECT count(*) FROM outcomes").fetchone() == (1,)


@pytest.mark.fault
@pytest.mark.slow
def test_while_the_database_is_away_files_take_them_and_nothing_is_lost(
    log: Log, server: Postgres
):
    sink = opened(log)
    sink.add([FIRST])
    server.kill()
    sink.add([SECOND])
    aside = list((log.folder / OUTCOMES).iterdir())
    server.start()
    sink.add([FIRST])

    assert len(aside) == 1
    assert len(told(log, before=later())) == 3


def test_what_was_not_known_at_a_moment_does_not_count(log: Log):
    sink = opened(log)
    moment = sink.add([FIRST])
    sink.add([SECOND])

    assert len(told(log, before=moment + timedelta(microseconds=1))) == 1
    assert len(told(log, before=moment)) == 0


@pytest.mark.fault
def test_what_files_take_for_a_database_that_hangs_is_recorded_when_they_take_it(
    log: Log, database: str, monkeypatch: pytest.MonkeyPatch
):
    times = [datetime.now(UTC)]
    table = PostgresOutcomes(database_at(database), OutcomeFiles(log.folder / OUTCOMES))
    sink = Outcomes(
        table.append, ID, {}, settings=Settings(_env_file=None), clock=lambda: times[-1]
    )

    def hang(_: object) -> None:
        times.append(later())
        raise TimeoutError

    monkeypatch.setattr(postgres_outcomes, "make_tables", hang)

    assert sink.add([FIRST]) == times[1]
    assert len(list((log.folder / OUTCOMES).iterdir())) == 1


def test_they_are_pruned_only_if_that_is_asked_for(log: Log):
    opened(log).add([FIRST])
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()

    kept = prune(log, before=tomorrow, outcomes=False, dry_run=False)
    planned = prune(log, before=tomorrow, outcomes=True, dry_run=True)
    removed = prune(log, before=tomorrow, outcomes=True, dry_run=False)

    assert (kept.rows, planned.rows, removed.rows) == (0, 1, 1)
    assert told(log, before=later()).empty
