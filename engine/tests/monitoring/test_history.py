"""The log gives back what was answered, whatever state its files are in."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from own import CONTRACT, ID, PROJECT, neutral, service_of
from remembered import NOON, VERSION, ids, line, log_file, remembered
from skewless.core.config_file import load_config
from skewless.core.errors import LogStoreError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.predict import load_predictor
from skewless.monitoring.place import Log
from skewless.serving.follow import Models


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
            client.post("/predict", json=CONTRACT.example()).json() for _ in range(5)
        ]
        batch = {"customers": [CONTRACT.example()] * 4}
        answers += client.post("/predict/batch", json=batch).json()["predictions"]
    return root / "predictions", answers


def test_every_answer_comes_back_beside_what_was_asked(asked: tuple[Path, list[dict]]):
    folder, answers = asked[0], [neutral(answer) for answer in asked[1]]

    history = remembered(folder)

    assert history.unreadable == 0
    assert history.answers[list(answers[0])].to_dict("records") == answers
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
    position=st.floats(0, 1),
    junk=st.binary(max_size=20).filter(lambda junk: b"\n" not in junk),
)
@pytest.mark.slow
def test_a_torn_line_costs_itself_and_no_other(
    asked: tuple[Path, list[dict]], tmp_path: Path, position: float, junk: bytes
):
    (path,) = asked[0].iterdir()
    first, *others = path.read_bytes().splitlines(keepends=True)
    torn = first[: 1 + int(position * (len(first) - 3))] + junk + b"\n"
    (tmp_path / path.name).write_bytes(b"".join([*others[:3], torn, *others[3:]]))

    history = remembered(tmp_path)

    assert (len(history.answers), history.unreadable) == (len(others), 1)


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


def test_only_answers_of_the_version_that_is_asked_for_are_returned(tmp_path: Path):
    log_file(
        tmp_path, *(line(number, version=f"v{number % 3}") for number in range(30))
    )

    assert ids(remembered(tmp_path, version="v1")) == [
        f"p-{number}" for number in range(1, 30, 3)
    ]


def test_parts_come_newest_day_first_each_of_one_day_in_order_and_not_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(blocks, "BYTES", 9 * len(line(10)))
    for day in (1, 2, 3):
        for process in "ab":
            moment = NOON + timedelta(days=day - 1)
            lines = [line(number, moment) for number in reversed(range(20))]
            log_file(
                tmp_path, *lines, day=f"2026-03-0{day}", name=f"host-{process}.000"
            )

    parts = [part.answers["time"] for part in read_predictions(Log(tmp_path))]

    days = [times.dt.date.unique().tolist() for times in parts]
    assert sum(map(len, parts)) == 120
    assert max(map(len, parts)) <= 9
    assert all(times.is_monotonic_increasing for times in parts)
    assert {len(each) for each in days} == {1}
    assert days == sorted(days, reverse=True)


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

    assert (found.records[name].tolist(), found.unreadable) == ([7, "0a1b"], 0)
    assert found.answers["time"].tolist() == [NOON, NOON + timedelta(seconds=1)]


def test_columns_that_are_all_dropped_leave_rows_without_columns(tmp_path: Path):
    log_file(tmp_path, line(0, record={}), line(1, record={}))

    found = remembered(tmp_path, version=VERSION)

    assert (len(found.answers), found.records.shape) == (2, (2, 0))


def test_without_a_log_there_is_an_empty_history(tmp_path: Path):
    history = remembered(tmp_path / "absent")

    assert (len(history.answers), len(history.records), history.unreadable) == (0, 0, 0)


def test_the_example_on_the_page_reads_the_log(
    asked: tuple[Path, list[dict]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    page = (ROOT / "docs/service/operating.md").read_text()
    monkeypatch.chdir(asked[0].parent)

    example = re.search(r"(?ms)^```python\n(.*?)^```$", page)[1]
    exec(example, {})  # noqa: S102 - the page's own words

    assert capsys.readouterr().out == f"{len(asked[1])} answers, 0 torn lines\n"


def test_a_folder_that_cannot_be_read_is_not_taken_for_a_log_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("os.access", lambda *_: False)

    with pytest.raises(
        LogStoreError, match="cannot be read, so nobody knows what was logged"
    ):
        list(read_predictions(Log(tmp_path)))
    assert list(read_predictions(Log(tmp_path / "not there yet"))) == []
