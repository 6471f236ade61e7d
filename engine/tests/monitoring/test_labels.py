"""Late, repeated, corrected, unordered outcomes → the label known at a moment."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from own import CONTRACT
from recorded import at, outcome, prediction, prediction_id, write, write_outcomes
from remembered import told
from skewless.monitoring.labels import join_outcomes, review
from skewless.monitoring.place import Log, Window

HORIZON = timedelta(days=10)
LATE = at(100)
DAYS = st.integers(0, 30)
NAMES = st.sampled_from("abc")
PREDICTIONS = st.lists(st.tuples(DAYS, st.none() | NAMES), max_size=8)
SAID = st.tuples(DAYS, st.integers(0, 1), st.none() | DAYS)
OUTCOMES = st.lists(
    st.tuples(
        SAID,
        st.integers(0, 9).map(lambda number: {"prediction_id": prediction_id(number)}),
    )
    | st.tuples(SAID, NAMES.map(lambda name: {"record": name})),
    max_size=12,
)
quickly = settings(max_examples=30, deadline=None)


def labels(folder: Path, as_of: datetime = LATE) -> list[int]:
    """Join, and list the outcomes in the order of the predictions' times."""
    return join_outcomes(Log(folder), CONTRACT, Window(until=as_of), horizon=HORIZON)[
        "outcome"
    ].tolist()


def lines(said: Sequence[tuple]) -> list[dict]:
    return [
        outcome(days, value, observed=seen, **name)
        for (days, value, seen), name in said
    ]


def written(root: Path, predictions: Sequence[tuple], outcomes: Sequence[dict]) -> Path:
    """Write a log of numbered predictions.

    Of the same day, a later number is answered later.
    """
    folder = Path(root) / "log"
    asked = [
        (number, days + number / 1e3, name)
        for number, (days, name) in enumerate(predictions)
    ]
    write_outcomes(folder, outcomes)
    return write(folder, [prediction(*each) for each in asked])


def said_anew(said: Sequence[dict]) -> list[dict]:
    """Leave out what says again what was said of the same id just before."""
    kept, last = [], {}
    for line in sorted(
        said,
        key=lambda line: (
            line["recorded_at"],
            line["observed_at"] or "z",
            line["outcome"],
        ),
    ):
        name, now = (
            line.get("prediction_id") or line["record"],
            (line["outcome"], line["observed_at"]),
        )
        again = last.get(name) == now and (
            line["observed_at"] is not None or "prediction_id" in line
        )
        kept += [] if again else [line]
        last[name] = now
    return kept


def one_by_one(
    said: Sequence[dict], asked: tuple[int, float, str | None], as_of: datetime
) -> int:
    """Find the label of a prediction as one would by hand."""
    number, days, name = asked
    best = None
    for line in said_anew(said):
        recorded = datetime.fromisoformat(line["recorded_at"])
        seen = min(
            datetime.fromisoformat(line["observed_at"] or line["recorded_at"]), recorded
        )
        ours = line.get("prediction_id") == prediction_id(number)
        if "record" in line:
            ours = line["record"] == name and at(days) <= seen <= at(days) + HORIZON
        if (
            ours
            and recorded < as_of
            and (best is None or (recorded, seen, line["outcome"]) > best)
        ):
            best = recorded, seen, line["outcome"]
    return -1 if best is None else best[2]


@quickly
@given(predictions=PREDICTIONS, said=OUTCOMES, as_of=st.integers(0, 40))
@pytest.mark.slow
def test_every_label_is_the_one_that_a_person_would_find(
    tmp_path_factory: pytest.TempPathFactory, predictions: list, said: list, as_of: int
):
    folder = written(tmp_path_factory.mktemp("log"), predictions, lines(said))
    asked = [
        (number, days + number / 1e3, name)
        for number, (days, name) in enumerate(predictions)
    ]
    before = sorted(
        (each for each in asked if at(each[1]) < at(as_of)), key=lambda each: each[1]
    )

    assert labels(folder, at(as_of)) == [
        one_by_one(lines(said), each, at(as_of)) for each in before
    ]


