"""The log in PostgreSQL: what is there, and how it is read back.

Also what happens while PostgreSQL is away.
"""

import errno
import io
import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DataError

from conftest import ROOT
from own import CONTRACT, ID, PROJECT, service_of
from remembered import NOON, VERSION, database_at, ids, line, log_file, remembered
from running import free_port, serving
from skewless.core.config_file import load_config
from skewless.core.errors import ConfigError, LogStoreError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.monitoring import postgres_entries, postgres_log
from skewless.monitoring.compact import prune
from skewless.monitoring.line_log import LineLog
from skewless.monitoring.place import EVERY, Log
from skewless.monitoring.postgres import engine, refused_rows
from skewless.monitoring.postgres_log import OUTCOMES, PREDICTIONS, PostgresLog
from skewless.serving.follow import Models
from steady import Load, configure, until

TIMES = 8

pytestmark = pytest.mark.needs("postgres", "initdb")
ASIDE_WARNING = "PostgreSQL does not take predictions; files do"
REFUSED_WARNING = "PostgreSQL refuses some predictions; files take those"

REFUSAL = DataError("", None, Exception())


class Written:
    """A log of one process, and what it said."""

    def __init__(self, folder: Path, url: str, seconds: float = 0.01) -> None:
        self.folder, self.url = folder, url
        self.aside: list[int] = []
        self.lost: list[int] = []
        self.warnings: list[str] = []
        files = LineLog(
            folder,
            0.01,
            (self.lost.append, lambda event, **_: self.warnings.append(event)),
        )
        self.facts: list[dict[str, Any]] = []
        report = (self.aside.append, self._warn)
        self.log = PostgresLog(
            database_at(url), files, id_name=ID, seconds=seconds, report=report
        )

    def _warn(self, event: str, **facts: Any) -> None:
        self.warnings.append(event)
        self.facts.append(facts)

    def add(self, *numbers: int, **values: Any) -> None:
        lines = [line(number, **values) for number in numbers]
        self.log.put(NOON, b"".join(lines), len(lines))

    def rows(self) -> int:
        return rows(self.url)


def rows(url: str) -> int:
    """Count what is in the table; 0 if there is none."""
    known = engine(database_at(url))
    try:
        with known.connect() as connection:
            if connection.scalar(text("SELECT to_regclass('predictions')")) is None:
                return 0
            return connection.scalar(text("SELECT count(*) FROM predictions"))
    finally:
        known.dispose()


@pytest.fixture
def written(tmp_path: Path, database: str) -> Iterator[Callable[..., Written]]:
    opened: list[Written] = []

    def write(url: str = database, **values: Any) -> Written:
        opened.append(Written(tmp_path / "log", url, **values))
        return opened[-1]

    yield write
    for each in opened:
        each.log.close()


@pytest.mark.slow
def test_the_table_is_made_on_first_use_and_gives_back_what_a_file_would(
    written, tmp_path: Path, database: str
):
    own = written()
    own.add(*range(150))
    own.add(150, record=CONTRACT.example() | {ID: 'a "quoted" ü\n'})
    own.log.close()
    log_file(
        tmp_path / "files",
        *(line(n) for n in range(150)),
        line(150, record=CONTRACT.example() | {ID: 'a "quoted" ü\n'}),
    )

    found, known = (
        remembered(tmp_path / "log", database),
        remembered(tmp_path / "files"),
    )

    assert own.rows() == 151
    assert not (tmp_path / "log").exists()
    assert sorted(ids(found)) == sorted(ids(known))
    for one, other in zip(found[:2], known[:2], strict=True):
        assert one.assign(i=ids(found)).sort_values("i").to_dict(
            "records"
        ) == other.assign(i=ids(known)).sort_values("i")[[*one.columns, "i"]].to_dict(
            "records"
        )


def test_a_row_says_by_columns_what_people_look_for(written, database: str):
    own = written()
    own.add(1)
    own.add(2, record={})
    own.log.close()

    known = engine(database_at(database))
    with known.connect() as connection:
        found = (
            connection.execute(text("SELECT * FROM predictions ORDER BY prediction_id"))
            .mappings()
            .all()
        )
        indexes = connection.scalars(
            text("SELECT indexdef FROM pg_indexes WHERE tablename='predictions'")
        ).all()
    known.dispose()

    assert [dict(row) for row in found] == [
        {
            "prediction_id": f"p-{number}",
            "time": NOON + timedelta(seconds=number),
            "model_version": VERSION,
            "record": customer,
            "entry": json.loads(line(number) if customer else line(number, record={})),
        }
        for number, customer in ((1, "c-1"), (2, None))
    ]
    assert {each.partition("btree ")[2].replace('"', "") for each in indexes} == {
        "(record)",
        "(model_version, time)",
        "(prediction_id)",
        "(time)",
    }


