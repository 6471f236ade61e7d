"""What a promotion asks for: each check against numbers worked out another way."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import log_loss

from skewless.core.bootstrap import paired_bootstrap
from skewless.core.checkout import Checkout
from skewless.core.contract import Column
from skewless.core.metrics import log_losses
from skewless.lifecycle.gate import (
    SHOWN_FLIPS,
    Check,
    Replayed,
    check_beats,
    check_contract,
    check_origin,
    check_replay,
)
from skewless.models.artifact import read_artifact

ALL = 1.0  # a share, or a PSI, that nothing exceeds here
NUMBER = Column(name="x", kind="number", minimum=0, maximum=10)
CATEGORY = Column(name="c", kind="category", categories=("a", "b"))
probabilities = st.floats(0, 1)
samples = arrays.arrays(np.float64, st.integers(1, 300), elements=probabilities)


def changed(column: Column, **values: object) -> Column:
    return column.model_copy(update=values)


def replayed(
    production: list[float], candidate: list[float], **values: object
) -> Replayed:
    """Repeat requests that both answer at a threshold of 0.5."""
    before, after = np.array(production), np.array(candidate)
    facts = {
        "flipped": (before >= 0.5) != (after >= 0.5),
        "latency_ratio": 1.0,
    } | values
    return Replayed([f"p{row}" for row in range(len(before))], before, after, **facts)


def checked(found: Replayed, **limits: float) -> Check:
    loose = {"max_flip_share": ALL, "max_psi": 100.0, "max_latency_ratio": 100.0}
    return check_replay(found, **loose | limits)


@given(st.lists(st.tuples(probabilities, st.integers(0, 1)), min_size=1, max_size=50))
@pytest.mark.slow
def test_the_mean_of_the_losses_is_the_log_loss_of_scikit_learn(
    rows: list[tuple[float, int]],
):
    predicted, outcomes = (np.array(values) for values in zip(*rows, strict=True))

    losses = log_losses(predicted, outcomes)

    assert losses.mean() == pytest.approx(log_loss(outcomes, predicted, labels=[0, 1]))
    assert np.isfinite(losses).all()
    assert losses.min() >= 0


@settings(deadline=None)
@given(samples)
@pytest.mark.slow
def test_the_interval_holds_the_mean_and_is_the_same_on_every_call(
    differences: np.ndarray,
):
    found = paired_bootstrap(differences)

    rounding = 1e-12
    assert found == paired_bootstrap(differences)
    assert found.mean == differences.mean()
    assert (
        differences.min() - rounding
        <= found.low
        <= found.high
        <= differences.max() + rounding
    )


def test_no_difference_has_no_interval():
    assert paired_bootstrap(np.zeros(100)) == (0, 0, 0)


@pytest.mark.slow
def test_the_interval_covers_a_known_mean_as_often_as_it_says():
    random = np.random.default_rng(7)
    drawn = [paired_bootstrap(random.normal(0.3, 1, 100)) for _ in range(200)]

    covered = sum(found.low <= 0.3 <= found.high for found in drawn)

    # 95 %, give or take three standard errors
    assert 0.90 <= covered / len(drawn) <= 0.99


def test_the_interval_is_as_wide_as_the_standard_error_says():
    differences = np.random.default_rng(7).normal(0, 1, 10_000)

    found = paired_bootstrap(differences)

    assert (found.high - found.low) / 2 == pytest.approx(
        1.96 / math.sqrt(10_000), rel=0.1
    )


@pytest.mark.parametrize(
    ("checkout", "passed", "mark", "said"),
    [
        (Checkout("clean", "abc"), True, "passed  ", "trained by commit abc"),
        (
            Checkout("dirty", "abc"),
            False,
            "FAILED  ",
            (
                "trained by commit abc with uncommitted changes, "
                "so nobody else can rebuild it: commit, "
            ),
        ),
        (
            Checkout("dirty"),
            False,
            "FAILED  ",
            "trained by commit none yet with uncommitted changes, so",
        ),
        (
            Checkout("unknown", reason="git is not installed"),
            None,
            "MISSING ",
            (
                "trained by commit unknown (git is not installed), "
                "so nobody can tell whether all of its code"
            ),
        ),
    ],
    ids=str,
)
def test_only_code_that_git_says_is_committed_passes(
    version: Path, checkout: Checkout, *, passed: bool | None, mark: str, said: str
):
    candidate = read_artifact(version).metadata.model_copy(
        update={"checkout": checkout}
    )

    check = check_origin(candidate)

    assert check.passed is passed
    assert check.line.startswith(f"{mark}artefact: whole")
    assert said in check.said


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([NUMBER, CATEGORY], None),
        ([CATEGORY, NUMBER], None),
        ([NUMBER, CATEGORY, Column(name="new", kind="boolean", nullable=True)], None),
        (
            [NUMBER, CATEGORY, Column(name="new", kind="boolean")],
            "new is new and not nullable",
        ),
        ([NUMBER], "c was removed"),
        ([changed(NUMBER, kind="integer"), CATEGORY], "x: was number, is integer"),
        ([NUMBER, changed(CATEGORY, categories=("a",))], "c: lost b"),
        ([NUMBER, changed(CATEGORY, categories=("b", "new", "a"))], None),
        (
            [changed(NUMBER, maximum=9.5), CATEGORY],
            "x: was number, 0 to 10, is number, 0 to 9.5",
        ),
        (
            [changed(NUMBER, minimum=0.5), CATEGORY],
            "x: was number, 0 to 10, is number, 0.5 to 10",
        ),
        ([changed(NUMBER, minimum=-1, maximum=11), CATEGORY], None),
        ([changed(NUMBER, nullable=True), CATEGORY], None),
        ([changed(NUMBER, description="in other words"), CATEGORY], None),
    ],
)
def test_a_contract_may_only_grow(columns: list[Column], said: str | None):
    found = check_contract(columns, [NUMBER, CATEGORY])

    assert found.passed == (said is None)
    assert found.said == (said or "every request that production takes is taken")


def test_what_was_nullable_must_stay_so():
    found = check_contract([NUMBER], [changed(NUMBER, nullable=True)])

    assert (found.passed, found.said) == (False, "x: may no longer be missing")


def test_all_that_is_wrong_with_a_contract_is_named_at_once():
    found = check_contract(
        [changed(NUMBER, maximum=1), Column(name="new", kind="boolean")],
        [NUMBER, CATEGORY],
    )

    assert found.said.split("; ") == [
        "c was removed",
        "new is new and not nullable",
        "x: was number, 0 to 10, is number, 0 to 1",
    ]


@pytest.mark.parametrize(
    ("worse_by", "margin", "passed"),
    [
        (0.0, 0.0, True),
        (0.25, 0.25, True),
        (np.nextafter(0.25, 1), 0.25, False),
        (-0.25, 0.0, True),
        (-0.25, -0.25, True),
        (-0.125, -0.25, False),
    ],
)
def test_the_whole_interval_must_lie_at_or_below_the_margin(
    worse_by: float, margin: float, *, passed: bool
):
    others = np.zeros(64)

    found = check_beats("production", others + worse_by, others, margin=margin)

    assert found.passed == passed
    assert found.facts["difference"] == {
        "mean": worse_by,
        "low": worse_by,
        "high": worse_by,
    }
    assert (found.name, found.facts["rows"], found.facts["margin"]) == (
        "production",
        64,
        margin,
    )


def test_better_on_average_is_not_enough_if_it_may_be_chance():
    random = np.random.default_rng(7)
    others = random.uniform(0, 1, 50)
    candidate = others + random.normal(-0.01, 1, 50)

    found = check_beats(
        "production", candidate - (candidate - others).mean() - 0.01, others, margin=0.0
    )

    difference = found.facts["difference"]
    assert difference["mean"] == pytest.approx(-0.01)
    assert not found.passed
    assert (
        f"{difference['mean']:+.5f} "
        f"({difference['low']:+.5f} to {difference['high']:+.5f})" in found.said
    )


def test_the_same_answers_pass_the_narrowest_limits():
    found = checked(
        replayed([0.1, 0.9], [0.1, 0.9]),
        max_flip_share=0,
        max_psi=0,
        max_latency_ratio=1,
    )

    assert (found.passed, found.facts["flip_share"], found.facts["psi"]) == (True, 0, 0)
    assert "largest flips" not in found.said


def test_scores_that_differ_as_between_processors_are_the_same_distribution():
    found = checked(replayed([0.3] * 500, [0.3 + 1e-7] * 500))

    assert found.facts["psi"] == 0


def test_each_decision_counts_by_its_own_threshold_and_not_by_how_far_it_moved():
    flipped = np.array([True, False, False, False])

    found = checked(replayed([0.4] * 4, [0.41, 0.99, 0.99, 0.99], flipped=flipped))

    assert found.facts["flip_share"] == 0.25
    assert found.facts["largest_flips"] == [
        {"prediction_id": "p0", "from": 0.4, "to": 0.41}
    ]


def test_the_largest_flips_are_shown_first_and_only_a_few():
    after = [0.5 + step / 100 for step in (3, 9, 1, 8, 2, 7, 4, 6)]

    found = checked(replayed([0.4] * 8, after))

    shown = found.facts["largest_flips"]
    assert [each["prediction_id"] for each in shown] == ["p1", "p3", "p5", "p7", "p6"]
    assert len(shown) == SHOWN_FLIPS
    assert found.said.endswith(
        "largest flips "
        + ", ".join(f"0.400 to {after[row]:.3f}" for row in (1, 3, 5, 7, 6))
    )


@pytest.mark.parametrize(
    ("limit", "at", "below"),
    [
        ("max_flip_share", 0.5, 0.49),
        ("max_latency_ratio", 2.0, 1.99),
        ("max_psi", None, 0.0),
    ],
)
def test_each_limit_alone_refuses_and_is_reached_only_beyond_it(
    limit: str, at: float | None, below: float
):
    found = replayed([0.4, 0.9] * 20, [0.7, 0.9] * 20, latency_ratio=2.0)
    at = checked(found).facts["psi"] if at is None else at

    passed, refused = checked(found, **{limit: at}), checked(found, **{limit: below})

    assert at > below
    assert (passed.passed, refused.passed) == (True, False)


def test_a_check_tells_a_person_whether_it_passed_failed_or_could_not_be_made():
    lines = [
        Check(name="replay", passed=passed, said="so").line
        for passed in (True, False, None)
    ]

    assert lines == ["passed  replay: so", "FAILED  replay: so", "MISSING replay: so"]
