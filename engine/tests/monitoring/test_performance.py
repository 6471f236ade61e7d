"""Weekly performance: right numbers, honest bands, and alarms that mean something."""

import dataclasses
import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, confusion_matrix, log_loss, roc_auc_score

from conftest import ROOT, Run
from own import PROJECT, service_of
from recorded import (
    at,
    outcome,
    prediction,
    prediction_id,
    week_figures,
    weeks_of,
    write,
    write_outcomes,
)
from scraped import read
from skewless.core.config_file import load_config
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.monitoring.performance import (
    MOST_UNITS,
    RESAMPLES,
    Week,
    latest_figures,
    measure,
    weekly,
)
from skewless.monitoring.performance_figures import (
    FILE,
    PerformanceFigures,
    State,
    performance_gauges,
)
from skewless.serving.follow import find_models
from versions import put

HORIZON = timedelta(days=10)
WINDOWS = 200


def answered(
    probabilities: np.ndarray, customers: np.ndarray | None = None
) -> pd.DataFrame:
    """Make predictions of one week, by default each of another customer."""
    random = np.random.default_rng(len(probabilities))
    names = (
        random.integers(0, 2**63, len(probabilities))
        if customers is None
        else customers
    )
    return pd.DataFrame(
        {
            "record": names.astype("uint64"),
            "time": at(1).replace(tzinfo=None),
            "probability": probabilities,
            "predicted": probabilities >= 0.5,
            "outcome": np.int8(-1),
            "lag_days": np.float32("nan"),
        }
    )


def judged(rows: pd.DataFrame, outcomes: np.ndarray, as_of_days: float = 100) -> Week:
    labelled = rows.assign(
        outcome=outcomes.astype("int8"), lag_days=np.where(outcomes < 0, np.nan, 3)
    )
    (week,) = weekly(labelled, as_of=at(as_of_days), horizon=HORIZON)
    return week


def events(random: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    return (random.random(len(chances)) < chances).astype(int)


def shifted(chances: np.ndarray, log_odds: float) -> np.ndarray:
    return 1 / (1 + (1 - chances) / chances * np.exp(-log_odds))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=2, max_size=30))
@pytest.mark.slow
def test_the_realised_measures_are_those_of_scikit_learn(
    pairs: list[tuple[float, int]],
):
    probabilities, outcomes = (np.array(values) for values in zip(*pairs, strict=True))

    found = measure(answered(probabilities), outcomes.astype(float))

    assert found.log_loss.value == pytest.approx(
        log_loss(outcomes, probabilities, labels=[0, 1])
    )
    assert found.brier.value == pytest.approx(brier_score_loss(outcomes, probabilities))
    assert found.confusion == tuple(
        confusion_matrix(outcomes, probabilities >= 0.5, labels=[0, 1]).ravel()
    )
    assert found.event_rate.value == pytest.approx(outcomes.mean())
    if len(set(outcomes)) > 1:
        assert found.roc_auc.value == pytest.approx(
            roc_auc_score(outcomes, probabilities)
        )
    else:
        assert found.roc_auc is None


@pytest.mark.slow
def test_the_estimate_is_what_many_draws_of_outcomes_come_to_on_average():
    random = np.random.default_rng(1)
    chances = random.beta(1.5, 2.5, 2_000)
    rows = answered(chances)

    estimated = measure(rows, chances)
    drawn = [measure(rows, events(random, chances).astype(float)) for _ in range(100)]

    for name in ("log_loss", "brier", "roc_auc", "event_rate"):
        values = [getattr(each, name).value for each in drawn]
        tolerance = 4 * np.std(values) / np.sqrt(len(values))
        assert getattr(estimated, name).value == pytest.approx(
            np.mean(values), abs=tolerance
        )
    assert estimated.confusion == pytest.approx(
        np.mean([each.confusion for each in drawn], axis=0), rel=0.02
    )


