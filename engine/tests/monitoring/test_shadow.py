"""A challenger in production's shadow sees the same, changes nothing, gives way."""

import asyncio
import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from churn_service.schema import Customer
from own import CONTRACT, PROJECT, service_of
from skewless.core.answer import Answer, Answered, Source
from skewless.core.config_file import load_config
from skewless.core.errors import ArtifactNotFoundError, TamperedArtifactError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.predict import Predictor, load_predictor
from skewless.monitoring import shadow
from skewless.monitoring.line_log import LineLog
from skewless.monitoring.shadow import Shadow
from skewless.serving.follow import find_models as models
from skewless.serving.journal import Note
from steady import configure, until

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
NOTE = Note(NOON, "r", "POST", "/predict", 200, 0.1, None, {}, None)
CUSTOMER = Customer(**CONTRACT.example())


@pytest.fixture(scope="module")
def production(version: Path) -> Predictor:
    return load_predictor(version, PROJECT)


def named(
    predictor: Predictor, name: str, probabilities: Callable[[Any], Any] | None = None
) -> Predictor:
    source = predictor.source
    renamed = Source(name, source.trained_at, source.columns, source.decision)
    return Predictor(renamed, CONTRACT, probabilities or predictor.probabilities)


def answered(production: Predictor, count: int) -> Answered:
    decisions = production.predict([CUSTOMER] * count)
    given = [
        Answer(
            *decision, production.version, production.source.trained_at, f"p-{number}"
        )
        for number, decision in enumerate(decisions)
    ]
    return Answered([CUSTOMER] * count, given, production.source, 1.0)


class Challenged:
    """A shadow, what it wrote and what it told."""

    def __init__(
        self, folder: Path, wanted: Callable[[], str], load: Callable[[str], Predictor]
    ) -> None:
        self.shed: list[int] = []
        self.told: list[dict] = []
        self._folder = folder / "shadow"
        log = LineLog(self._folder, 0.01, (self.shed.append, lambda *_, **__: None))
        tell = (self.shed.append, lambda _event, **facts: self.told.append(facts))
        self.shadow = Shadow(wanted, load, log=log, tell=tell)

    def look(self) -> None:
        asyncio.run(self.shadow.look())

    def written(self) -> list[dict]:
        paths = sorted(self._folder.glob("*.jsonl"))
        return [
            json.loads(line) for path in paths for line in path.read_text().splitlines()
        ]


def test_each_answer_of_production_stands_beside_the_challengers(
    tmp_path: Path, production: Predictor
):
    challenger = named(
        production,
        "0.2.0-00000000",
        lambda columns: 1 - production.probabilities(columns),
    )
    own = Challenged(tmp_path, lambda: challenger.version, lambda _: challenger)
    own.look()

    for count in (1, 3):
        own.shadow.observe(NOTE, answered(production, count))
    own.shadow.close()

    given = production.predict([CUSTOMER])[0].probability
    assert [line["prediction_id"] for line in own.written()] == [
        "p-0",
        "p-0",
        "p-1",
        "p-2",
    ]
    assert {line["probability"] for line in own.written()} == {given}
    assert {line["challenger"]["probability"] for line in own.written()} == {1 - given}
    assert {line["challenger"]["model_version"] for line in own.written()} == {
        challenger.version
    }
    assert own.shed == []


def test_show_compares_a_challenger_with_production(
    trained: Path, tmp_path: Path, production: Predictor, run
):
    folder = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    challenger = named(
        production,
        production.version,
        lambda columns: 1 - production.probabilities(columns),
    )
    own = Challenged(
        folder / "predictions", lambda: challenger.version, lambda _: challenger
    )
    own.look()
    own.shadow.observe(NOTE, answered(named(production, "0.0.9-00000000"), 4))
    own.shadow.close()
    (path,) = (folder / "predictions" / "shadow").iterdir()
    path.write_text(path.read_text() + '{"torn')

    done = run(folder, "registry", "show", production.version)

    assert done.returncode == 0, done.stderr
    assert "in the shadow of 0.0.9-00000000: 4 requests" in done.stdout
    assert "decisions that differ 100.0%" in done.stdout


