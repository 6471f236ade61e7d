"""One record's rows go from every place of the log, and nobody else's do."""

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from conftest import Run, make_project
from own import CONTRACT, ID
from recorded import write_outcomes
from remembered import (
    NOON,
    batch,
    database_at,
    ids,
    in_columns,
    line,
    log_file,
    older_parquet,
    remembered,
    told,
)
from skewless.core.errors import ConfigError, LogStoreError, RefusedError
from skewless.core.settings import Settings
from skewless.monitoring import compact as compacting
from skewless.monitoring import forget as forgetting
from skewless.monitoring.compact import compact
from skewless.monitoring.forget import Forgotten, forget, names_of
from skewless.monitoring.line_log import LineLog
from skewless.monitoring.outcomes import OutcomeFiles
from skewless.monitoring.place import Log
from skewless.monitoring.postgres_log import PostgresLog
from skewless.monitoring.postgres_outcomes import PostgresOutcomes
from steady import configure

LATER = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WHOM = "c-7"
TORN = b'{"time":"2026-03-01T12:00:00Z","record":{"\n'


class KilledError(Exception):
    """Stands for the end of the process."""


def settle(folder: Path, moment: datetime = NOON) -> None:
    """Let nobody have written to any file lately."""
    for path in folder.rglob("*.jsonl"):
        os.utime(path, (moment.timestamp(), moment.timestamp()))


def recorded(number: int, **of: str) -> dict[str, Any]:
    moment = (NOON + timedelta(days=1, seconds=number)).isoformat()
    return {"recorded_at": moment, **of, "outcome": number % 2, "observed_at": moment}


def again(number: int, whom: str = WHOM, moment: datetime = NOON) -> bytes:
    """Ask about a record once more."""
    return line(number, moment, record=CONTRACT.example() | {ID: whom})


def challenge(number: int) -> bytes:
    return json.dumps({"prediction_id": f"p-{number}", "model_version": "1"}).encode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log of two days as lines, one as Parquet, with outcomes and a shadow.

    Of the record are p-7, alone, p-107 in a batch, and p-207 in Parquet.
    """
    folder = tmp_path / "predictions"
    rows = [json.loads(each) for each in [line(100), again(107), line(108)]]
    log_file(folder, *(line(n) for n in range(10)), in_columns(rows), TORN)
    closed = [again(207, moment=NOON - DAY)]
    closed += [line(200 + n, NOON - DAY, version=f"0.{n}.0-0") for n in range(3)]
    log_file(folder, *closed, day="2026-02-28")
    settle(folder)
    list(compact(Log(folder), before=date(2026, 3, 1), now=LATER.timestamp()))
    write_outcomes(
        folder,
        [
            recorded(0, record="c-1"),
            recorded(1, record=WHOM),
            recorded(2, prediction_id="p-107"),
            recorded(3, prediction_id="p-207"),
            recorded(4, prediction_id="p-1"),
        ],
    )
    shadow = [challenge(number) + b"\n" for number in (1, 7, 107, 2)]
    log_file(folder / "shadow", *shadow)
    settle(folder)
    return folder


def removed(
    folder: Path, whom: str = WHOM, *, now: datetime = LATER, dry_run: bool = False
) -> Forgotten:
    names = frozenset({whom})
    return forget(Log(folder), CONTRACT, names, now=now, dry_run=dry_run)


def _dicts(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows in which what is missing is None, whatever the others hold."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def views(folder: Path, url: str | None = None, without: str = "") -> tuple[Any, ...]:
    """Return all that the views and the shadow know, of one record nothing."""
    found = remembered(folder, url)
    rows = zip(_dicts(found.answers), _dicts(found.records), strict=True)
    kept = [(answer, record) for answer, record in rows if record[ID] != without]
    gone = set(ids(found)) - {answer["prediction_id"] for answer, _ in kept}
    log = Log(folder, database_at(url) if url else None)
    outcomes = [
        row
        for row in _dicts(told(log, before=LATER))
        if row["record_id"] != without and row["prediction_id"] not in gone
    ]
    challenges = [
        json.loads(each)
        for path in sorted((folder / "shadow").glob("20*.jsonl"))
        for each in path.read_bytes().splitlines()
    ]
    challenges = [each for each in challenges if each["prediction_id"] not in gone]
    return repr(kept), sorted(map(repr, outcomes)), challenges, found.unreadable


def holds(folder: Path, text: str) -> list[Path]:
    """List the files in which a text stands."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and text.encode() in path.read_bytes()
    ]


