"""A change in a segment is seen although the whole stays; no change is rarely one."""

import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric

from conftest import Run
from fields import fields, movable
from outline import Outline
from own import CONTRACT, ID
from recorded import outcome, write_outcomes
from skewless.core.contract import Column
from skewless.core.errors import ConfigError
from skewless.models import reference as reference_file
from skewless.models.artifact import read_artifact
from skewless.models.predict import Predictor
from skewless.models.reference import Reference, count_segments
from skewless.monitoring.drift import SCORE, judge, judge_all
from skewless.monitoring.drift_figures import (
    ALARMS,
    Figures,
    Finding,
    SegmentFindings,
    drift_gauges,
)
from skewless.monitoring.drift_job import Scope, Span, find_drift
from skewless.monitoring.labels import segment_name
from skewless.monitoring.performance import weekly
from skewless.monitoring.performance_figures import (
    SegmentFigures,
    performance_gauges,
)
from skewless.monitoring.place import EVERY, Log
from skewless.monitoring.segments import by_segment
from skewless.monitoring.views import open_views
from skewless.monitoring.window import gather
from steady import configure
from windows import Values, customers, freeze_all, write_log

BY = fields("category", "boolean")[0]
MOVED = movable().name
NOW = datetime.now(UTC)
ROWS = 3_000
WINDOWS = 300


def freeze_with_segments(values: Values) -> Reference:
    """Freeze rows as training does, all of them held out."""
    columns = {name: each for name, each in values.items() if name != SCORE}
    return count_segments(
        freeze_all(values),
        columns,
        values[SCORE],
        is_held_out=np.ones(len(values[SCORE]), dtype=bool),
        by=[BY.name],
    )


def counted(
    reference: Reference, values: Values
) -> Iterator[tuple[Reference, dict[str, np.ndarray]]]:
    """Count rows by segment, as training and a window do, with NumPy alone."""
    bins = reference.columns | {SCORE: reference.score}
    own = bins[BY.name].place(values[BY.name])
    for place in reference.segments[BY.name]:
        yield (
            reference.of_segment(BY.name, place),
            {
                name: bins[name].count(each[own == place])
                for name, each in values.items()
                if name != BY.name
            },
        )


def turned(values: Values) -> Values:
    """Give one segment the highest values of a column; all together keep the same."""
    inside = np.flatnonzero(values[BY.name] == BY.choices[-1])
    order = np.argsort(values[MOVED], kind="stable")
    outside = np.setdiff1d(np.arange(len(order)), inside)
    places = np.empty(len(order), dtype=np.int64)
    places[inside] = order[len(outside) :]
    places[outside] = np.random.default_rng(1).permutation(order[: len(outside)])
    return values | {MOVED: values[MOVED][places]}


def test_training_counts_each_segment_as_if_it_were_the_table():
    values = customers(2_000, seed=1)
    reference = freeze_with_segments(values)

    for trained, counts in counted(reference, values):
        found = dict(trained.columns) | {SCORE: trained.score}
        assert {name: list(each.counts) for name, each in found.items()} == {
            name: each.tolist() for name, each in counts.items()
        }


def test_the_score_of_a_segment_is_that_of_its_records_held_out():
    values = customers(1_000, seed=1)
    held_out = np.arange(1_000) % 5 == 0
    columns = {name: each for name, each in values.items() if name != SCORE}
    reference = count_segments(
        freeze_all(values),
        columns,
        values[SCORE][held_out],
        is_held_out=held_out,
        by=[BY.name],
    )

    inside = reference.columns[BY.name].place(values[BY.name])
    for place, found in reference.segments[BY.name].items():
        assert sum(found.score) == np.sum(held_out & (inside == place))


def test_segments_that_are_too_many_to_keep_are_left_out_the_least_important_first(
    monkeypatch: pytest.MonkeyPatch,
):
    values = customers(500, seed=1)
    monkeypatch.setattr(reference_file, "MOST_COUNTS", 10)

    assert freeze_with_segments(values).segments == {}


