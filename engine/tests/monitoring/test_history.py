"""The log gives back what was answered, whatever state its files are in."""

import time
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from conftest import ROOT
from own import CONTRACT, ID, PROJECT, neutral, service_of
from remembered import NOON, VERSION, ids, line, log_file, remembered
from skewless.core.answer import TIERS, Answer, Answered, Source
from skewless.core.config_file import load_config
from skewless.core.errors import LogStoreError
from skewless.core.sections import DecisionConfig, Privacy
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.predict import load_predictor
from skewless.monitoring import prediction_log, views
from skewless.monitoring.compact import compact
from skewless.monitoring.line_log import LineLog
from skewless.monitoring.place import Log, Window
from skewless.monitoring.prediction_log import PredictionLog
from skewless.monitoring.views import open_views
from skewless.serving.follow import Models
from skewless.serving.journal import Note
from skewless.testing.strategies import records as records_of

ALONE, TOGETHER = 5, 4  # rows, asked about one by one and in a batch
WAYS = st.sampled_from(["keep", "drop", "hash"])
DECISION = DecisionConfig(threshold=0.5, medium_risk=0.3, high_risk=0.7)
SETTINGS = Settings(_env_file=None, hash_key=SecretStr("k" * 32))


@pytest.fixture(scope="module")
def asked(
    version: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict]]:
    """Return the folder of a log, and the answers that it should hold."""
    root = tmp_path_factory.mktemp("asked")
    predictor = load_predictor(version, PROJECT)
    models = Models(lambda: predictor, lambda: None, lambda _: predictor, str)
    config = load_config(ROOT / "config.yaml", PROJECT)
    service = service_of(models, Workspace(PROJECT, config, root, Settings()))
    with TestClient(
        service.app, base_url="http://localhost", client=("127.0.0.1", 1)
    ) as client:
        answers = [
            client.post("/predict", json=CONTRACT.example()).json()
            for _ in range(ALONE)
        ]
        batch = {"customers": [CONTRACT.example()] * TOGETHER}
        answers += client.post("/predict/batch", json=batch).json()["predictions"]
    return root / "predictions", answers


def test_every_answer_comes_back_beside_what_was_asked(asked: tuple[Path, list[dict]]):
    folder, answers = asked[0], [neutral(answer) for answer in asked[1]]

    history = remembered(folder)

    found = history.answers[list(answers[0])].to_dict("records")
    assert history.unreadable == 0
    assert found[:ALONE] == answers[:ALONE]
    # Those of a batch have one time.
    assert sorted(found, key=itemgetter("prediction_id")) == sorted(
        answers, key=itemgetter("prediction_id")
    )
    assert history.records[[column.name for column in CONTRACT.columns]].to_dict(
        "records"
    ) == [
        {
            column.name: CONTRACT.example().get(column.name)
            for column in CONTRACT.columns
        }
    ] * len(answers)
    assert history.answers["time"].is_monotonic_increasing
    assert str(history.answers["time"].dt.tz) == "UTC"


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    which=st.integers(0, ALONE),
    position=st.floats(0, 1),
    junk=st.binary(max_size=20).filter(lambda junk: b"\n" not in junk),
)
@pytest.mark.slow
def test_a_torn_line_costs_itself_and_no_other(
    asked: tuple[Path, list[dict]],
    tmp_path: Path,
    which: int,
    position: float,
    junk: bytes,
):
    (path,) = asked[0].iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    whole = lines[which]
    lost = TOGETHER if b'"records"' in whole else 1
    lines[which] = whole[: 1 + int(position * (len(whole) - 3))] + junk + b"\n"
    (tmp_path / path.name).write_bytes(b"".join(lines))

    history = remembered(tmp_path)

    assert (len(history.answers), history.unreadable) == (ALONE + TOGETHER - lost, 1)


@pytest.mark.parametrize(
    "wrong", ["{}", "[]", '{"answer": {}}', '{"answer": {}, "record": 1}', "null"]
)
def test_a_line_of_another_shape_shifts_no_other(
    asked: tuple[Path, list[dict]], tmp_path: Path, wrong: str
):
    (path,) = asked[0].iterdir()
    first, *others = path.read_bytes().splitlines(keepends=True)
    (tmp_path / path.name).write_bytes(
        b"".join([first, wrong.encode() + b"\n", *others])
    )

    history, known = remembered(tmp_path), remembered(asked[0])

    assert history.unreadable == 1
    assert history.answers.equals(known.answers)
    assert history.records.equals(known.records)