@quickly
@given(predictions=PREDICTIONS, said=OUTCOMES, later=OUTCOMES, as_of=st.integers(0, 40))
@pytest.mark.slow
def test_what_is_recorded_later_changes_nothing_that_is_dated_earlier(
    tmp_path_factory: pytest.TempPathFactory,
    predictions: list,
    said: list,
    later: list,
    as_of: int,
):
    folder = written(tmp_path_factory.mktemp("log"), predictions, lines(said))
    before = join_outcomes(
        Log(folder), CONTRACT, Window(until=at(as_of)), horizon=HORIZON
    )
    write_outcomes(
        folder, lines([((as_of + days, *rest), name) for (days, *rest), name in later])
    )

    assert join_outcomes(
        Log(folder), CONTRACT, Window(until=at(as_of)), horizon=HORIZON
    ).equals(before)


@quickly
@given(predictions=PREDICTIONS, said=OUTCOMES, seed=st.integers(0, 9))
@pytest.mark.slow
def test_neither_the_order_of_arrival_nor_repetition_changes_a_label(
    tmp_path_factory: pytest.TempPathFactory, predictions: list, said: list, seed: int
):
    once, shuffled = lines(said), lines(said) + lines(said)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - a test's order
    first = written(tmp_path_factory.mktemp("once"), predictions, once)
    second = written(tmp_path_factory.mktemp("twice"), predictions, shuffled[1:])
    write_outcomes(second, shuffled[:1], process="host-2")

    one, other = (
        join_outcomes(Log(folder), CONTRACT, Window(until=LATE), horizon=HORIZON)
        for folder in (first, second)
    )

    assert one.equals(other)


def test_a_repetition_that_is_recorded_later_keeps_label_and_lag(tmp_path: Path):
    said = [
        outcome(5, 1, prediction_id=prediction_id(0)),
        outcome(8, 1, prediction_id=prediction_id(0)),
        outcome(6, 0, observed=4, record="b"),
        outcome(9, 0, observed=4, record="b"),
    ]

    folder = written(tmp_path, [(0, "a"), (1, "b")], said)

    joined = join_outcomes(Log(folder), CONTRACT, Window(until=LATE), horizon=HORIZON)

    assert joined["outcome"].tolist() == [1, 0]
    assert joined["lag_days"].tolist() == pytest.approx([5, 3], abs=0.01)


def test_a_correction_counts_from_when_it_is_recorded(tmp_path: Path):
    name = {"prediction_id": prediction_id(0)}
    folder = written(
        tmp_path, [(0, "a")], [outcome(5, 1, **name), outcome(7, 0, **name)]
    )

    assert [labels(folder, at(day)) for day in (5, 6, 7, 8)] == [[-1], [1], [1], [0]]


def test_a_customers_outcome_belongs_to_what_was_answered_within_the_horizon_before_it(
    tmp_path: Path,
):
    folder = written(
        tmp_path,
        [(0, "a"), (5, "a"), (12, "a")],
        [outcome(20, 1, observed=11, record="a")],
    )

    assert labels(folder) == [-1, 1, -1]


def test_the_last_moment_of_the_horizon_is_within_it(tmp_path: Path):
    said = [
        outcome(20, 1, observed=10, record="a"),
        outcome(20, 1, observed=11 + 1e-6, record="b"),
    ]
    folder = write(tmp_path / "log", [prediction(0, 0, "a"), prediction(1, 1, "b")])
    write_outcomes(folder, said)

    assert labels(folder) == [1, -1]


def test_what_was_recorded_last_counts_by_whichever_id_it_came(tmp_path: Path):
    said = [
        outcome(5, 1, prediction_id=prediction_id(0)),
        outcome(7, 0, observed=6, record="a"),
        outcome(5, 1, observed=4, record="b"),
        outcome(7, 0, prediction_id=prediction_id(1)),
    ]

    assert labels(written(tmp_path, [(0, "a"), (0, "b")], said)) == [0, 0]