def test_a_prediction_that_was_written_twice_is_there_once(written):
    own = written()
    own.add(1, 2)
    own.add(2, 3)
    own.log.close()

    assert own.rows() == 3
    assert own.aside == own.lost == []


def test_time_and_version_are_asked_of_the_database(
    written, database: str, tmp_path: Path
):
    own = written()
    for day in range(3):
        moment = NOON + timedelta(days=day)
        own.add(*range(60 * day, 60 * day + 30), moment=moment, version="a")
        own.add(*range(60 * day + 30, 60 * day + 60), moment=moment, version="b")
    own.log.close()

    def found(**asked: Any) -> list[str]:
        return ids(remembered(tmp_path, database, **asked))

    since, until_ = NOON + timedelta(seconds=50), NOON + timedelta(days=1, seconds=10)
    assert found(since=since, until=until_) == [f"p-{n}" for n in range(50, 70)]
    assert found(since=since, until=until_, version="b") == [
        f"p-{n}" for n in range(50, 60)
    ]
    assert len(found(version="a")) == 90
    assert found(version="c") == []


def test_what_is_in_both_places_comes_once_whichever_day_it_is(
    written, database: str, tmp_path: Path
):
    own = written()
    own.add(1, 2, 3)
    own.log.close()
    log_file(tmp_path / "log", line(2), line(3), line(4))
    log_file(tmp_path / "log", line(5, NOON - timedelta(days=1)), day="2026-02-28")

    assert ids(remembered(tmp_path / "log", database)) == [
        f"p-{number}" for number in (5, 1, 2, 3, 4)
    ]