@pytest.mark.slow
def test_bands_are_of_as_many_draws_as_the_page_says():
    page, random = (
        (ROOT / "docs/monitoring/outcomes.md").read_text(),
        np.random.default_rng(11),
    )
    ratios = []
    # a band of 50 draws is off by 15 % of its width, one of 500 by 5 %
    for _ in range(60):
        chances = random.beta(1.5, 2.5, 300)
        band = measure(answered(chances), chances).event_rate
        ratios.append(
            (band.high - band.low) / (2 * 1.96 * chances.std() / np.sqrt(len(chances)))
        )

    assert f"95 % band of {RESAMPLES} bootstraps" in page
    assert np.sqrt(np.mean((np.array(ratios) - 1) ** 2)) < 0.08


@pytest.mark.parametrize("name", ["log_loss", "brier", "roc_auc", "event_rate"])
@pytest.mark.slow
def test_a_band_holds_the_truth_about_as_often_as_it_says(name: str):
    random = np.random.default_rng(2)
    truth = getattr(
        measure(answered(many := random.beta(1.5, 2.5, 200_000)), many), name
    ).value
    hits = []
    for _ in range(WINDOWS):
        chances = random.beta(1.5, 2.5, 300)
        band = getattr(
            measure(answered(chances), events(random, chances).astype(float)), name
        )
        hits.append(band.low <= truth <= band.high)

    assert 0.90 <= np.mean(hits) <= 0.99


def test_the_band_of_customers_drawn_in_groups_is_as_wide():
    chances = np.random.default_rng(3).beta(1.5, 2.5, 4 * MOST_UNITS)
    band = measure(answered(chances), chances).event_rate

    assert band.high - band.low == pytest.approx(
        2 * 1.96 * chances.std() / np.sqrt(len(chances)), rel=0.15
    )


def test_one_customer_asked_often_makes_no_band_narrower():
    chances = np.random.default_rng(4).beta(1.5, 2.5, 200)
    once = measure(answered(chances, np.arange(200)), chances).log_loss
    often = measure(
        answered(np.tile(chances, 10), np.tile(np.arange(200), 10)),
        np.tile(chances, 10),
    ).log_loss

    assert dataclasses.astuple(often) == pytest.approx(dataclasses.astuple(once))


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "times"), [(100, 1), (300, 1), (1_000, 1), (150, 8)])
def test_without_concept_drift_the_alarm_is_rare(rows: int, times: int):
    random = np.random.default_rng(rows)
    states = []
    for _ in range(WINDOWS):
        chances = random.beta(1.5, 2.5, rows)
        outcomes = events(random, chances)
        table = answered(np.tile(chances, times), np.tile(np.arange(rows), times))
        states.append(judged(table, np.tile(outcomes, times)).state)

    assert states.count("concept_drift") <= 0.05 * WINDOWS
    assert set(states) <= {"ok", "concept_drift"}


@pytest.mark.parametrize("log_odds", [-1.0, 1.0])
@pytest.mark.slow
def test_where_customers_behave_otherwise_the_alarm_is_raised(log_odds: float):
    random = np.random.default_rng(5)
    states = []
    for _ in range(50):
        chances = random.beta(1.5, 2.5, 300)
        states.append(
            judged(answered(chances), events(random, shifted(chances, log_odds))).state
        )

    assert states.count("concept_drift") >= 0.8 * len(states)


@pytest.mark.slow
def test_outcomes_flipped_for_a_third_are_seen():
    random = np.random.default_rng(6)
    states = []
    for _ in range(50):
        chances = random.beta(1.5, 2.5, 200)
        outcomes = events(random, chances)
        states.append(
            judged(
                answered(chances),
                np.where(random.random(200) < 1 / 3, 1 - outcomes, outcomes),
            ).state
        )

    assert states.count("concept_drift") >= 0.95 * len(states)


def test_where_every_chance_is_even_the_rate_is_judged_as_the_loss_cannot_tell():
    even = np.full(300, 0.5)
    outcomes = (np.arange(300) % 10 > 0).astype(int)

    assert judged(answered(even), outcomes).state == "concept_drift"