def test_a_record_goes_from_lines_batches_parquet_outcomes_and_shadow(log: Path):
    expected = views(log, without=WHOM)

    planned = removed(log, dry_run=True)
    assert views(log) != expected
    done = removed(log)

    assert done == planned._replace(dry_run=False)
    assert (done.predictions, done.outcomes, done.challenges) == (3, 3, 2)
    assert (done.files, done.left) == (4, {})
    assert views(log) == expected
    assert holds(log, f'"{WHOM}"') == []


def test_other_lines_stay_byte_for_byte_and_files_stay_private(log: Path):
    before = (log / "2026-03-01.host-1-a.000.jsonl").read_bytes().splitlines()

    removed(log)

    (path,) = log.glob("2026-03-01.*.jsonl")
    after = path.read_bytes().splitlines()
    assert after[:-2] == before[:7] + before[8:10]
    assert json.loads(after[-2])["answers"]["prediction_id"] == ["p-100", "p-108"]
    assert after[-1] + b"\n" == TORN
    modes = {
        stat.S_IMODE(each.stat().st_mode) for each in [path, *log.rglob("*.parq*")]
    }
    assert modes == {0o600}
    assert path.stat().st_mtime == NOON.timestamp()


def test_it_is_recorded_that_it_was_done_and_not_of_whom(log: Path):
    removed(log)

    text = (log / "forgotten.jsonl").read_text()
    begun, finished = map(json.loads, text.splitlines())
    assert (begun["state"], finished["state"]) == ("begun", "finished")
    assert begun | {"state": "finished"} == finished
    assert set(finished) == {
        *("time", "who", "state", "left"),
        *("predictions", "outcomes", "challenges", "files"),
    }
    assert WHOM not in text


@pytest.mark.parametrize("whom", ["nobody", "", "\x1b[1A", "'; --", "\0", "x" * 10**6])
def test_of_an_id_that_nobody_has_nothing_is_recorded(log: Path, whom: str):
    before = views(log)

    with pytest.raises(RefusedError, match="holds nothing") as refused:
        removed(log, whom)

    assert len(str(refused.value)) < 100
    assert views(log) == before
    assert not (log / "forgotten.jsonl").exists()


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize(
    "whom", ['a "b\'" \\ ü\n\x1b[1A\u202e', "x" * 100_000, "c-\U0001f600"]
)
def test_an_odd_id_is_found(tmp_path: Path, whom: str, compacted: bool):  # noqa: FBT001
    rows = [json.loads(each) for each in [line(1), again(2, whom)]]
    log_file(tmp_path, line(0), again(3, whom), in_columns(rows))
    write_outcomes(tmp_path, [recorded(0, record=whom), recorded(1, record="c-0")])
    settle(tmp_path)
    if compacted:
        list(compact(Log(tmp_path), before=LATER.date(), now=LATER.timestamp()))

    done = removed(tmp_path, whom)

    assert (done.predictions, done.outcomes) == (2, 1)
    assert ids(remembered(tmp_path)) == ["p-0", "p-1"]


def test_an_id_that_is_a_number_in_a_line_is_found(tmp_path: Path):
    log_file(tmp_path, line(0), line(1, record=CONTRACT.example() | {ID: 42}))
    settle(tmp_path)

    removed(tmp_path, "42")

    assert ids(remembered(tmp_path)) == ["p-0"]