@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_a_window_counts_each_segment_as_if_it_were_the_log(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int
):
    reference = freeze_with_segments(customers(1_000, seed=1))
    values = customers(rows, seed)
    folder = tmp_path_factory.mktemp("log")
    write_log(folder, "0.1.0-00000000", values, time=NOW, ids=map(str, range(rows)))

    with open_views(Log(folder), CONTRACT) as views:
        asked = gather(views, EVERY, reference, columns=CONTRACT.columns, by=[BY.name])

    found = [
        {name: each.tolist() for name, each in asked.segments[BY.name, place].items()}
        for place in reference.segments[BY.name]
    ]
    assert found == [
        {name: each.tolist() for name, each in counts.items()}
        for _, counts in counted(reference, values)
    ]


def test_a_row_whose_value_privacy_hid_is_in_no_segment(tmp_path: Path):
    reference = freeze_with_segments(customers(1_000, seed=1))
    values = customers(100, 2)
    for privacy in ({BY.name: "mask"}, None):
        write_log(
            tmp_path,
            "0.1.0-00000000",
            values,
            time=NOW,
            ids=[f"{privacy}-{row}" for row in range(100)],
            privacy=privacy,
        )

    with open_views(Log(tmp_path), CONTRACT) as views:
        asked = gather(views, EVERY, reference, columns=CONTRACT.columns, by=[BY.name])

    assert sum(int(each[SCORE].sum()) for each in asked.segments.values()) == 100
    assert asked.left_out == {BY.name: 100}


@pytest.mark.parametrize("rows", [100, 300, 1_000, 3_000])
@pytest.mark.slow
def test_without_drift_hardly_any_window_alarms_in_any_segment(rows: int):
    reference = freeze_with_segments(customers(10_000, seed=1))
    alarms = 0
    for window in range(WINDOWS):
        parts = list(counted(reference, customers(rows, seed=1_000 + window)))
        alarms += any(
            each.state in ALARMS for found in judge_all(parts) for each in found
        )

    assert alarms / WINDOWS <= 0.05


def test_a_segment_that_moves_is_found_although_the_whole_looks_as_before():
    reference = freeze_with_segments(customers(10_000, seed=1))
    values = turned(customers(ROWS, seed=2))
    bins = reference.columns | {SCORE: reference.score}
    whole = {name: bins[name].count(each) for name, each in values.items()}

    assert {each.state for each in judge(reference, whole)} == {"ok"}
    judged = judge_all(list(counted(reference, values)))
    assert {
        each.name for found in judged for each in found if each.state == "drift"
    } == {MOVED}


def test_the_same_parts_are_judged_the_more_strictly_the_more_there_are():
    values = customers(2_000, seed=1)
    reference = freeze_with_segments(values)
    parts = list(counted(reference, customers(400, seed=2)))

    (alone,), together = judge_all(parts[:1]), judge_all(parts)

    by_name = {each.name: each.p for each in alone}
    assert all(each.p >= by_name[each.name] for each in together[0])
    assert judge_all([]) == []


# The same through the commands.


