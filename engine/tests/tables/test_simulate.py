"""Metrics, the baseline and the best possible."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_service.evaluate import campaign_value, evaluate
from churn_service.features import add_features
from conftest import ROOT
from machine import Machine
from own import CONTRACT, ID, PROJECT, TARGET, contract_of
from skewless.core.errors import ConfigError, TableError
from skewless.core.feature_matrix import feature_matrix
from skewless.core.metrics import calibration
from skewless.core.sections import AnyConfig, BaselineConfig
from skewless.core.workspace import open_workspace
from skewless.models.baseline import baseline_probability
from skewless.tables.faults import check_table, find_faults
from skewless.tables.simulate import simulate, true_probability
from skewless.training.evaluation import beside_references

WORK = open_workspace(PROJECT, ROOT / "config.yaml")
CONFIG = WORK.config
probability_lists = st.lists(st.floats(0, 1), min_size=2, max_size=60)


def with_baseline(card: BaselineConfig) -> AnyConfig:
    return CONFIG.model_copy(update={"baseline": card})


def outcomes_for(count: int) -> np.ndarray:
    return np.arange(count) % 2


def test_a_perfect_prediction_has_perfect_metrics():
    outcomes = np.array([0, 1, 0, 1])

    metrics = evaluate(outcomes.astype(float), outcomes, threshold=0.5)

    assert (metrics.roc_auc, metrics.average_precision, metrics.brier) == (1, 1, 0)
    assert metrics.confusion == (2, 0, 0, 2)


def test_metrics_agree_with_values_worked_out_by_hand():
    probabilities, outcomes = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])

    metrics = evaluate(probabilities, outcomes, threshold=0.4)

    # three of four pairs in the right order
    assert metrics.roc_auc == pytest.approx(3 / 4)
    assert metrics.brier == pytest.approx((0.1**2 + 0.4**2 + 0.65**2 + 0.2**2) / 4)
    assert metrics.log_loss == pytest.approx(-np.mean(np.log([0.9, 0.6, 0.35, 0.8])))
    # a probability at the threshold counts as the event
    assert metrics.confusion == (1, 1, 1, 1)
    assert (metrics.rows, metrics.event_rate) == (4, 0.5)


@given(probabilities=probability_lists)
def test_calibration_bins_hold_every_customer_once_and_rise(probabilities: list[float]):
    values = np.array(probabilities)

    bins = calibration(values, outcomes_for(len(values)))

    assert sum(part.rows for part in bins) == len(values)
    assert sum(part.rows * part.observed for part in bins) == pytest.approx(
        outcomes_for(len(values)).sum()
    )
    assert np.all(np.diff([part.predicted for part in bins]) >= -1e-12)


@pytest.mark.parametrize("outcome", [0, 1])
def test_a_holdout_with_one_outcome_is_refused_with_what_to_do(outcome: int):
    with pytest.raises(TableError, match=r"raise data\.holdout_fraction"):
        evaluate(np.array([0.1, 0.2]), np.array([outcome, outcome]), threshold=0.5)


@given(probabilities=probability_lists)
def test_contacting_everybody_is_worth_the_saved_minus_the_cost(
    probabilities: list[float],
):
    values, outcomes = np.array(probabilities), outcomes_for(len(probabilities))

    (everybody, nobody) = campaign_value(
        values, outcomes, np.array([0.0, 1.1]), contact_cost=2.0, saved_value=30.0
    )

    assert everybody == pytest.approx(outcomes.sum() * 30 - len(values) * 2)
    assert nobody == 0


def test_the_best_possible_score_cannot_be_beaten_by_chance_or_the_baseline():
    table = pd.DataFrame(simulate(20_000, 9, CONTRACT))
    outcomes = table[TARGET].to_numpy()

    best = evaluate(true_probability(table, CONTRACT), outcomes, threshold=0.5)
    noisy = evaluate(
        np.clip(
            true_probability(table, CONTRACT)
            + np.random.default_rng(0).normal(0, 0.1, len(table)),
            0,
            1,
        ),
        outcomes,
        threshold=0.5,
    )

    assert best.roc_auc > noisy.roc_auc > 0.5
    assert best.brier < noisy.brier


def test_true_probabilities_are_calibrated():
    table = simulate(50_000, 4, CONTRACT)
    probabilities = true_probability(table, CONTRACT)

    bins = calibration(probabilities, table[TARGET])

    for part in bins:
        error = np.sqrt(part.predicted * (1 - part.predicted) / part.rows)
        assert abs(part.observed - part.predicted) < 5 * error


def test_the_simulator_is_deterministic_and_its_rows_do_not_share_a_seed():
    one, again, other = (
        simulate(100, 1, CONTRACT),
        simulate(100, 1, CONTRACT),
        simulate(100, 2, CONTRACT),
    )

    assert all(
        np.array_equal(one[name], again[name], equal_nan=one[name].dtype == float)
        for name in one
    )
    assert any(
        not np.array_equal(one[column.name], other[column.name])
        for column in CONTRACT.columns
    )


def test_every_simulated_table_keeps_the_contract():
    for seed in range(5):
        checked = check_table(pd.DataFrame(simulate(2000, seed, CONTRACT)), CONTRACT)
        assert len(checked) == 2000


def test_the_simulator_works_for_any_contract():
    table = pd.DataFrame(simulate(3000, 1, contract_of(Machine)))

    assert len(find_faults(table, contract_of(Machine), training=True)) == 0
    assert set(table["state"].dropna()) == {"on", "off"}
    assert table["running"].isna().any()
    assert 0.05 < table[TARGET].mean() < 0.95
    best = evaluate(
        true_probability(table, contract_of(Machine)),
        table[TARGET].to_numpy(),
        threshold=0.5,
    )
    assert best.roc_auc > 0.6


def test_references_name_the_best_possible_only_for_the_simulators_own_table():
    table = check_table(pd.DataFrame(simulate(200, 1, CONTRACT)), CONTRACT)
    model = np.full(len(table), 0.5)
    foreign = table.assign(**{ID: "x-" + table[ID]})

    assert set(beside_references(table, model, WORK)) == {
        "model",
        "baseline",
        "best possible",
    }
    assert set(beside_references(foreign, model, WORK)) == {"model", "baseline"}


def test_a_baseline_on_an_unknown_column_is_refused_with_the_known_ones():
    config = with_baseline(CONFIG.baseline.model_copy(update={"column": "nonsense"}))
    table = check_table(pd.DataFrame(simulate(20, 1, CONTRACT)), CONTRACT)

    with pytest.raises(
        ConfigError, match=r"baseline\.column: found 'nonsense'; allowed are \w"
    ):
        beside_references(table, np.zeros(20), replace(WORK, config=config))


def test_the_baseline_reads_its_scorecard():
    made = simulate(500, 2, CONTRACT)
    values = feature_matrix(
        PROJECT, made, CONFIG.features, names=[CONFIG.baseline.column]
    )[:, 0]
    cut = float(np.nanmedian(values))
    card = BaselineConfig(
        column=CONFIG.baseline.column, cuts=(cut,), probabilities=(0.1, 0.9, 0.4)
    )

    probabilities = baseline_probability(PROJECT, made, with_baseline(card))

    expected = np.where(np.isnan(values), 0.4, np.where(values < cut, 0.1, 0.9))
    assert np.array_equal(probabilities, expected)


def test_a_missing_value_has_its_own_entry_in_the_scorecard():
    made = {
        column.name: np.full(3, np.nan)
        for column in CONTRACT.columns
        if column.kind != "category"
    }
    made |= {
        column.name: np.full(3, None)
        for column in CONTRACT.columns
        if column.kind == "category"
    }
    empty = [
        name
        for name, values in add_features(made, CONFIG.features).items()
        if np.isnan(values).all()
    ]
    (name, *_) = empty
    card = BaselineConfig(column=name, cuts=(1.0,), probabilities=(0.1, 0.9, 0.4))

    assert list(baseline_probability(PROJECT, made, with_baseline(card))) == [0.4] * 3
