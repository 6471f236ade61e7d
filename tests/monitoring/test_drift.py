"""What the drift rule promises: how rarely it is wrong, how often it sees, what it says of what it cannot."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from churn_service.contract import columns
from churn_service.monitoring.drift import (
    LARGE,
    LEVEL,
    SCORE,
    compare,
    holm,
    is_drift,
    judge,
    measure,
    rows_needed,
)
from churn_service.monitoring.drift_figures import STATES, Finding
from churn_service.reference import Distribution, Reference, freeze
from windows import POOL, Population, customers, freeze_all, population

WINDOWS = 1_000
SIZES = (30, 50, 100, 200, 500, 1_000)
FAMILY = 2 * len(columns()) + 1
NUMBER = freeze(np.random.default_rng(7).normal(0, 1, 10_000), importance=0.1)
FEW = freeze(np.random.default_rng(7).integers(0, 3, 10_000), importance=0.1)


@pytest.fixture(scope="module", params=[1_000, 10_000])
def healthy(request: pytest.FixtureRequest) -> Population:
    """Return windows that are drawn as the training table of so many rows was."""
    return population(freeze_all(customers(request.param, seed=1)), customers(POOL, seed=2))


def alarms(reference: Reference, counts: dict[str, np.ndarray]) -> np.ndarray:
    """Tell which windows raise any alarm, bool (windows,)."""
    _, shift = compare(reference, counts)
    return is_drift(shift.psi, shift.p).any(axis=-1)


def judged(distribution: Distribution, values: np.ndarray, *absent: str) -> Finding:
    """Judge one column, beside a score that stays."""
    score = freeze(np.linspace(0, 1, 10_000))
    reference = Reference(columns={"x": distribution}, score=score)
    counts = {"x": distribution.count(values), SCORE: score.count(np.linspace(0, 1, len(values)))}
    return {each.name: each for each in judge(reference, counts, absent)}["x"]


@pytest.mark.parametrize("rows", SIZES)
def test_without_drift_at_most_one_window_in_twenty_alarms_whatever_its_size(healthy: Population, rows: int):
    wrong = alarms(healthy.reference, healthy.windows(rows, WINDOWS))

    assert wrong.mean() <= 0.05


def test_the_usual_rule_alarms_in_most_small_windows_without_drift(healthy: Population):
    _, shift = compare(healthy.reference, healthy.windows(30, WINDOWS))

    assert (shift.psi > LARGE).any(axis=-1).mean() > 0.5


@pytest.mark.parametrize("sigmas", [0.5, -0.5])
def test_half_a_sigma_is_seen_in_four_windows_of_five_with_200_customers(sigmas: float):
    random = np.random.default_rng(7)
    counts = np.array([NUMBER.count(random.normal(sigmas, 1, 200)) for _ in range(WINDOWS)])

    found = measure(np.array(NUMBER.counts), counts)

    first_of_holm = found.p * FAMILY  # the most that the other members of the family can make of it
    assert is_drift(found.psi, first_of_holm).mean() >= 0.8


@pytest.mark.parametrize(("distribution", "rows"), [(NUMBER, 200), (NUMBER, 1_000), (FEW, 1_000)])
def test_one_outlier_hardly_moves_psi(distribution: Distribution, rows: int):
    values = np.random.default_rng(8).normal(1, 1, rows)
    values = values if distribution.edges else np.clip(np.round(values), 0, 2)

    before, after = (
        measure(np.array(distribution.counts), distribution.count(each)).psi
        for each in (values, np.append(values, 1e4))
    )

    assert abs(after - before) < 0.01


@pytest.mark.parametrize("rows", SIZES)
def test_what_was_never_missing_and_is_in_four_of_ten_is_seen(rows: int):
    values = np.random.default_rng(8).normal(0, 1, rows)
    values[: int(0.4 * rows)] = math.nan
    reference = Reference(columns={"x": NUMBER}, score=NUMBER)

    found = judge(reference, {"x": NUMBER.count(values), SCORE: NUMBER.count(values)})

    assert {each.name: each.state for each in found}["x missing"] == "drift"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20).map(np.array))
def test_holm_is_what_its_definition_says(p: np.ndarray):
    order = np.argsort(p)
    expected = [
        min(1, max((len(p) - rank) * p[order[rank]] for rank in range(place + 1))) for place in range(len(p))
    ]

    adjusted = holm(p)

    assert adjusted[order] == pytest.approx(expected)
    assert (adjusted >= p).all()


def test_holm_knows_a_published_example():
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005]))

    assert adjusted.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_without_a_shift_corrected_psi_is_around_zero(healthy: Population):
    family, shift = compare(healthy.reference, healthy.windows(200, WINDOWS))

    numbers = [place for place, member in enumerate(family) if member.kind == "score"]
    assert shift.psi[:, numbers].mean() > 0.04
    assert abs(shift.corrected[:, numbers].mean()) < 0.01


@pytest.mark.parametrize("bins", [2, 4, 11])
@pytest.mark.parametrize("expected", [500, 10_000])
def test_the_rows_that_are_needed_are_the_least_at_which_a_large_psi_is_no_chance(bins: int, expected: int):
    needed = rows_needed(expected, bins, FAMILY)

    at, below = (
        chi2.sf(LARGE / (1 / expected + 1 / rows), bins - 1) * FAMILY for rows in (needed, needed - 1)
    )
    assert at <= LEVEL < below


def test_a_reference_that_is_too_small_can_never_tell():
    small = freeze(np.random.default_rng(7).normal(0, 1, 40))

    found = judged(small, np.random.default_rng(8).normal(0, 1, 100_000))

    assert (found.state, found.rows_needed) == ("insufficient_data", None)


def test_few_rows_without_drift_are_no_reason_to_say_that_all_is_well():
    few, many = (judged(NUMBER, np.random.default_rng(8).normal(0, 1, rows)) for rows in (50, 500))

    assert (few.state, many.state) == ("insufficient_data", "ok")
    assert 50 < few.rows_needed == many.rows_needed <= 500


def test_few_rows_are_enough_for_a_shift_that_is_large_enough():
    found = judged(NUMBER, np.full(30, 5.0))

    assert (found.state, found.rows_needed > 30) == ("drift", True)


def test_of_no_rows_nothing_is_said():
    found = judged(NUMBER, np.array([]))

    assert (found.state, found.p) == ("insufficient_data", 1)


@pytest.mark.parametrize("distribution", [NUMBER, FEW])
def test_a_column_that_is_wholly_missing_is_broken(distribution: Distribution):
    assert judged(distribution, np.full(30, math.nan)).state == "broken"


def test_a_column_of_values_that_training_never_saw_is_broken():
    assert judged(FEW, np.full(30, 9)).state == "broken"


def test_a_column_that_no_row_has_is_broken_even_if_it_was_often_missing():
    often = freeze(np.append(np.arange(100.0), np.full(900, math.nan)))

    assert judged(often, np.full(10, math.nan)).state != "broken"  # that many may well be chance
    assert judged(often, np.full(10, math.nan), "x").state == "broken"


def test_a_column_that_was_always_missing_is_well_when_it_still_is():
    found = judged(freeze(np.full(1_000, math.nan)), np.full(500, math.nan))

    assert (found.state, found.psi) == ("ok", 0)


def test_the_worst_comes_first_and_what_weighs_most_before_what_weighs_less():
    random = np.random.default_rng(8)
    shifted, same = random.normal(1, 1, 1_000), random.normal(0, 1, 1_000)
    weights = {"light": 0.01, "heavy": 0.2, "same": 0.1, "gone": 0.0}
    reference = Reference(
        columns={name: NUMBER.model_copy(update={"importance": weight}) for name, weight in weights.items()},
        score=NUMBER,
    )
    values = {"light": shifted, "heavy": shifted, "same": same, "gone": np.full(1_000, math.nan)}
    counts = {name: NUMBER.count(each) for name, each in {**values, SCORE: shifted}.items()}

    found = judge(reference, counts)

    assert [each.name for each in found][:5] == ["gone", SCORE, "heavy", "light", "gone missing"]
    assert [STATES.index(each.state) for each in found] == sorted(STATES.index(each.state) for each in found)
    by_name = {each.name: each for each in found}
    assert by_name["heavy"].impact == pytest.approx(20 * by_name["light"].impact)
    assert by_name[SCORE].impact is None


def test_counts_of_days_and_workers_judge_like_those_of_all_rows(healthy: Population):
    parts = [healthy.windows(300, seed=seed) for seed in (1, 2)]
    together = {name: sum(part[name] for part in parts)[0] for name in parts[0]}

    found = judge(healthy.reference, together)

    assert len(found) == FAMILY
    assert {each.state for each in found} == {"ok"}