def test_parquet_of_an_older_engine_is_rewritten_too(tmp_path: Path):
    older_parquet(tmp_path, line(1), line(7), line(8))

    removed(tmp_path)

    assert ids(remembered(tmp_path)) == ["p-1", "p-8"]


@pytest.mark.parametrize("where", ["", "outcomes", "shadow"])
def test_a_file_that_may_be_written_to_stays_and_is_named_until_it_is_closed(
    log: Path, where: str
):
    expected = views(log, without=WHOM)
    (busy,) = (log / where).glob("2026-03-0*.jsonl")
    os.utime(busy, (LATER.timestamp() - 60,) * 2)
    before = busy.read_bytes()

    done = removed(log)

    assert list(done.left) == [busy.relative_to(log).as_posix()]
    assert busy.read_bytes() == before
    last = (log / "forgotten.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["state"] == "unfinished"
    assert removed(log, now=LATER + DAY).left == {}
    assert views(log) == expected
    with pytest.raises(RefusedError):
        removed(log, now=LATER + DAY)


def test_todays_files_stay(log: Path):
    assert removed(log, now=NOON + timedelta(hours=3)).left


def test_what_is_written_meanwhile_is_kept(log: Path, monkeypatch: pytest.MonkeyPatch):
    late = line(50)

    def write(path: Path, lines: Any) -> None:
        real(path, lines)
        for each in log.glob("2026-03-01.*.jsonl"):
            if path.parent == log and path.name.startswith(".forget"):
                each.write_bytes(each.read_bytes() + late)

    real = forgetting._write  # noqa: SLF001 - the moment before a file is replaced
    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "_write", write)
        done = removed(log)

    assert list(done.left.values()) == ["it was written to meanwhile"]
    assert "p-50" in ids(remembered(log))
    settle(log)
    assert removed(log).left == {}
    assert "p-50" in ids(remembered(log))


