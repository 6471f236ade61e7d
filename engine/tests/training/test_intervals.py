"""Each score comes with the interval that a bootstrap of rows gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
)

from skewless.training.intervals import measured

EXPECTED = {
    "roc_auc": roc_auc_score,
    "average_precision": average_precision_score,
    "brier": brier_score_loss,
    "log_loss": log_loss,
}


@settings(max_examples=20)
@given(
    rows=st.lists(
        st.tuples(
            # few values, so that rows tie
            st.integers(1, 9).map(lambda tenth: tenth / 10),
            st.integers(0, 1),
        ),
        min_size=4,
        max_size=60,
    ).filter(lambda rows: {0, 1} == {outcome for _, outcome in rows})
)
def test_scores_are_those_of_scikit_learn(rows: list[tuple[float, int]]):
    probabilities, outcomes = map(np.array, zip(*rows, strict=True))

    found = measured(probabilities, outcomes)

    for name, measure in EXPECTED.items():
        expected = measure(outcomes, probabilities)
        assert found[name].mean == pytest.approx(expected, abs=1e-12)


def test_a_draw_without_one_of_the_outcomes_widens_no_interval_to_nothing():
    outcomes = np.array([1, 0, 0, 0])  # a third of the draws hold no 1

    found = measured(np.array([0.6, 0.7, 0.2, 0.1]), outcomes)

    for interval in found.values():
        assert interval.low <= interval.mean <= interval.high