def test_a_small_difference_is_no_alarm_however_sure_it_is():
    random = np.random.default_rng(7)
    chances = random.beta(1.5, 2.5, 200_000)

    assert (
        judged(answered(chances), events(random, np.clip(chances - 0.01, 0, 1))).state
        == "ok"
    )


def test_a_week_is_not_judged_while_outcomes_are_due_and_judged_when_they_are_over():
    random = np.random.default_rng(8)
    chances = random.beta(1.5, 2.5, 400)
    outcomes = events(random, chances)
    early = np.where(outcomes == 1, 1, -1)  # who leaves is known first

    states = [judged(answered(chances), early, day).state for day in (5, 12)]

    assert states == ["waiting", "one_sided"]  # and silence is not 0
    # all are known before they are due
    assert judged(answered(chances), outcomes, 5).state == "ok"


def test_few_customers_are_not_judged_however_often_they_were_asked():
    chances = np.full(990, 0.9)
    week = judged(answered(chances, np.arange(990) % 99), np.zeros(990))

    assert (week.state, week.records, week.predicted) == ("too_few", 99, 990)


def test_a_week_without_outcomes_has_an_estimate_alone():
    week = judged(answered(np.full(10, 0.3)), np.full(10, -1), 5)

    assert (week.realised, week.expected, week.lag_days, week.coverage) == (
        None,
        None,
        None,
        0,
    )
    assert week.estimated.event_rate.value == pytest.approx(0.3)
    assert week.state == "waiting"


def test_outcomes_of_a_chosen_part_are_compared_with_what_that_part_let_expect():
    random = np.random.default_rng(9)
    chances = random.beta(1.5, 2.5, 2_000)
    # outcomes only of those whom somebody called
    likely_only = np.where(chances > 0.6, events(random, chances), -1)

    week = judged(answered(chances), likely_only)

    assert week.state == "ok"
    assert week.expected.event_rate.value > week.estimated.event_rate.value + 0.2


@pytest.mark.parametrize(
    ("days", "name"),
    [
        (0, "2026-W02"),
        (6.99, "2026-W02"),
        (7, "2026-W03"),
        (-5, "2026-W01"),
        (-7, "2026-W01"),
    ],
)
def test_weeks_are_those_of_iso_8601_in_utc(days: float, name: str):
    rows = answered(np.array([0.5])).assign(time=at(days).replace(tzinfo=None))

    (week,) = weekly(rows, as_of=at(50), horizon=HORIZON)

    assert week.week == name


def test_the_page_names_every_state():
    page = (ROOT / "docs/monitoring/outcomes.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(
        get_args(State)
    )


def test_no_predictions_are_no_weeks():
    assert weekly(answered(np.array([])), as_of=at(50), horizon=HORIZON) == []


@pytest.fixture
def watched(project: Path) -> Path:
    """Return a project with three weeks: as expected, flipped, without outcomes."""
    random = np.random.default_rng(10)
    chances = [random.beta(1.5, 2.5, 300) for _ in range(3)]
    outcomes = [
        events(random, chances[0]),
        1 - events(random, chances[1]),
        np.full(300, -1),
    ]
    weeks_of(project / "predictions", chances, outcomes, lag_days=20)
    return project


@pytest.mark.slow
def test_the_command_tells_week_by_week_and_ends_with_3_where_outcomes_contradict(
    watched: Path, run: Run
):
    done = run(watched, "performance", "--as-of", "2026-03-01", "--json")
    table = run(watched, "performance", "--as-of", "2026-03-01")

    weeks = json.loads(done.stdout)["weeks"]
    assert (done.returncode, table.returncode) == (3, 3)
    assert [week["state"] for week in weeks] == ["ok", "concept_drift", "waiting"]
    assert [week["coverage"] for week in weeks] == [1, 1, 0]
    assert weeks[0]["lag_days"] == pytest.approx(20)
    assert set(weeks[0]["realised"]["log_loss"]) == {"value", "low", "high"}
    assert [line.split()[0] for line in table.stdout.splitlines()[1:4]] == [
        "2026-W02",
        "2026-W03",
        "2026-W04",
    ]
    assert "train on newer outcomes" in table.stdout