def killed_after(count: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function be called a number of times, and then end the process."""
    left = iter(range(count))

    def call(*words: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise KilledError
        return real(*words, **named)

    return call


MOMENTS = {"replace": 8, "rename": 4, "flush_folder": 14, "unlink": 20, "fsync": 24}
KILLED = [(step, after) for step, most in MOMENTS.items() for after in range(most)]


@pytest.mark.parametrize(("step", "after"), KILLED)
@pytest.mark.slow
def test_killed_at_any_moment_it_loses_and_doubles_nothing_and_can_be_finished(
    log: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: int
):
    expected = views(log, without=WHOM)
    owners = {"flush_folder": forgetting, "fsync": os}
    with monkeypatch.context() as patch:
        owner = owners.get(step, Path)
        patch.setattr(owner, step, killed_after(after, getattr(owner, step)))
        with contextlib.suppress(KilledError):
            removed(log)

    assert views(log, without=WHOM) == expected
    if after % 2:  # whoever comes first
        now = datetime.now(UTC) + DAY
        list(compact(Log(log), before=date(2026, 3, 1), now=now.timestamp()))
        assert views(log, without=WHOM) == expected
    with contextlib.suppress(RefusedError):
        removed(log, now=datetime.now(UTC) + DAY)
    assert views(log) == expected
    assert holds(log, f'"{WHOM}"') == []
    assert len(list(log.rglob("*.parquet"))) == 3


def test_the_parquet_of_a_compaction_that_was_killed_goes_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = log_file(tmp_path, line(1), line(7))
    settle(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(compacting, "flush_folder", lambda _: 1 / (path.exists() + 0))
        with pytest.raises(ZeroDivisionError):
            list(compact(Log(tmp_path), before=LATER.date(), now=LATER.timestamp()))

    removed(tmp_path)

    assert ids(remembered(tmp_path)) == ["p-1"]
    assert list(tmp_path.rglob("*.parquet")) == []


def test_damaged_parquet_ends_it_before_anything_is_removed(log: Path):
    path = min(log.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    before = holds(log, WHOM)

    with pytest.raises(LogStoreError, match="backup"):
        removed(log)

    assert holds(log, WHOM) == before


def test_a_line_that_cannot_be_taken_apart_is_told_of(tmp_path: Path):
    named = f'"{ID}": "{WHOM}"'
    twice = again(7).decode().replace(f'"{ID}":"{WHOM}"', named)
    assert named in twice
    log_file(tmp_path, twice.replace(named, f'{named}, "{ID}": "c-1"').encode())
    settle(tmp_path)
    before = ids(remembered(tmp_path))

    with pytest.raises(LogStoreError, match="cannot be taken apart"):
        removed(tmp_path)

    assert ids(remembered(tmp_path)) == before
    states = (tmp_path / "forgotten.jsonl").read_text().splitlines()
    assert [json.loads(each)["state"] for each in states] == ["begun"]


@pytest.mark.parametrize("odd", [5, [1], {"a": []}, True, None, "p"])
def test_lines_with_ids_of_another_kind_end_nothing(tmp_path: Path, odd: Any):
    outcome = {"recorded_at": NOON.isoformat(), "outcome": 1}
    entries = [json.loads(line(1)), json.loads(batch(2, 3))]
    entries[0]["record"][ID] = entries[0]["answer"]["prediction_id"] = odd
    entries[1]["records"][ID][0] = entries[1]["answers"]["prediction_id"][0] = odd
    entries += [outcome | {"record": odd}, outcome | {"prediction_id": odd}]
    log_file(tmp_path, *(json.dumps(each).encode() + b"\n" for each in entries[:2]))
    log_file(
        tmp_path / "outcomes",
        *(json.dumps(each).encode() + b"\n" for each in entries[2:]),
    )
    log_file(tmp_path, line(7), day="2026-03-02")
    settle(tmp_path)

    assert removed(tmp_path).predictions == 1


PEOPLE = st.lists(st.lists(st.sampled_from(["a", "b", 'ü"']), min_size=1, max_size=4))


@given(lines=PEOPLE, compacted=st.booleans(), whom=st.sampled_from(["a", 'ü"']))
@settings(max_examples=20, deadline=None)
@pytest.mark.slow
def test_the_views_are_those_of_before_without_the_record(
    lines: list[list[str]], *, compacted: bool, whom: str
):
    with tempfile.TemporaryDirectory() as name:
        folder, written, said, number = Path(name), [], [], 0
        for people in lines:
            rows = []
            for person in people:
                rows.append(json.loads(again(number, person)))
                said += [recorded(number, prediction_id=f"p-{number}")]
                said += [recorded(number, record=person)]
                number += 1
            written.append(
                in_columns(rows)
                if len(rows) > 1
                else json.dumps(rows[0]).encode() + b"\n"
            )
        log_file(folder, *written)
        write_outcomes(folder, said)
        settle(folder)
        if compacted:
            list(compact(Log(folder), before=LATER.date(), now=LATER.timestamp()))
        expected = views(folder, without=whom)

        if any(whom in people for people in lines):
            removed(folder, whom)
        else:
            with pytest.raises(RefusedError):
                removed(folder, whom)

        assert views(folder) == expected


@pytest.mark.needs("postgres", "initdb")
@pytest.mark.slow
def test_it_reaches_the_database(log: Path, database: str):
    report = (lambda _: None, lambda *_, **__: None)
    place = database_at(database)
    written = PostgresLog(
        place, LineLog(log, 1, report), id_name=ID, seconds=1, report=report
    )
    lines = [line(400), again(407), again(7), line(401)]
    written.put(NOON, b"".join(lines), len(lines))
    written.close()
    said = [
        recorded(5, prediction_id="p-407"),
        recorded(6, prediction_id="p-107"),  # which is in a file
        recorded(7, record=WHOM),
        recorded(8, record="c-1"),
    ]
    data = b"".join(json.dumps(each).encode() + b"\n" for each in said)
    PostgresOutcomes(place, OutcomeFiles(log / "outcomes")).append(lambda: (NOON, data))
    write_outcomes(log, [recorded(9, prediction_id="p-407")], process="host-2")
    settle(log)
    expected = views(log, database, without=WHOM)
    known = Log(log, place)

    for odd in ("\0", "'; --"):
        with pytest.raises(RefusedError):
            forget(known, CONTRACT, frozenset({odd}), now=LATER, dry_run=False)
    planned = forget(known, CONTRACT, frozenset({WHOM}), now=LATER, dry_run=True)
    done = forget(known, CONTRACT, frozenset({WHOM}), now=LATER, dry_run=False)

    assert done == planned._replace(dry_run=False)
    assert (done.predictions, done.outcomes, done.challenges) == (5, 7, 2)
    assert views(log, database) == expected


def settings_of(key: str | None) -> Settings:
    return Settings(_env_file=None, hash_key=SecretStr(key) if key else None)


def test_a_hashed_id_is_hashed_before_it_is_looked_for():
    own = settings_of("k" * 32)

    names = names_of(WHOM, CONTRACT, privacy={ID: "hash"}, key=own)

    hidden = forgetting.hiding({ID: "hash"}, own)[ID]
    assert hidden is not None
    assert names == {WHOM, hidden(WHOM)}
    assert names_of(WHOM, CONTRACT, privacy={}, key=own) == names
    assert names_of(WHOM, CONTRACT, privacy={}, key=settings_of(None)) == {WHOM}
    with pytest.raises(ConfigError):
        names_of(WHOM, CONTRACT, privacy={ID: "hash"}, key=settings_of(None))


def test_half_a_character_is_nobodys_id():
    with pytest.raises(RefusedError, match="nothing"):
        names_of("\ud800", CONTRACT, privacy={}, key=settings_of(None))


@pytest.fixture
def project(tmp_path: Path, log: Path) -> Path:
    assert log.exists()
    return make_project(tmp_path)


@pytest.mark.slow
def test_the_command_tells_a_person_and_a_program_without_the_id(
    project: Path, run: Run
):
    planned = run(project, "log", "forget", WHOM, "--dry-run")
    done = run(project, "log", "forget", WHOM, "--json")
    nobody = run(project, "log", "forget", WHOM)

    assert (planned.returncode, done.returncode, nobody.returncode) == (0, 0, 3)
    assert "predictions       3" in planned.stdout
    assert json.loads(done.stdout) == {
        "predictions": 3,
        "outcomes": 3,
        "challenges": 2,
        "files": 4,
        "left": {},
        "dry_run": False,
    }
    for each in (planned, done, nobody):
        assert WHOM not in each.stdout + each.stderr
    assert run(project, "log", "find", "p-207").returncode == 3


@pytest.mark.slow
def test_the_command_fails_while_a_file_may_be_written_to(project: Path, run: Run):
    for path in (project / "predictions" / "shadow").glob("*.jsonl"):
        os.utime(path)

    done = run(project, "log", "forget", WHOM, "--json")

    assert done.returncode == 1
    assert list(json.loads(done.stdout)["left"]) == [
        "shadow/2026-03-01.host-1-a.000.jsonl"
    ]


def test_where_the_id_is_dropped_nobody_can_be_found(project: Path, run: Run):
    configure(project, "monitoring", privacy={ID: "drop"})

    done = run(project, "log", "forget", WHOM)

    assert (done.returncode, f"privacy drops {ID}" in done.stderr) == (2, True)


def test_the_command_has_help_with_an_example(project: Path, run: Run):
    done = run(project, "log", "forget", "--help")

    assert (done.returncode, "Example: log forget" in done.stdout) == (0, True)