def test_an_outcome_is_not_observed_after_it_was_recorded(tmp_path: Path):
    folder = written(tmp_path, [(0, "a")], [outcome(5, 1, observed=5_000, record="a")])

    assert labels(folder) == [1]


def test_a_torn_line_costs_itself_alone(tmp_path: Path):
    folder = written(
        tmp_path,
        [(0, "a"), (1, "b")],
        [outcome(5, 1, record="a"), outcome(5, 0, record="b")],
    )
    (path,) = (folder / "outcomes").iterdir()
    path.write_bytes(path.read_bytes()[:-20])

    assert labels(folder) == [1, -1]
    assert len(told(folder, before=LATE)) == 1


def test_without_predictions_or_outcomes_the_table_is_empty_and_has_its_types(
    tmp_path: Path,
):
    empty = join_outcomes(Log(tmp_path), CONTRACT, Window(until=at(1)), horizon=HORIZON)
    full = join_outcomes(
        Log(written(tmp_path, [(0, "a")], [])),
        CONTRACT,
        Window(until=at(1)),
        horizon=HORIZON,
    )

    assert (len(empty), full["outcome"].tolist()) == (0, [-1])
    assert empty.dtypes.drop("version").equals(full.dtypes.drop("version"))
    assert full["lag_days"].isna().all()


def test_a_prediction_of_nobody_is_its_own_customer(tmp_path: Path):
    folder = written(tmp_path, [(0, None), (1, None), (2, "a"), (3, "a")], [])

    joined = join_outcomes(Log(folder), CONTRACT, Window(until=at(9)), horizon=HORIZON)

    assert joined["record"].nunique() == 3


@pytest.mark.slow
def test_many_outcomes_of_one_customer_are_found_without_a_product_of_the_two(
    tmp_path: Path,
):
    rows = 3_000
    spread = np.linspace(0, 30, rows)
    said = [outcome(day, number % 2, record="a") for number, day in enumerate(spread)]

    folder = written(tmp_path, [(day, "a") for day in spread], said)

    after_all = (spread + np.arange(rows) / 1e3 > spread[-1]).tolist()
    assert [label == -1 for label in labels(folder)] == after_all


def test_a_batch_is_counted_by_what_it_says(tmp_path: Path):
    folder = written(
        tmp_path,
        [(0, "a"), (1, "b")],
        [
            outcome(3, 1, record="a", observed=2),
            outcome(4, 1, record="a", observed=2),  # again
            outcome(4, 0, record="b"),
            outcome(4, 1, record="b"),  # otherwise, in the same batch
            outcome(4, 1, record="z"),
            outcome(4, 1, prediction_id=prediction_id(9)),
        ],
    )

    assert review(Log(folder), CONTRACT, at(4)) == {
        "duplicates": 1,
        "corrections": 1,
        "unknown": 2,
    }
    assert review(Log(folder), CONTRACT, at(3)) == {
        "duplicates": 0,
        "corrections": 0,
        "unknown": 0,
    }


def test_only_the_window_and_version_that_are_asked_for_are_joined(tmp_path: Path):
    folder = written(tmp_path, [(0, "a"), (5, "a")], [])
    until = at(9)

    assert (
        len(join_outcomes(Log(folder), CONTRACT, Window(at(3), until), horizon=HORIZON))
        == 1
    )
    assert join_outcomes(
        Log(folder), CONTRACT, Window(None, until, "0.2.0-00000000"), horizon=HORIZON
    ).empty


def test_times_are_utc_whatever_offset_an_outcome_came_with(tmp_path: Path):
    # 23:00 the day before
    said = outcome(5, 1, record="a") | {"observed_at": "2026-01-06T01:00:00+02:00"}
    table = told(written(tmp_path, [(0, "a")], [said]), before=at(9))

    assert table["observed_at"].tolist() == [pd.Timestamp("2026-01-05T23:00:00Z")]
