"""A candidate answers what production was asked.

The tests are about what has to be logged, and which limits hold.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from conftest import Done, Run
from fields import NUMBERS, as_records, fields
from own import CONTRACT, ID, PROJECT, service_of
from skewless.core.config_file import load_config
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.lifecycle import replay
from skewless.models.predict import load_predictor
from skewless.registry.registry import Registry
from skewless.serving.follow import find_models as models
from skewless.tables.simulate import simulate
from steady import configure
from versions import holder, put, train

ASKED = 40
REQUIRED = (fields(nullable=False) or fields())[0].name
MANY_DIGITS = [
    column.name for column in fields(*NUMBERS) if max(map(abs, column.bounds)) > 9
]


@pytest.fixture(scope="module")
def several(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """Return a project and its versions, one in production; do not change it."""
    folder = tmp_path_factory.mktemp("several") / "project"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("predictions"))
    configure(folder, "gate", replay_requests=ASKED, max_flip_share=0.05, max_psi=0.25)
    # limits beyond what chance can do here
    configure(folder, "gate", max_latency_ratio=1000, margin=0.05)
    config = load_config(folder / "config.yaml", PROJECT)
    configure(
        folder, "baseline", probabilities=[0.5] * len(config.baseline.probabilities)
    )
    twin = train(folder, model={"max_iter": config.model.max_iter + 1})
    eager = train(folder, decision={"threshold": 0, "medium_risk": 0})
    versions = {"production": train(folder), "twin": twin, "eager": eager}
    put(folder, versions["production"])
    return folder, versions


@pytest.fixture
def versions(several: tuple[Path, dict[str, str]]) -> dict[str, str]:
    return several[1]


@pytest.fixture
def own(several: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(several[0], tmp_path / "own"))


@pytest.fixture
def promote(own: Path, run: Run) -> Callable[[str], Done]:
    return lambda version: run(
        own, "registry", "promote", version, "--to", "production"
    )


def records(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Make up customers as JSON."""
    made = simulate(count, seed, CONTRACT)
    return as_records({column.name: made[column.name] for column in CONTRACT.columns})


def ask(
    folder: Path, version: str, customers: list[dict[str, Any]], **monitoring: Any
) -> list[float]:
    """Ask a service on a version, with a prediction log; return its probabilities."""
    config = load_config(folder / "config.yaml", PROJECT)
    config = config.model_copy(
        update={"monitoring": config.monitoring.model_copy(update=monitoring)}
    )
    settings = Settings(
        _env_file=None, version=version, log_level="warning", hash_key="k" * 32
    )
    work = Workspace(PROJECT, config, folder, settings)
    service = service_of(models(work), work)
    with TestClient(
        service.app, base_url="http://localhost", client=("127.0.0.1", 1)
    ) as client:
        answer = client.post("/predict/batch", json={"customers": customers})
    return [each["churn_probability"] for each in answer.json()["predictions"]]


def replayed(folder: Path) -> dict[str, Any]:
    """Return what the last event tells of the replay."""
    (check,) = (
        each
        for each in Registry(folder / "models").events()[-1].evidence
        if each.name == "replay"
    )
    return check


def quartiles(probabilities: list[float]) -> list[float]:
    return pytest.approx(np.quantile(probabilities, [0, 0.25, 0.5, 0.75, 1]))


@pytest.mark.slow
def test_the_latency_ratio_is_the_candidates_time_over_productions(
    own: Path,
    versions: dict[str, str],
    promote: Callable[[str], Done],
    monkeypatch: pytest.MonkeyPatch,
):
    ask(own, versions["production"], records(ASKED))
    took = {versions["production"]: 1.0, versions["twin"]: 2.5}
    monkeypatch.setattr(
        replay, "_median_seconds", lambda predictor, _: took[predictor.version]
    )

    promote(versions["twin"])

    assert replayed(own).facts["latency_ratio"] == 2.5