@pytest.mark.slow
def test_a_report_of_a_day_is_the_same_for_ever(watched: Path, run: Run):
    asked = ("performance", "--as-of", "2026-02-01T12:00:00+01:00", "--json")
    before = run(watched, *asked)
    # predictions of the first week and the third
    numbers = (*range(300), *range(2_000_000, 2_000_300))
    said = [
        outcome(40, number % 2, prediction_id=prediction_id(number))
        for number in numbers
    ]
    write_outcomes(watched / "predictions", said, process="host-2")
    write(
        watched / "predictions",
        [prediction(number, 35) for number in range(5_000_000, 5_000_300)],
    )

    after = run(watched, *asked)

    # the outcomes of the second week are not there yet
    assert before.returncode == after.returncode == 0
    assert after.stdout == before.stdout
    assert run(watched, "performance", "--as-of", "2026-03-10").returncode == 3


def test_only_so_many_weeks_are_told_and_none_is_no_fault(watched: Path, run: Run):
    few = json.loads(
        run(
            watched, "performance", "--as-of", "2026-01-25", "--weeks", 2, "--json"
        ).stdout
    )
    none = run(watched, "performance", "--as-of", "2026-01-01")

    assert [week["week"] for week in few["weeks"]] == ["2026-W03", "2026-W04"]
    assert (none.returncode, "nothing was predicted" in none.stdout) == (0, True)


def test_a_moment_that_is_ahead_is_refused_as_nobody_knows_it_yet(
    watched: Path, run: Run
):
    done = run(watched, "performance", "--as-of", "2999-01-01")

    assert (done.returncode, "2999-01-01 is in the future" in done.stderr) == (2, True)


@pytest.mark.parametrize("moment", ["0001-01-02", "1969-12-31T23:59"])
def test_a_moment_before_any_log_is_refused(watched: Path, run: Run, moment: str):
    done = run(watched, "performance", "--as-of", moment)

    assert (done.returncode, f"{moment} is before 2000" in done.stderr) == (2, True)


def test_the_first_day_of_any_log_can_be_asked_for(watched: Path, run: Run):
    done = run(watched, "performance", "--as-of", "2000-01-01", "--weeks", 520)

    assert (done.returncode, "nothing was predicted" in done.stdout) == (0, True), (
        done.stderr
    )


@pytest.mark.parametrize("name", ["0.2.0-00000000", "production", "typo"])
def test_a_version_that_is_not_there_is_refused(watched: Path, run: Run, name: str):
    assert run(watched, "performance", "--version", name).returncode == 3


def test_an_alias_stands_for_its_version(
    trained: Path, version: Path, run: Run, tmp_path: Path
):
    own = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    put(own, version.name)
    lines = [prediction(number, 1) for number in range(2)]
    lines[0]["answer"]["model_version"] = version.name
    write(own / "predictions", lines)

    done = run(
        own, "performance", "--version", "production", "--as-of", "2026-03-01", "--json"
    )

    found = json.loads(done.stdout)
    assert (found["version"], [week["predicted"] for week in found["weeks"]]) == (
        version.name,
        [1],
    )


