"""Bins are chosen once, from training, and counts in them add up.

Their PSI is what the formula says.
"""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from own import CONTRACT
from skewless.models.artifact import read_artifact
from skewless.models.metadata import Metadata
from skewless.models.reference import (
    LEVELS,
    Distribution,
    freeze,
    importances,
    psi,
    shift,
)

samples = arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 1))
cells = st.none() | st.sampled_from(["a", "b", "c"])
numbers = st.floats(-1e6, 1e6) | st.just(math.nan)
columns_of_cells = st.lists(cells, min_size=1, max_size=60).map(
    lambda made: np.array(made, dtype=object)
)
columns_of_numbers = st.lists(numbers, min_size=1, max_size=60).map(np.array)
values = columns_of_cells | columns_of_numbers


def test_a_number_lies_in_tenths_with_open_ends_and_a_bin_for_missing():
    found = freeze(np.array([*np.arange(1000.0), np.nan]))

    assert found.counts == (100,) * 10 + (1,)
    assert found.count(np.array([-1e9, 1e9, math.inf, math.nan])).tolist() == [
        1,
        *[0] * 8,
        2,
        1,
    ]
    assert np.allclose(found.quantiles, np.array(LEVELS) * 999)


def test_of_a_number_that_is_often_the_same_the_edges_are_unique():
    found = freeze(np.r_[np.zeros(750), np.arange(1.0, 251)])

    assert found.edges == (0, pytest.approx(50, abs=1), pytest.approx(150, abs=1))
    assert found.counts[0] == 750


def test_a_number_of_few_values_has_a_bin_for_each():
    found = freeze(np.array([1, 2, 2, 5]))

    assert (found.values, found.counts) == ((1.0, 2.0, 5.0), (1, 2, 1, 0, 0, 0))
    assert found.count(np.array([2.0, 3.0, math.nan])).tolist() == [0, 1, 0, 0, 1, 1]


def test_truth_values_count_like_numbers_that_say_the_same():
    found = freeze(np.array([True, False, True]))

    assert found.count(np.array([1.0, math.nan])).tolist() == [0, 1, 0, 0, 1]


def test_rare_categories_share_a_bin_and_what_training_never_saw_has_its_own():
    found = freeze(
        np.array(["a"] * 900 + ["b"] * 10 + ["c"] * 9 + [None] * 81, dtype=object)
    )

    assert (found.values, found.rare, found.counts) == (
        ("a", "b"),
        ("c",),
        (900, 10, 9, 0, 81),
    )
    assert found.count(np.array(["z", "c", None, math.nan], dtype=object)).tolist() == [
        0,
        0,
        1,
        1,
        2,
    ]


def test_of_a_column_that_was_always_missing_every_value_is_new():
    found = freeze(np.array([math.nan, math.nan]))

    assert found.count(np.array([1.0, math.nan])).tolist() == [0, 1, 1]


@given(values, st.floats(0, 1))
def test_counts_of_parts_add_up_to_those_of_the_whole(column: np.ndarray, part: float):
    frozen, cut = freeze(column), int(part * len(column))

    added = frozen.count(column[:cut]) + frozen.count(column[cut:])

    assert tuple(added.tolist()) == frozen.counts
    assert sum(frozen.counts) == len(column)


@given(values)
def test_bins_are_the_same_after_they_were_stored(column: np.ndarray):
    frozen = freeze(column, importance=0.25)

    assert Distribution.model_validate_json(frozen.model_dump_json()) == frozen


@given(samples, st.randoms(use_true_random=False))
@pytest.mark.slow
def test_the_same_distribution_has_no_psi_in_whatever_order(sample: np.ndarray, random):
    shuffled = np.array(random.sample(sample.tolist(), len(sample)))

    assert shift(sample, sample) == shift(sample, shuffled) == 0


@given(samples, samples)
def test_psi_is_a_finite_distance(expected: np.ndarray, actual: np.ndarray):
    assert 0 <= shift(expected, actual) < math.inf


counts = st.lists(st.integers(0, 1000), min_size=3, max_size=3).map(np.array)


@given(counts.filter(np.any), counts.filter(np.any))
def test_psi_is_symmetric_and_knows_no_bin_that_is_empty_on_both_sides(
    first: np.ndarray, second: np.ndarray
):
    assert psi(first, second) == pytest.approx(psi(second, first))
    assert psi(np.append(first, 0), np.append(second, 0)) == psi(first, second)


def test_psi_is_what_the_formula_says_of_a_known_shift():
    found = psi(np.array([50, 50]), np.array([80, 20]))

    first, second = 80.5 / 101, 20.5 / 101
    assert found == pytest.approx(
        (first - 0.5) * math.log(first / 0.5) + (second - 0.5) * math.log(second / 0.5)
    )


def test_many_windows_are_measured_at_once():
    windows = np.array([[80, 20], [50, 50]])

    found = psi(np.array([50, 50]), windows)

    assert found.tolist() == [psi(np.array([50, 50]), windows[0]), 0]


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.permutations([0.1, 0.2, 0.9], 2))
)
def test_one_answer_to_all_that_becomes_another_is_a_large_shift(
    before: float, after: float
):
    assert shift(np.full(100, before), np.full(100, after)) > 1


def test_other_scores_in_the_same_order_are_no_shift_and_another_order_is():
    before = np.repeat([0.1, 0.3, 0.8], [50, 30, 20])

    assert shift(before, np.repeat([0.11, 0.29, 0.79], [50, 30, 20])) == 0
    assert shift(before, np.repeat([0.1, 0.3, 0.8], [20, 30, 50])) > 0.25


def test_a_column_is_worth_what_is_lost_without_it():
    columns = {"used": np.arange(100.0), "unused": np.arange(100.0)}

    found = importances(
        columns,
        np.arange(100),
        lambda known, outcomes: float(np.abs(known["used"] - outcomes).mean()),
    )

    assert found["unused"] == 0
    # as of two uniform numbers, on average
    assert found["used"] == pytest.approx(100 / 3, rel=0.1)


def test_a_version_remembers_every_column_of_its_table_and_the_scores_of_its_holdout(
    version: Path,
):
    metadata = read_artifact(version).metadata

    assert list(metadata.reference.columns) == [
        column.name for column in CONTRACT.columns
    ]
    assert {sum(each.counts) for each in metadata.reference.columns.values()} == {3000}
    assert sum(metadata.reference.score.counts) == metadata.holdout.rows
    importances = [each.importance for each in metadata.reference.columns.values()]
    assert max(importances) > 0.01  # nats


def test_a_version_from_before_has_none_and_keeps_its_name(version: Path):
    metadata = read_artifact(version).metadata

    old = Metadata.model_validate(metadata.model_dump(exclude={"reference"}))

    assert old.reference is None
    assert old.identity.version("0.1.0") == metadata.version