def test_memory_does_not_grow_with_the_table(
    written, database: str, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(postgres_entries, "ROWS", 10)
    own = written()
    own.add(*range(55))
    own.log.close()

    sizes = []
    real = postgres_entries._next  # noqa: SLF001 - a part, as it comes

    def following(*words: Any) -> Sequence[str] | None:
        part = real(*words)
        sizes.append(len(part or ()))
        return part

    monkeypatch.setattr(postgres_entries, "_next", following)

    assert len(ids(remembered(tmp_path, database))) == 55
    assert [size for size in sizes if size] == [10] * 5 + [5]


def test_a_database_that_was_never_written_to_reads_as_empty(
    database: str, tmp_path: Path
):
    assert ids(remembered(tmp_path, database)) == []


def test_of_a_batch_only_the_lines_that_postgres_cannot_hold_go_to_a_file(written):
    own = written(seconds=60)
    bad = {7: CONTRACT.example() | {ID: "a\0b"}, 31: CONTRACT.example() | {ID: "\0"}}
    for number in range(50):
        own.add(number, record=bad.get(number))
    own.log.close()

    found = remembered(own.folder, own.url)
    assert (own.rows(), own.aside, own.lost) == (48, [2], [])
    assert sorted(ids(found)) == sorted(f"p-{number}" for number in range(50))
    assert {"a\0b", "\0"} <= set(found.records[ID])


def test_the_warning_says_what_is_wrong_with_a_refused_line_and_never_its_value(
    written,
):
    own = written(seconds=60)
    own.add(1, 2, record=CONTRACT.example() | {ID: "secret\0"})
    own.log.close()

    assert own.warnings == [REFUSED_WARNING]
    assert own.facts == [{"rows": 2, "reason": "UntranslatableCharacter"}]


def test_lines_of_one_request_are_told_apart_too(written):
    own = written(seconds=60)
    lines = [line(1), line(2, record=CONTRACT.example() | {ID: "\0"}), line(3)]
    own.log.put(NOON, b"".join(lines), len(lines))
    own.log.close()

    assert (own.rows(), own.aside) == (2, [1])


def test_what_a_constraint_or_trigger_of_the_owner_refuses_costs_no_other_line(
    written, server, database: str
):
    own = written(seconds=60)
    own.add(0)
    own.log.close()
    with server.connect(database.rpartition("/")[2]) as connection:
        connection.execute("ALTER TABLE predictions ADD CHECK (prediction_id <> 'p-3')")
    own = written(seconds=60)
    own.add(1, 2, 3, 4)
    own.log.close()

    assert (own.rows(), own.aside) == (4, [1])
    assert own.facts == [{"rows": 1, "reason": "CheckViolation"}]


def test_a_database_is_not_asked_for_ever_which_rows_it_minds():
    asked: list[int] = []

    def insert(some: Sequence[int]) -> None:
        asked.append(len(some))
        raise REFUSAL

    refused = refused_rows(range(50), insert, seconds=0)

    assert asked == [50]
    assert [row for row, _ in refused] == list(range(50))


@given(bad=st.sets(st.integers(0, 99)))
def test_exactly_the_rows_at_fault_are_refused_and_the_others_inserted_once(
    bad: set[int],
):
    inserted: list[int] = []

    def insert(some: Sequence[int]) -> None:
        if bad.intersection(some):
            raise REFUSAL
        inserted.extend(some)

    refused = refused_rows(range(100), insert, seconds=60)

    assert {row for row, _ in refused} == bad
    assert inserted == [number for number in range(100) if number not in bad]


@pytest.mark.slow
def test_while_nobody_listens_files_take_the_lines_with_one_warning(written):
    own = written(f"postgresql+psycopg://churn@127.0.0.1:{free_port()}/churn")
    for number in range(200):
        own.add(number)
    own.log.close()

    assert (sum(own.aside), own.lost, own.warnings) == (200, [], [ASIDE_WARNING])
    assert sorted(ids(remembered(own.folder))) == sorted(
        f"p-{number}" for number in range(200)
    )


def test_a_reader_says_that_the_database_does_not_answer(tmp_path: Path):
    with pytest.raises(
        LogStoreError, match=r"CHURN_LOG_URL.*does not answer"
    ) as refused:
        remembered(
            tmp_path, f"postgresql+psycopg://churn:secret@127.0.0.1:{free_port()}/churn"
        )

    assert "secret" not in str(refused.value)


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_a_reader_gives_up_a_database_that_hangs_while_it_reads(
    written, server, database: str, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(postgres_entries, "READ_SECONDS", 1.0)
    monkeypatch.setattr(postgres_entries, "ROWS", 10)
    own = written()
    own.add(*range(55))
    own.log.close()
    real = postgres_entries._next  # noqa: SLF001 - the moment between two parts

    def hanging(*words: Any) -> Sequence[str] | None:
        part = real(*words)
        server.signal(signal.SIGSTOP)
        return part

    monkeypatch.setattr(postgres_entries, "_next", hanging)
    try:
        with pytest.raises(LogStoreError, match="does not answer"):
            remembered(tmp_path, database)
    finally:
        server.signal(signal.SIGCONT)


@pytest.mark.fault
@pytest.mark.posix
def test_a_reader_whose_disk_is_full_does_not_wait_for_a_database_that_hangs(
    written, server, database: str, tmp_path: Path, monkeypatch
):
    own = written()
    own.add(1)
    own.log.close()
    # so that this fails and does not hang
    wake = threading.Timer(20, server.signal, [signal.SIGCONT])

    class Full(io.StringIO):
        def writelines(self, lines: Iterable[str]) -> None:
            next(iter(lines))
            server.signal(signal.SIGSTOP)
            wake.start()
            raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_, **__: Full())
        with pytest.raises(OSError, match="no space left"):
            postgres_entries.copy_entries(database_at(database), EVERY, tmp_path)
    waited = not wake.is_alive()
    wake.cancel()
    server.signal(signal.SIGCONT)

    assert not waited


@pytest.mark.fault
@pytest.mark.posix
def test_a_reader_that_has_read_all_takes_no_leave_of_a_database_that_hangs(
    written, server, database: str, tmp_path: Path, monkeypatch
):
    own = written()
    own.add(1)
    own.log.close()
    # so that this fails and does not hang
    wake = threading.Timer(20, server.signal, [signal.SIGCONT])
    real = postgres_entries._parts  # noqa: SLF001 - the moment after all was read
    left = [PREDICTIONS, OUTCOMES]

    def hanging(*words: Any) -> Iterator[Sequence[str]]:
        yield from real(*words)
        left.pop()
        if not left:
            server.signal(signal.SIGSTOP)
            wake.start()

    monkeypatch.setattr(postgres_entries, "_parts", hanging)
    stored = postgres_entries.copy_entries(database_at(database), EVERY, tmp_path)
    waited = not wake.is_alive()
    wake.cancel()
    server.signal(signal.SIGCONT)

    assert (len(Path(stored.predictions).read_text().splitlines()), waited) == (
        1,
        False,
    )


def test_a_user_without_a_right_is_told_which(
    written, server, database: str, tmp_path: Path
):
    own = written()
    own.add(1)
    own.log.close()
    name = database.rpartition("/")[2]
    with server.connect(name) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
    log = Log(tmp_path, database_at(database.replace("churn@", f"{name}@")))
    ask = partial(prune, log, before=date(2026, 4, 1), outcomes=False)

    with pytest.raises(
        LogStoreError, match=r"refuses.*permission denied.*needs SELECT"
    ):
        remembered(tmp_path, log.database.url.get_secret_value())
    with server.connect(name) as connection:
        connection.execute(f"GRANT SELECT ON predictions TO {name}")
    assert ask(dry_run=True).rows == 1
    with pytest.raises(
        LogStoreError, match=r"refuses.*permission denied.*to forget DELETE"
    ):
        ask(dry_run=False)
    with server.connect(name) as connection:
        connection.execute(f"ALTER ROLE {name} SET default_transaction_read_only = on")
    with pytest.raises(LogStoreError, match=r"refuses.*read-only.*to forget DELETE"):
        ask(dry_run=False)


def test_a_reader_repeats_no_text_of_the_driver_that_holds_a_secret(tmp_path: Path):
    with pytest.raises(LogStoreError, match=r"does not answer \(OperationalError\)"):
        remembered(tmp_path, f"postgresql://churn:port@127.0.0.1:{free_port()}/churn")


@pytest.mark.parametrize(
    "url",
    [
        "host:5432",
        "mysql://churn:secret@host/churn",
        "postgresql+psycopg://h:secret/",
        "postgresql://churn:a@secret@host/churn",
    ],
)
def test_a_malformed_url_is_a_configuration_error_that_does_not_repeat_it(url: str):
    with pytest.raises(ConfigError, match="CHURN_LOG_URL") as refused:
        engine(database_at(url))

    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_database_without_a_folder_for_bad_times_is_a_configuration_error(
    tmp_path: Path, database: str
):
    config = load_config(ROOT / "config.yaml", PROJECT)
    monitoring = config.monitoring.model_copy(update={"prediction_log": None})
    config = config.model_copy(update={"monitoring": monitoring})
    models = Models(lambda: None, lambda: None, lambda _: None, str)
    work = Workspace(
        PROJECT, config, tmp_path, Settings(_env_file=None, log_url=database)
    )

    with pytest.raises(ConfigError, match=r"monitoring\.prediction_log is null"):
        service_of(models, work)


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_a_database_that_hangs_is_given_up_and_taken_back_when_it_wakes(
    written, server, monkeypatch
):
    monkeypatch.setattr(postgres_log, "PAUSE_SECONDS", 0.2)
    own = written()
    own.add(0)
    until(own.rows, "the first line is in the table")
    server.signal(signal.SIGSTOP)
    try:
        own.add(1)
        until(lambda: own.aside, "the second line went aside")
    finally:
        server.signal(signal.SIGCONT)
    number = 2
    while own.rows() < 2:
        own.add(number := number + 1)
        until(
            lambda: own.rows() + sum(own.aside) >= number - 1, "each line is somewhere"
        )
    own.log.close()

    assert own.lost == []
    found = ids(remembered(own.folder, own.url))
    assert sorted(found) == sorted(set(found))
    assert {"p-0", "p-1", f"p-{number}"} <= set(found)


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_closing_does_not_wait_for_a_database_that_hangs(written, server):
    own = written(seconds=60)
    own.add(1)
    server.signal(signal.SIGSTOP)
    try:
        own.log.close()
    finally:
        server.signal(signal.SIGCONT)

    assert (sum(own.aside), own.lost) == (1, [])
    assert ids(remembered(own.folder)) == ["p-1"]


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_a_database_that_is_killed_under_load_costs_no_answer_no_line_and_doubles_none(
    server, database: str, trained: Path, tmp_path: Path, monkeypatch
):
    own = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    configure(own, "monitoring", flush_seconds=0.05)
    monkeypatch.setenv("CHURN_LOG_URL", database)
    begun = datetime.now(UTC)

    with serving(own) as (url, _), Load(url) as load:
        for attempt in range(TIMES):
            grown = rows(database)
            until(
                lambda: rows(database) > grown,  # noqa: B023 - of this round
                "the table takes lines again",
            )
            load.reach(300 + 7 * attempt)
            server.kill()
            load.reach(300)
            server.start()
        until(lambda: rows(database) > grown, "the table takes lines at last")

    answers = [answer.body["prediction_id"] for answer in load.answers]
    found = remembered(
        own / "predictions", database, since=begun - timedelta(minutes=1)
    )
    aside = sum(
        path.read_bytes().count(b"\n") for path in (own / "predictions").glob("*.jsonl")
    )
    assert {answer.status for answer in load.answers} == {200}
    assert load.reset == []
    assert sorted(ids(found)) == sorted(answers)
    assert aside > 0