def week_of(state: State) -> Week:
    """Make a week that is judged so, whatever its measures."""
    rows = answered(np.full(200, 0.5))
    week = judged(rows, events(np.random.default_rng(1), np.full(200, 0.5)))
    return dataclasses.replace(week, state=state)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["ok", "concept_drift", "waiting", "waiting"], "concept_drift"),
        (["concept_drift", "ok", "too_few"], "ok"),
        (["ok", "one_sided", "waiting"], "one_sided"),
        (["too_few", "waiting"], "waiting"),
    ],
)
def test_the_service_shows_the_latest_week_that_is_judged_else_the_latest(
    states: list[State], expected: State
):
    weeks = [
        dataclasses.replace(week_of(state), week=f"2026-W{10 + place}")
        for place, state in enumerate(states)
    ]

    week = latest_figures(weeks, checked_at=at(50)).week

    place = len(states) - 1 - states[::-1].index(expected)
    assert (week.week, week.state) == (f"2026-W{10 + place}", expected)
    assert (week.log_loss is None) == (expected == "waiting")
    assert (week.event_rate is None) == (expected == "waiting")


def test_no_week_shows_only_when_it_was_looked(tmp_path: Path):
    latest_figures([], checked_at=at(50)).write(tmp_path)

    (family,) = performance_gauges(tmp_path).collect()

    assert family.name == "performance_checked_timestamp_seconds"
    assert family.samples[0].value == at(50).timestamp()


@pytest.mark.parametrize(
    "change",
    [
        {"week": {"week": "soon"}},
        {"week": {"predicted": 0}},
        {"week": {"state": "drift"}},
        {"week": {"log_loss": {"realised": "x", "expected": 1}}},
        {"checked_at": "2026-01-01"},
    ],
)
def test_figures_that_are_damaged_are_no_gauges_and_no_error(
    tmp_path: Path, change: dict
):
    gauges, path = performance_gauges(tmp_path), tmp_path / FILE
    week_figures("ok").write(tmp_path)
    before = {family.name for family in gauges.collect()}
    told = json.loads(path.read_text())
    told |= {**change, "week": told["week"] | change.get("week", {})}
    path.write_text(json.dumps(told))
    os.utime(path, ns=(1, 1))

    assert {"performance_state", "performance_log_loss"} < before
    assert list(gauges.collect()) == []


@pytest.mark.parametrize(
    ("words", "is_left"),
    [
        ([], True),
        (["--as-of", "0h"], False),
        (["--weeks", 26], False),
    ],
)
def test_what_was_found_of_now_and_of_all_is_left_for_the_service(
    watched: Path, run: Run, words: list, *, is_left: bool
):
    run(watched, "performance", *words)

    assert (watched / "predictions" / FILE).exists() == is_left


@pytest.mark.slow
def test_a_service_shows_what_the_command_found(
    trained: Path, run: Run, tmp_path: Path
):
    own = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    random = np.random.default_rng(10)
    chances = [random.beta(1.5, 2.5, 300) for _ in range(2)]
    monday = datetime.now(UTC).date() - timedelta(weeks=20)
    start = (monday - timedelta(days=monday.weekday()) - at(0).date()).days
    outcomes = [events(random, chances[0]), 1 - events(random, chances[1])]
    weeks_of(own / "predictions", chances, outcomes, lag_days=20, start=start)
    assert run(own, "performance").returncode == 3
    quiet = Settings(_env_file=None, log_level="warning")
    work = Workspace(PROJECT, load_config(own / "config.yaml", PROJECT), own, quiet)
    service = service_of(find_models(work), work)

    with TestClient(
        service.app, base_url="http://localhost", client=("127.0.0.1", 1)
    ) as client:
        shown = read(client.get("/metrics").text)

    figures = PerformanceFigures.model_validate_json(
        (own / "predictions" / FILE).read_bytes()
    )
    present = [labels for labels, value in shown["performance_state"].items() if value]
    assert present == [("concept_drift",)]
    assert shown["performance_log_loss"] == {
        ("realised",): figures.week.log_loss.realised,
        ("expected",): figures.week.log_loss.expected,
    }
    assert shown["performance_event_rate"]["realised",] > 0.5
    assert shown["performance_outcomes_known_ratio"] == {(): 1}
    assert shown["performance_week_timestamp_seconds"] == {
        (): at(start + 7).timestamp()
    }
