"""How rarely the drift rule is wrong, and how often it sees drift.

Also what it says of what it cannot see.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from own import CONTRACT
from skewless.models.reference import Distribution, Reference, freeze
from skewless.monitoring.drift import (
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
from skewless.monitoring.drift_figures import STATES, Finding
from windows import POOL, Population, customers, freeze_all, population

WINDOWS = 1_000
SIZES = (30, 50, 100, 200, 500, 1_000)
FAMILY = 2 * len(CONTRACT.columns) + 1
NUMBER = freeze(np.random.default_rng(7).normal(0, 1, 10_000), importance=0.1)
FEW = freeze(np.random.default_rng(7).integers(0, 3, 10_000), importance=0.1)


@pytest.fixture(scope="module", params=[1_000, 10_000])
def healthy(request: pytest.FixtureRequest) -> Population:
    """Return windows that are drawn as the training table of so many rows was."""
    return population(
        freeze_all(customers(request.param, seed=1)), customers(POOL, seed=2)
    )


@pytest.fixture(scope="module")
def numbers() -> Population:
    """Return windows of a table of a few numbers, whatever the contract."""
    random = np.random.default_rng(3)
    reference, pool = (
        {name: random.normal(0, 1, rows) for name in ("a", "b", "c", "d", SCORE)}
        for rows in (10_000, POOL)
    )
    return population(freeze_all(reference), pool)


def alarms(reference: Reference, counts: dict[str, np.ndarray]) -> np.ndarray:
    """Tell which windows raise any alarm, bool (windows,)."""
    _, shift = compare(reference, counts)
    return is_drift(shift.psi, shift.p).any(axis=-1)


def judged(distribution: Distribution, values: np.ndarray) -> Finding:
    """Judge one column, beside a score that stays."""
    score = freeze(np.linspace(0, 1, 10_000))
    reference = Reference(columns={"x": distribution}, score=score)
    counts = {
        "x": distribution.count(values),
        SCORE: score.count(np.linspace(0, 1, len(values))),
    }
    return {each.name: each for each in judge(reference, counts)}["x"]


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.slow
def test_without_drift_at_most_one_window_in_twenty_alarms_whatever_its_size(
    healthy: Population, rows: int
):
    wrong = alarms(healthy.reference, healthy.windows(rows, WINDOWS))

    assert wrong.mean() <= 0.05


def test_the_usual_rule_alarms_in_most_small_windows_without_drift(numbers: Population):
    _, shift = compare(numbers.reference, numbers.windows(30, WINDOWS))

    assert (shift.psi > LARGE).any(axis=-1).mean() > 0.5


@pytest.mark.parametrize("sigmas", [0.5, -0.5])
@pytest.mark.slow
def test_half_a_sigma_is_seen_in_four_windows_of_five_with_200_customers(sigmas: float):
    random = np.random.default_rng(7)
    names = [f"x{place}" for place in range(FAMILY // 2)]
    reference = Reference(columns=dict.fromkeys(names, NUMBER), score=NUMBER)
    states = []
    for _ in range(250):
        moved = {name: sigmas * (name == "x0") for name in [*names, SCORE]}
        counts = {
            name: NUMBER.count(random.normal(mean, 1, 200))
            for name, mean in moved.items()
        }
        states.append(
            {each.name: each.state for each in judge(reference, counts)}["x0"]
        )

    assert states.count("drift") >= 0.8 * len(states)


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.slow
def test_a_window_alone_is_judged_as_the_many_that_the_rule_is_calibrated_on(
    healthy: Population, rows: int
):
    many = healthy.windows(rows, 100)
    one_by_one = [
        judge(healthy.reference, {name: counts[place] for name, counts in many.items()})
        for place in range(100)
    ]

    alarmed = [
        any(each.state in {"drift", "broken"} for each in found) for found in one_by_one
    ]
    assert alarmed == alarms(healthy.reference, many).tolist()
    assert sum(alarmed) <= 5


@pytest.mark.parametrize(
    ("sigmas", "rows", "low", "high", "state"),
    [
        (0.1, 100_000, 0.005, 0.02, "ok"),  # sure, and too small to matter
        (0.43, 100_000, 0.15, 0.2, "ok"),
        (0.48, 100_000, 0.2, 0.25, "drift"),
        # less what chance adds, it is below 0.2
        (0.48, 200, 0.2, 0.25, "drift"),
    ],
)
def test_psi_itself_is_held_against_the_limit(
    sigmas: float, rows: int, low: float, high: float, state: str
):
    # so that a window holds no chance of its own
    evenly = norm.ppf((np.arange(rows) + 0.5) / rows)

    found = judged(NUMBER, evenly + sigmas)

    assert low < found.psi < high
    assert found.p < 1e-5
    assert found.state == state
    assert (found.psi_corrected < 0.2) == (rows == 200 or state == "ok")


def test_one_chance_in_a_hundred_is_the_level_and_a_fifth_the_limit():
    assert (LEVEL, LARGE) == (0.01, 0.2)
    assert is_drift(
        np.array([0.3, 0.3, 0.2]), np.array([0.0099, 0.011, 0])
    ).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("expected", "actual", "tail"),
    [
        # chi-squared of one degree of freedom
        ([500, 500], [60, 40], lambda x: math.erfc(math.sqrt(x / 2))),
        # nobody is in the last bin
        ([500, 500, 0], [60, 40, 0], lambda x: math.erfc(math.sqrt(x / 2))),
        ([400, 300, 300], [30, 40, 30], lambda x: math.exp(-x / 2)),  # of two
    ],
)
def test_the_figures_are_those_of_the_formulas(
    expected: list[int], actual: list[int], tail: Callable[[float], float]
):
    bins = sum(count > 0 for count in expected)
    shares = [
        (np.array(each[:bins]) + 0.5) / (sum(each) + bins / 2)
        for each in (np.array(expected), np.array(actual))
    ]
    psi = float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
    noise = 1 / sum(expected) + 1 / sum(actual)

    found = measure(np.array(expected), np.array(actual))

    assert found.psi == pytest.approx(psi)
    assert found.corrected == pytest.approx(psi - (bins - 1) * noise)
    assert found.p == pytest.approx(tail(psi / noise))


@pytest.mark.parametrize("distribution", [NUMBER, FEW])
def test_what_is_needed_is_of_the_bins_that_hold_anybody(distribution: Distribution):
    found = judged(
        distribution, np.random.default_rng(8).integers(0, 3, 500).astype(float)
    )

    holding = sum(count > 0 for count in distribution.counts)
    assert holding < distribution.bins
    enough = (0.2 / (1 / 10_000 + 1 / rows) for rows in range(1, 1_000))
    # three of them: x, whether it is missing, and the score
    chances = [3 * chi2.sf(value, holding - 1) for value in enough]
    assert found.rows_needed == next(
        rows for rows, p in enumerate(chances, 1) if p <= 0.01
    )


@pytest.mark.parametrize(
    ("distribution", "rows"), [(NUMBER, 200), (NUMBER, 1_000), (FEW, 1_000)]
)
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
        min(1, max((len(p) - rank) * p[order[rank]] for rank in range(place + 1)))
        for place in range(len(p))
    ]

    adjusted = holm(p)

    assert adjusted[order] == pytest.approx(expected)
    assert (adjusted >= p).all()


def test_holm_knows_a_published_example():
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005]))

    assert adjusted.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_without_a_shift_corrected_psi_is_around_zero(numbers: Population):
    family, shift = compare(numbers.reference, numbers.windows(200, WINDOWS))

    places = [place for place, member in enumerate(family) if member.kind == "score"]
    assert shift.psi[:, places].mean() > 0.04
    assert abs(shift.corrected[:, places].mean()) < 0.01


@pytest.mark.parametrize("bins", [2, 4, 11])
@pytest.mark.parametrize("expected", [500, 10_000])
def test_the_rows_that_are_needed_are_the_least_at_which_a_large_psi_is_no_chance(
    bins: int, expected: int
):
    needed = rows_needed(expected, bins, FAMILY)

    at, below = (
        chi2.sf(0.2 / (1 / expected + 1 / rows), bins - 1) * FAMILY
        for rows in (needed, needed - 1)
    )
    assert at <= 0.01 < below


def test_a_reference_that_is_too_small_can_never_tell():
    small = freeze(np.random.default_rng(7).normal(0, 1, 40))

    found = judged(small, np.random.default_rng(8).normal(0, 1, 100_000))

    assert (found.state, found.rows_needed) == ("insufficient_data", None)


def test_few_rows_without_drift_are_no_reason_to_say_that_all_is_well():
    few, many = (
        judged(NUMBER, np.random.default_rng(8).normal(0, 1, rows))
        for rows in (50, 500)
    )

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


def test_a_column_that_was_often_missing_is_broken_once_that_is_no_chance():
    often = freeze(np.append(np.arange(100.0), np.full(900, math.nan)))

    assert judged(often, np.full(10, math.nan)).state != "broken"
    assert judged(often, np.full(200, math.nan)).state == "broken"


def test_a_column_that_was_always_missing_is_well_when_it_still_is():
    found = judged(freeze(np.full(1_000, math.nan)), np.full(500, math.nan))

    assert (found.state, found.psi) == ("ok", 0)


def test_the_worst_comes_first_and_what_weighs_most_before_what_weighs_less():
    random = np.random.default_rng(8)
    shifted, same = random.normal(1, 1, 1_000), random.normal(0, 1, 1_000)
    weights = {"light": 0.01, "heavy": 0.2, "same": 0.1, "gone": 0.0}
    reference = Reference(
        columns={
            name: NUMBER.model_copy(update={"importance": weight})
            for name, weight in weights.items()
        },
        score=NUMBER,
    )
    values = {
        "light": shifted,
        "heavy": shifted,
        "same": same,
        "gone": np.full(1_000, math.nan),
    }
    counts = {
        name: NUMBER.count(each) for name, each in {**values, SCORE: shifted}.items()
    }

    found = judge(reference, counts)

    assert [each.name for each in found][:5] == [
        "gone",
        SCORE,
        "heavy",
        "light",
        "gone missing",
    ]
    assert [STATES.index(each.state) for each in found] == sorted(
        STATES.index(each.state) for each in found
    )
    by_name = {each.name: each for each in found}
    assert by_name["heavy"].impact == pytest.approx(20 * by_name["light"].impact)
    assert by_name["heavy"].impact == pytest.approx(
        0.2 * by_name["heavy"].psi_corrected
    )
    assert by_name["heavy"].psi_corrected < by_name["heavy"].psi - 0.005
    assert by_name[SCORE].impact is None


@pytest.mark.slow
def test_counts_of_days_and_workers_judge_like_those_of_all_rows(healthy: Population):
    parts = [healthy.windows(300, seed=seed) for seed in (1, 2)]
    together = {name: sum(part[name] for part in parts)[0] for name in parts[0]}

    found = judge(healthy.reference, together)

    assert len(found) == FAMILY
    assert {each.state for each in found} == {"ok"}