def test_since_is_inclusive_and_until_is_not(tmp_path: Path):
    for day in range(3):
        lines = [
            line(60 * day + second, NOON + timedelta(days=day)) for second in range(60)
        ]
        log_file(tmp_path, *lines, day=f"2026-03-0{day + 1}")
    since, until = NOON + timedelta(seconds=50), NOON + timedelta(days=1, seconds=10)

    found = remembered(tmp_path, since=since, until=until)

    assert ids(found) == [f"p-{number}" for number in range(50, 70)]
    assert (found.answers["time"].min(), found.answers["time"].max()) == (
        since,
        until - timedelta(seconds=1),
    )


def test_files_of_days_that_are_not_asked_for_are_not_opened(tmp_path: Path):
    for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
        log_file(tmp_path, b"torn\n", day=day)

    begin = datetime(2026, 3, 2, tzinfo=UTC)

    assert (
        remembered(tmp_path, since=begin, until=begin + timedelta(days=1)).unreadable
        == 1
    )
    assert remembered(tmp_path, until=begin).unreadable == 1
    assert remembered(tmp_path).unreadable == 3
    window = Window(begin, begin + timedelta(days=1))
    with open_views(Log(tmp_path), CONTRACT, window) as opened:
        assert [Path(path).name[:10] for path in opened.files.lines] == ["2026-03-02"]


def test_only_answers_of_the_version_that_is_asked_for_are_returned(tmp_path: Path):
    log_file(
        tmp_path, *(line(number, version=f"v{number % 3}") for number in range(30))
    )

    assert ids(remembered(tmp_path, version="v1")) == [
        f"p-{number}" for number in range(1, 30, 3)
    ]


def test_an_id_that_looks_like_a_time_stays_as_it_was(tmp_path: Path):
    known = [
        CONTRACT.example() | {ID: value}
        for value in ("2026-01-01", "2026-01-01 10:00:00")
    ]
    log_file(
        tmp_path, *(line(number, record=record) for number, record in enumerate(known))
    )

    assert remembered(tmp_path).records[ID].tolist() == [record[ID] for record in known]


def test_a_column_that_was_hashed_from_some_line_on_costs_no_line(tmp_path: Path):
    name = CONTRACT.columns[0].name
    known = [CONTRACT.example() | {name: value} for value in (7, "0a1b")]
    log_file(
        tmp_path, *(line(number, record=record) for number, record in enumerate(known))
    )

    found = remembered(tmp_path)

    assert found.records[name].fillna(-1).tolist() == [7, -1]
    assert found.unreadable == 0
    assert found.answers["time"].tolist() == [NOON, NOON + timedelta(seconds=1)]


def test_columns_that_are_all_dropped_are_missing_in_every_row(tmp_path: Path):
    log_file(tmp_path, line(0, record={}), line(1, record={}))

    found = remembered(tmp_path, version=VERSION)

    assert len(found.answers) == len(found.records) == 2
    assert found.records.isna().all(axis=None)


def test_without_a_log_there_is_an_empty_history(tmp_path: Path):
    history = remembered(tmp_path / "absent")

    assert (len(history.answers), len(history.records), history.unreadable) == (0, 0, 0)


def test_a_folder_that_cannot_be_read_is_not_taken_for_a_log_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("os.access", lambda *_: False)

    with pytest.raises(
        LogStoreError, match="cannot be read, so nobody knows what was logged"
    ):
        remembered(tmp_path)
    assert ids(remembered(tmp_path / "not there yet")) == []


def logged(
    folder: Path,
    answered: Answered,
    privacy: dict[str, Privacy],
    *,
    in_columns: bool = True,
) -> None:
    """Log the answers of one request, at noon."""
    note = Note(NOON.timestamp(), "r", "POST", "/predict", 200, 0.1, None, {}, None)
    lines = LineLog(folder, 1, (lambda _: None, lambda *_, **__: None))
    log = PredictionLog(lines, privacy, SETTINGS, in_columns=in_columns)
    log.observe(note, answered)
    log.close()


