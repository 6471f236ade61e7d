"""Metrics agree with values worked out by hand."""

import numpy as np
import pytest
from skewless import TableError

from churn_service.evaluate import (
    campaign_value,
    evaluate,
)


def test_metrics_worked_out_by_hand():
    probabilities, outcomes = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])

    metrics = evaluate(probabilities, outcomes, threshold=0.4)

    # Three of four pairs are in the right order.
    assert metrics.roc_auc == pytest.approx(3 / 4)
    assert metrics.brier == pytest.approx((0.1**2 + 0.4**2 + 0.65**2 + 0.2**2) / 4)
    assert metrics.log_loss == pytest.approx(-np.mean(np.log([0.9, 0.6, 0.35, 0.8])))
    # A probability at the threshold counts as churn.
    assert metrics.confusion == (1, 1, 1, 1)


def test_a_holdout_with_one_outcome_is_refused_with_what_to_do():
    with pytest.raises(TableError, match=r"raise data\.holdout_fraction"):
        evaluate(np.array([0.1, 0.2]), np.array([1, 1]), threshold=0.5)


def test_the_value_of_a_campaign_is_what_it_saves_less_what_it_costs():
    values = campaign_value(
        np.array([0.2, 0.9]),
        np.array([0, 1]),
        np.array([0.0, 0.5, 1.0]),
        contact_cost=1,
        saved_value=10,
    )

    assert values.tolist() == [8, 9, 0]