def test_without_a_challenger_or_with_productions_own_version_nobody_is_asked(
    tmp_path: Path, production: Predictor
):
    def nobody() -> str:
        raise ArtifactNotFoundError

    for wanted in (nobody, lambda: production.version):
        own = Challenged(tmp_path, wanted, lambda _: production)
        own.look()
        own.shadow.observe(NOTE, answered(production, 1))
        own.shadow.close()
        assert own.written() == []


def test_what_comes_while_the_challenger_is_busy_is_counted_and_never_waits(
    tmp_path: Path, production: Predictor, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shadow, "MOST_WAITING", 10)
    release, busy = threading.Event(), threading.Event()

    def slow(columns: Any) -> Any:
        busy.set()
        assert release.wait(20)
        return production.probabilities(columns)

    own = Challenged(
        tmp_path,
        lambda: "0.2.0-00000000",
        lambda _: named(production, "0.2.0-00000000", slow),
    )
    own.look()
    for _ in range(3):
        own.shadow.observe(NOTE, answered(production, 6))  # would block here for ever
    assert busy.wait(20)
    release.set()
    own.shadow.close()

    assert sum(own.shed) == 12
    assert len(own.written()) == 6


@pytest.mark.parametrize("wrong", [float("nan"), 1e9, None])
def test_a_challenger_that_fails_is_counted_and_the_next_answer_is_tried(
    tmp_path: Path, production: Predictor, wrong: float | None
):
    failing = [True]

    def sometimes(columns: Any) -> Any:
        if failing and wrong is None:
            raise ValueError
        return production.probabilities(columns) * (wrong if failing else 1)

    own = Challenged(
        tmp_path,
        lambda: "0.2.0-00000000",
        lambda _: named(production, "0.2.0-00000000", sometimes),
    )
    own.look()
    own.shadow.observe(NOTE, answered(production, 2))
    until(lambda: own.shed, "it failed")
    failing.clear()
    own.shadow.observe(NOTE, answered(production, 1))
    own.shadow.close()

    assert own.shed == [2]
    assert len(own.written()) == 1


def test_a_challenger_that_is_refused_is_told_of_once_and_a_good_one_takes_its_place(
    tmp_path: Path, production: Predictor
):
    damaged = [True]

    def load(name: str) -> Predictor:
        if damaged:
            msg = f"{name} is damaged"
            raise TamperedArtifactError(msg)
        return named(production, name)

    own = Challenged(tmp_path, lambda: "0.2.0-00000000", load)
    for _ in range(3):
        own.look()
    own.shadow.observe(NOTE, answered(production, 1))
    damaged.clear()
    own.look()
    own.shadow.observe(NOTE, answered(production, 1))
    own.shadow.close()

    assert own.told == [{"reason": "0.2.0-00000000 is damaged"}]
    assert len(own.written()) == 1


@pytest.mark.slow
def test_a_service_with_a_shadow_answers_by_production_and_writes_down_both(
    trained: Path, tmp_path: Path, production: Predictor, run
):
    own = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    configure(own, "model", max_iter=5)
    assert run(own, "train").returncode == 0
    assert run(own, "registry", "promote", "newest", "--to", "staging").returncode == 0
    config = load_config(
        configure(own, "serving", shadow="staging") / "config.yaml", PROJECT
    )
    settings = Settings(version=production.version)
    work = Workspace(PROJECT, config, own, settings)
    source = models(work)
    service = service_of(source, work)

    with TestClient(
        service.app, "http://127.0.0.1", client=("127.0.0.1", 50_000)
    ) as client:
        until(lambda: client.get("/ready").status_code == 200, "it is ready")
        until(lambda: asked_in_shadow(client, own), "the challenger answers")
        answer = client.post("/predict", json=CONTRACT.example()).json()

    texts = [path.read_text() for path in (own / "predictions/shadow").iterdir()]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    (line,) = [
        line for line in lines if line["prediction_id"] == answer["prediction_id"]
    ]
    challenger = load_predictor(own / "models" / source.resolve("staging"), PROJECT)
    assert answer["model_version"] == line["model_version"] == production.version
    assert line["probability"] == answer["churn_probability"]
    assert (
        line["challenger"]["probability"]
        == challenger.predict([CUSTOMER])[0].probability
    )


def asked_in_shadow(client: TestClient, own: Path) -> bool:
    """Ask until the challenger is there: it is loaded beside the first requests."""
    client.post("/predict", json=CONTRACT.example())
    return (own / "predictions/shadow").exists()