@settings(max_examples=15, deadline=None)
@given(
    records=st.lists(records_of(CONTRACT), min_size=2, max_size=12),
    privacy=st.fixed_dictionaries(
        dict.fromkeys([ID, *(column.name for column in CONTRACT.columns)], WAYS)
    ),
    line_rows=st.integers(1, 5),
    seed=st.integers(0, 9),
)
@pytest.mark.slow
def test_answers_that_were_logged_one_by_one_and_as_a_batch_are_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[BaseModel],
    privacy: dict[str, Privacy],
    line_rows: int,
    seed: int,
):
    source = Source(VERSION, None, CONTRACT.columns, DECISION)
    random = np.random.default_rng(seed)
    answers = [
        Answer(
            probability=random.random(),
            decision=bool(random.integers(2)),
            tier=TIERS[random.integers(len(TIERS))],
            model_version=source.version,
            trained_at=source.trained_at,
            prediction_id=f"p-{number}",
        )
        for number in range(len(records))
    ]
    found = []
    for in_columns in (False, True):
        folder = tmp_path_factory.mktemp("log")
        answered = Answered(records, answers, source, 1.5)
        with patch.object(prediction_log, "MOST_ROWS", line_rows):
            logged(folder, answered, privacy, in_columns=in_columns)
        with open_views(Log(folder), CONTRACT) as opened:
            found.append(opened.ask("FROM entries ORDER BY prediction_id"))

    alone, together = found
    assert alone == together
    assert len(alone) == len(records)


@pytest.mark.parametrize("form", ["whole", "torn", "zeros"])
@pytest.mark.parametrize("last", [b"\n", b""], ids=["ended", "at the end"])
def test_a_line_that_is_too_long_to_read_is_counted_and_shifts_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, last: bytes
):
    monkeypatch.setattr(views, "LINE_BYTES", 64 * 1024)
    size = 200 * 1024
    whole = line(1).strip()[:-1] + b',"extra":"' + b"a" * size + b'"}'
    long = {"whole": whole, "torn": b"[" * size, "zeros": b"\0" * size}[form]
    good = [line(0), line(2)]
    log_file(
        tmp_path, *good[: 2 if not last else 1], long + last, *good[1:] * bool(last)
    )

    before = remembered(tmp_path)
    (done,) = compact(Log(tmp_path), before=date(2026, 4, 1), now=time.time() + 10**6)

    assert (ids(before), before.unreadable) == (["p-0", "p-2"], 1)
    assert (done.rows, done.unreadable, done.left) == (2, 1, None)
    assert ids(remembered(tmp_path)) == ["p-0", "p-2"]


@pytest.mark.slow
def test_a_batch_whose_line_would_be_too_long_is_several_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(prediction_log, "MOST_LINE_BYTES", 10_000)
    records = [CONTRACT.record.model_validate(CONTRACT.example())] * 300
    source = Source(VERSION, None, CONTRACT.columns, DECISION)
    answers = [
        Answer(0.5, True, "LOW", VERSION, None, f"p-{row:03}")  # noqa: FBT003 - as in answer.py
        for row in range(300)
    ]
    logged(tmp_path, Answered(records, answers, source, 1.5), {})
    (path,) = tmp_path.iterdir()

    assert max(map(len, path.read_bytes().splitlines())) <= 10_000
    assert ids(remembered(tmp_path)) == [f"p-{row:03}" for row in range(300)]


@pytest.mark.parametrize("name", ["it's", 'a "quoted" one', "a*[b]?", "per%20cent"])
def test_a_folder_of_any_name_is_read(tmp_path: Path, name: str):
    folder = tmp_path / name / "log"
    log_file(folder, line(0), line(1))
    log_file(folder, line(2), name=f"host-{name}.000")

    before = ids(remembered(folder))
    done = list(compact(Log(folder), before=date(2026, 4, 1), now=time.time() + 10**6))

    assert before == ids(remembered(folder)) == ["p-0", "p-1", "p-2"]
    assert [each.left for each in done] == [None, None]