@pytest.mark.slow
def test_a_version_that_answers_alike_is_promoted_and_its_figures_are_kept(
    own: Path, versions: dict[str, str], promote: Callable[[str], Done]
):
    before = ask(own, versions["production"], records(ASKED))

    done = promote(versions["twin"])

    check = replayed(own)
    after = ask(own, versions["twin"], records(ASKED))
    assert (done.returncode, holder(own), check.passed) == (
        0,
        versions["twin"],
        True,
    ), done.stderr
    assert f"passed  replay: {ASKED} logged requests" in done.stdout
    assert check.facts["requests"] == ASKED
    assert check.facts["quartiles"] == {
        "production": quartiles(before),
        "candidate": quartiles(after),
    }
    assert before != after


def test_a_version_that_decides_otherwise_is_refused_with_the_largest_flips(
    own: Path, versions: dict[str, str], promote: Callable[[str], Done]
):
    before = np.array(ask(own, versions["production"], records(ASKED)))
    flips = np.sum(
        before
        < load_predictor(own / "models" / versions["production"], PROJECT).threshold
    )

    done = promote(versions["eager"])

    check = replayed(own)
    assert (done.returncode, holder(own), check.passed) == (
        3,
        versions["production"],
        False,
    )
    assert check.facts["flip_share"] == flips / ASKED > 0.05
    assert check.facts["psi"] == 0
    assert len({each["prediction_id"] for each in check.facts["largest_flips"]}) == min(
        5, flips
    )
    assert f"decisions that flip {flips / ASKED:.1%}, allowed 5.0%" in done.stderr
    assert "largest flips " in done.stderr


@pytest.mark.slow
def test_the_last_requests_are_repeated(
    own: Path, versions: dict[str, str], promote: Callable[[str], Done]
):
    ask(own, versions["production"], records(ASKED, seed=1))
    last = ask(own, versions["production"], records(ASKED, seed=2))

    promote(versions["twin"])

    assert replayed(own).facts["quartiles"]["production"] == quartiles(last)


@pytest.mark.slow
def test_only_requests_that_production_answered_count(
    own: Path, versions: dict[str, str], promote: Callable[[str], Done]
):
    ask(own, versions["production"], records(ASKED - 1))
    ask(own, versions["twin"], records(ASKED))

    done = promote(versions["twin"])

    wanted = (
        f"the log here holds {ASKED - 1} records that "
        f"{versions['production']} was asked about"
    )
    assert (done.returncode, replayed(own).passed) == (3, None)
    assert f"MISSING replay: {wanted}" in done.stderr


@pytest.mark.parametrize(
    ("monitoring", "said"),
    [
        ({}, "the log here holds 0 records"),
        ({"prediction_log": None}, "there is no prediction log"),
        ({"privacy": {REQUIRED: "drop"}}, f"monitoring.privacy hides {REQUIRED}"),
    ],
)
@pytest.mark.slow
def test_without_a_log_of_whole_requests_the_evidence_is_missing(
    own: Path,
    versions: dict[str, str],
    promote: Callable[[str], Done],
    monitoring: dict[str, Any],
    said: str,
):
    configure(own, "monitoring", **monitoring)

    done = promote(versions["twin"])

    assert (done.returncode, replayed(own).passed, holder(own)) == (
        3,
        None,
        versions["production"],
    )
    assert f"MISSING replay: {said}" in done.stderr


@pytest.mark.parametrize(
    "privacy",
    [{REQUIRED: "drop"}, {REQUIRED: "hash"}, dict.fromkeys(MANY_DIGITS, "bucket")],
    ids=["drop", "hash", "bucket"],
)
@pytest.mark.slow
def test_a_log_that_was_written_while_columns_were_hidden_is_no_evidence(
    own: Path,
    versions: dict[str, str],
    promote: Callable[[str], Done],
    privacy: dict[str, str],
):
    assert privacy
    ask(own, versions["production"], records(ASKED), privacy=privacy)

    done = promote(versions["twin"])

    assert (done.returncode, replayed(own).passed) == (3, None)
    assert "was monitoring.privacy changed since?" in done.stderr
    assert "Traceback" not in done.stderr


def test_who_the_customers_were_may_be_hidden(
    own: Path, versions: dict[str, str], promote: Callable[[str], Done]
):
    named = [{ID: f"c-{row}"} | record for row, record in enumerate(records(ASKED))]
    configure(own, "monitoring", privacy={ID: "drop"})
    ask(own, versions["production"], named, privacy={ID: "drop"})

    done = promote(versions["twin"])

    assert (done.returncode, replayed(own).passed) == (0, True), done.stderr