@pytest.fixture(scope="module")
def told(
    trained: Path, predictor: Predictor, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a project in which a segment moved, and another ends otherwise.

    Its sums are as predicted. Do not change it.
    """
    folder = tmp_path_factory.mktemp("segments") / "project"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("predictions"))
    configure(folder, "monitoring", outcome_days=1)
    values = customers(ROWS, 5)
    values[SCORE] = predictor.probabilities(values)
    ids = [f"c-{row}" for row in range(ROWS)]
    time = NOW - timedelta(days=5)
    log = folder / "predictions"
    write_log(log, predictor.version, turned(values), time=time, ids=ids)
    write_outcomes(
        log,
        [
            outcome(0, int(value), record=name)
            | dict.fromkeys(
                ("recorded_at", "observed_at"), (time + timedelta(hours=2)).isoformat()
            )
            for name, value in zip(ids, ended(values), strict=True)
        ],
    )
    return folder


def ended(values: Values) -> np.ndarray:
    """Make outcomes: too many in a segment, and as many too few in the others.

    Elsewhere as many come as were expected, whatever the chance.
    """
    inside = values[BY.name] == BY.choices[-1]
    raised = 0.6 * values[SCORE] * (1 - values[SCORE]) * inside
    share = raised.sum() / values[SCORE][~inside].sum()
    chances = np.where(inside, values[SCORE] + raised, values[SCORE] * (1 - share))
    order = np.lexsort((chances, inside))
    due = np.floor(np.cumsum(chances[order]))
    outcomes = np.zeros(len(order), dtype=np.int64)
    outcomes[order] = np.diff(due, prepend=0)
    return outcomes


def lines_of(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_drift_by_a_column_names_the_segment_and_what_moved(told: Path, run: Run):
    whole = run(told, "drift", "--since", "9d")
    by = run(told, "drift", "--since", "9d", "--by", BY.name)

    assert (whole.returncode, by.returncode) == (0, 3), whole.stdout + by.stderr
    (line,) = lines_of(by.stdout, f"{BY.name} = {BY.choices[-1]} ")
    assert " drift " in line
    assert f"{MOVED} " in line
    assert "look where the first" in by.stdout


@pytest.mark.slow
def test_drift_says_the_same_as_json(told: Path, run: Run):
    done = run(told, "drift", "--since", "9d", "--by", BY.name, "--json")

    found = json.loads(done.stdout)["segments"]
    assert {each["value"] for each in found} == {
        *BY.choices,
        *([None] if BY.nullable else []),
    }
    moved = {
        (each["value"], one["name"])
        for each in found
        for one in each["findings"]
        if one["state"] == "drift"
    }
    assert (BY.choices[-1], MOVED) in moved
    assert sum(each["rows"] for each in found) == ROWS


def test_performance_by_a_column_names_the_segment_that_ends_otherwise(
    told: Path, run: Run
):
    whole = run(told, "performance")
    by = run(told, "performance", "--by", BY.name)

    assert (whole.returncode, by.returncode) == (0, 3), whole.stdout + by.stdout
    (line,) = lines_of(by.stdout, f"{BY.name} = {BY.choices[-1]} ")
    assert line.endswith("concept_drift")
    assert "outcomes contradict the predictions" in by.stdout


@pytest.mark.slow
def test_the_report_looks_at_segments_without_being_asked(told: Path, run: Run):
    done = run(told, "report", "report.html", "--since", "9d", "--json", "--overwrite")

    summary = json.loads(done.stdout)
    said = Outline((told / "report.html").read_text()).said
    name = f"{BY.name} = {BY.choices[-1]}"
    assert (done.returncode, summary["verdict"]) == (3, "act"), done.stderr
    assert "Outcomes contradict the predictions of a segment" in summary["headline"]
    assert any(f"Where {name}, {MOVED} moved: " in each for each in summary["meaning"])
    assert "By segment" in said
    assert "On the whole, no column moved by enough to matter; within segments" in said
    assert summary["since"].startswith("On the whole, no column moved enough")
    assert name in said


def samples(
    families: Iterable[Metric], name: str
) -> list[tuple[dict[str, str], float]]:
    (family,) = [each for each in families if each.name == name]
    return [(each.labels, each.value) for each in family.samples]


@pytest.mark.slow
def test_the_service_shows_segments_with_alarms_of_their_own(
    told: Path, run: Run, tmp_path: Path
):
    own = Path(shutil.copytree(told, tmp_path / "own"))
    name, folder = f"{BY.name} = {BY.choices[-1]}", own / "predictions"

    assert run(own, "report", "--since", "9d").returncode == 3
    moved = samples(drift_gauges(folder).collect(), "drift_segment_alarm")
    assert {(labels["segment"], labels["column"]) for labels, _ in moved} >= {
        (name, MOVED)
    }
    ended = samples(performance_gauges(folder).collect(), "performance_segment_alarm")
    assert ended == [({"segment": name}, 1.0)]


@pytest.mark.parametrize(
    ("whole", "alarms"), [("ok", [MOVED, f"{MOVED} missing"]), ("drift", [])]
)
def test_what_drifts_on_the_whole_is_no_alarm_of_a_segment(
    whole: str, alarms: list[str]
):
    def found(state: str, name: str = MOVED, kind: str = "column") -> Finding:
        return Finding(
            name=name,
            kind=kind,
            state=state,
            psi=0.5,
            psi_corrected=0.5,
            p=0.0,
            rows_needed=1,
            impact=0.1,
        )

    segment = SegmentFindings(
        column=BY.name,
        value=None,
        rows=9,
        findings=(found("broken", f"{MOVED} missing", "missing"), found("drift")),
    )
    figures = Figures(
        version="0.1.0-00000000",
        since=NOW,
        until=NOW,
        checked_at=NOW,
        hidden=(),
        rows=9,
        rows_without_id=0,
        rows_logged=9,
        rows_unreadable=0,
        findings=(found(whole),),
        segments=(segment,),
    )

    assert sorted(each.name for _, each in figures.own_alarms) == sorted(alarms)
    assert (figures.is_alarm, figures.worst) == (True, "broken")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["drift", "performance"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (MOVED, f"--by {MOVED}: allowed are {BY.name}"),
        ("nothing", "--by nothing: allowed are"),
        (ID, f"--by {ID}: allowed are"),
    ],
)
def test_a_column_without_segments_is_refused_with_those_that_have_them(
    told: Path, run: Run, command: str, name: str, said: str
):
    done = run(told, command, "--by", name)

    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["drift", "performance"])
def test_a_column_that_privacy_hides_has_no_segments(
    told: Path, run: Run, tmp_path: Path, command: str
):
    own = Path(shutil.copytree(told, tmp_path / "own"))
    configure(own, "monitoring", privacy={BY.name: "drop"})

    done = run(own, command, "--by", BY.name)

    assert f"--by {BY.name}: monitoring.privacy hides it" in done.stderr


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({}, "was trained without segments; train again"),
        ({"another": {}}, "too many columns to keep the segments of all; it kept"),
    ],
)
def test_a_version_without_segments_says_what_to_do(
    version: Path, tmp_path: Path, predictor: Predictor, kept: dict[str, Any], said: str
):
    metadata = read_artifact(version).metadata
    reference = metadata.reference.model_copy(update={"segments": kept})
    old = metadata.model_copy(update={"reference": reference})

    with (
        open_views(Log(tmp_path), CONTRACT) as views,
        pytest.raises(ConfigError, match=said),
    ):
        find_drift(
            views,
            old,
            predictor,
            scope=Scope(hidden=(), by=[BY.name]),
            span=Span(NOW, NOW, NOW),
        )


# Outcomes by segment, on tables of predictions.

SIZE = Column(name="size", kind="category", categories=("small", "large"))
HORIZON = timedelta(days=1)


def labelled(
    chances: np.ndarray, outcomes: np.ndarray, **columns: np.ndarray
) -> pd.DataFrame:
    """Make predictions of one week with outcomes, one per record unless it says."""
    rows = len(chances)
    return pd.DataFrame(
        {
            "record": np.arange(rows, dtype=np.uint64),
            "time": datetime(2026, 1, 6),  # noqa: DTZ001 - as the join gives it
            "probability": chances,
            "predicted": chances >= 0.5,
            "outcome": outcomes.astype(np.int8),
            "lag_days": np.float32(0),
            segment_name(SIZE): np.int16(0),
        }
        | columns
    )


def judged(joined: pd.DataFrame) -> list[SegmentFigures]:
    weeks = weekly(joined, as_of=datetime(2026, 3, 1, tzinfo=UTC), horizon=HORIZON)
    return by_segment(joined, [SIZE], weeks=weeks)


def test_the_figures_of_a_segment_are_those_of_its_labelled_rows():
    random = np.random.default_rng(1)
    chances = random.uniform(0.1, 0.9, 900)
    outcomes = random.random(900) < chances
    places = random.integers(0, 3, 900)
    outcomes = np.where(np.arange(900) % 7, outcomes, -1)

    found = judged(labelled(chances, outcomes, **{segment_name(SIZE): places}))

    assert {each.value for each in found} == {"small", "large", None}
    for each in found:
        place = [*SIZE.choices, None].index(each.value)
        inside, known = places == place, outcomes >= 0
        p, y = chances[inside & known], outcomes[inside & known]
        assert (each.predicted, each.labelled) == (inside.sum(), len(y))
        assert each.event_rate.realised == pytest.approx(y.mean())
        assert each.event_rate.expected == pytest.approx(p.mean())
        losses = -np.where(y, np.log(p), np.log1p(-p))
        expected = -p * np.log(p) - (1 - p) * np.log1p(-p)
        assert each.log_loss.realised == pytest.approx(losses.mean())
        assert each.log_loss.expected == pytest.approx(expected.mean())


@pytest.mark.parametrize("rate", [0.05, 0.3])
@pytest.mark.parametrize("repeats", [1, 5])
@pytest.mark.slow
def test_where_outcomes_are_as_predicted_the_alarm_is_rare(rate: float, repeats: int):
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(WINDOWS):
        chances = np.repeat(random.beta(2 * rate, 2 * (1 - rate), 600), repeats)
        outcomes = np.repeat(random.random(600), repeats) < chances
        found = judged(
            labelled(
                chances,
                outcomes,
                record=np.repeat(np.arange(600, dtype=np.uint64), repeats),
                **{segment_name(SIZE): np.repeat(random.integers(0, 3, 600), repeats)},
            )
        )
        alarms += any(each.state == "concept_drift" for each in found)

    assert alarms / WINDOWS <= 0.02


@pytest.mark.parametrize(
    ("chance", "outcomes", "state"),
    [
        (0.3, [1, 0] * 100, "concept_drift"),
        (0.3, [1] * 200, "one_sided"),
        (0.5, [1, 0] * 100, "ok"),
        (0.3, [1, 0] * 20, "too_few"),
        (0.01, [0] * 200, "too_few"),  # two events were expected: nobody can tell
        (0.3, [-1] * 200, "too_few"),
    ],
)
def test_each_state_of_a_segment_has_its_reason(
    chance: float, outcomes: list[int], state: str
):
    chances = np.full(len(outcomes), chance)

    (found,) = judged(labelled(chances, np.array(outcomes)))

    assert found.state == state


def test_weeks_that_wait_for_outcomes_say_nothing_of_their_segments():
    joined = labelled(np.full(200, 0.3), np.full(200, 1))
    joined.loc[0, "outcome"] = -1
    as_of = datetime(2026, 1, 6, tzinfo=UTC)

    weeks = weekly(joined, as_of=as_of, horizon=HORIZON)

    assert by_segment(joined, [SIZE], weeks=weeks) == []


def test_one_customer_asked_often_is_not_many():
    joined = labelled(np.full(500, 0.3), np.full(500, 1))
    joined["record"] = joined["record"] % 20

    (found,) = judged(joined)

    assert found.state == "too_few"


def test_metadata_holds_the_segments_that_training_counted(trained: Path):
    metadata = read_artifact(next((trained / "models").glob("*-*"))).metadata
    found: dict[str, Any] = metadata.reference.segments

    names = [column.name for column in CONTRACT.columns if column.choices]
    assert sorted(found) == sorted(names)
    assert all(
        sum(counts.columns[MOVED]) == metadata.reference.columns[name].counts[place]
        for name, places in found.items()
        for place, counts in places.items()
    )
