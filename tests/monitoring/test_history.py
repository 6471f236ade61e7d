"""The log gives back what was answered, whatever state its files are in."""

import re
from datetime import date
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn_service.config import Settings, load_config
from churn_service.contract import columns, example
from churn_service.monitoring.history import read_predictions
from churn_service.predict import load_predictor
from churn_service.serving.app import Service
from churn_service.serving.follow import Models
from conftest import ROOT


@pytest.fixture(scope="module")
def asked(version: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """Return the folder of a log, and the answers that it should hold."""
    root = tmp_path_factory.mktemp("asked")
    models = Models(lambda: load_predictor(version), lambda: None, load_predictor, str)
    service = Service(models, load_config(ROOT / "config.yaml"), root=root, settings=Settings())
    with TestClient(service.app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        answers = [client.post("/predict", json=example()).json() for _ in range(5)]
        batch = {"customers": [example()] * 4}
        answers += client.post("/predict/batch", json=batch).json()["predictions"]
    return root / "predictions", answers


def test_every_answer_comes_back_beside_what_was_asked(asked: tuple[Path, list[dict]]):
    folder, answers = asked

    history = read_predictions(folder)

    assert history.unreadable == 0
    assert history.answers[list(answers[0])].to_dict("records") == answers
    assert history.customers[[column.name for column in columns()]].to_dict("records") == [
        {column.name: example().get(column.name) for column in columns()}
    ] * len(answers)
    assert history.answers["time"].is_monotonic_increasing
    assert str(history.answers["time"].dt.tz) == "UTC"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1), junk=st.binary(max_size=20).filter(lambda junk: b"\n" not in junk))
def test_a_torn_line_costs_itself_and_no_other(
    asked: tuple[Path, list[dict]], tmp_path: Path, position: float, junk: bytes
):
    (path,) = asked[0].iterdir()
    first, *others = path.read_bytes().splitlines(keepends=True)
    torn = first[: 1 + int(position * (len(first) - 3))] + junk + b"\n"
    (tmp_path / path.name).write_bytes(b"".join([*others[:3], torn, *others[3:]]))

    history = read_predictions(tmp_path)

    assert (len(history.answers), history.unreadable) == (len(others), 1)


@pytest.mark.parametrize("wrong", ["{}", "[]", '{"answer": {}}', '{"answer": {}, "customer": 1}', "null"])
def test_a_line_of_another_shape_shifts_no_other(asked: tuple[Path, list[dict]], tmp_path: Path, wrong: str):
    (path,) = asked[0].iterdir()
    first, *others = path.read_bytes().splitlines(keepends=True)
    (tmp_path / path.name).write_bytes(b"".join([first, wrong.encode() + b"\n", *others]))

    history, known = read_predictions(tmp_path), read_predictions(asked[0])

    assert history.unreadable == 1
    assert history.answers.equals(known.answers)
    assert history.customers.equals(known.customers)


def test_only_the_days_that_are_asked_for_are_read(asked: tuple[Path, list[dict]], tmp_path: Path):
    (path,) = asked[0].iterdir()
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        (tmp_path / f"{day}.host-1.000.jsonl").write_bytes(path.read_bytes())

    history = read_predictions(tmp_path, since=date(2026, 1, 2), until=date(2026, 1, 2))

    assert len(history.answers) == len(asked[1])


def test_without_a_log_there_is_an_empty_history(tmp_path: Path):
    history = read_predictions(tmp_path / "absent")

    assert (len(history.answers), len(history.customers), history.unreadable) == (0, 0, 0)


def test_the_example_on_the_page_reads_the_log(
    asked: tuple[Path, list[dict]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    page = (ROOT / "docs/service/operating.md").read_text()
    monkeypatch.chdir(asked[0].parent)

    exec(re.search(r"(?ms)^```python\n(.*?)^```$", page)[1], {})  # noqa: S102 - the page's own words

    assert capsys.readouterr().out == f"{len(asked[1])} answers, 0 torn lines\n"
