"""Fitted estimator → the same, made so that ONNX gives the same answers.

That goes for every split and every calibration.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression

from skewless.core.errors import TableError
from skewless.models.boosters import library_of, round_lightgbm_splits
from skewless.models.tree import round_down
from skewless.models.trees import leaves

# Of the rarer kind: a calibration has five folds, and each needs one.
FEWEST_TO_TRAIN = 5
# Between the knots of an isotonic calibration, see `_with_spaced_knots`.
LOG_ODDS_SPACING = 0.5
PROBABILITY_SPACING = 0.1


def check_training(
    matrix: np.ndarray, target: np.ndarray, names: Sequence[str]
) -> None:
    """Refuse what no estimator can learn from, before it fails in its own words."""
    smallest = min(np.sum(target == 0), np.sum(target == 1))
    if smallest < FEWEST_TO_TRAIN:
        msg = (
            f"{len(target)} records are left to train on, {smallest} of them with the "
            f"rarer outcome; at least {FEWEST_TO_TRAIN} are needed. "
            "Give a larger table or lower data.holdout_fraction"
        )
        raise TableError(msg)
    empty = [
        name
        for name, values in zip(names, matrix.T, strict=True)
        if np.isnan(values).all()
    ]
    if empty:
        msg = (
            f"no record to train on has a value for {', '.join(empty)}; "
            "fill it upstream or drop it"
        )
        raise TableError(msg)


def made_exportable(fitted: Any) -> Any:
    """Change a model in place where its export would differ or fail; return it.

    Splits are rounded, wherever their trees sit, and an isotonic calibration is
    resampled. No split's answer changes.
    """
    if isinstance(fitted, CalibratedClassifierCV):
        for each in fitted.calibrated_classifiers_:
            has_scores = hasattr(each.estimator, "decision_function")
            spacing = LOG_ODDS_SPACING if has_scores else PROBABILITY_SPACING
            each.calibrators = [
                _with_spaced_knots(one, spacing) for one in each.calibrators
            ]
    return _with_float32_splits(fitted)


def _with_spaced_knots(calibrator: Any, spacing: float) -> Any:
    """Resample an isotonic calibration on evenly spaced knots; leave any other alone.

    Fitted knots lie as close as 1e-5 log-odds, so a rounding of the score moves the
    probability by percents and no two runtimes agree. Spaced knots keep the map
    monotone and its slope small: at most 1 / spacing, unless all scores lie closer
    together than that.
    """
    if not isinstance(calibrator, IsotonicRegression):
        return calibrator
    low, high = calibrator.X_min_, calibrator.X_max_
    count = max(2, int((high - low) / spacing) + 1)
    knots = np.linspace(low, high, count)
    return IsotonicRegression(out_of_bounds="clip").fit(
        knots, calibrator.predict(knots)
    )


def _with_float32_splits(fitted: Any) -> Any:
    """Round every split threshold down to float32, in place; no answer changes.

    ONNX stores float32 thresholds; rounded to nearest, they would move a record beside
    a split to its other side.
    """
    for leaf, _ in leaves(fitted, []):
        if isinstance(leaf, HistGradientBoostingClassifier):
            predictors = leaf._predictors  # noqa: SLF001 - no public access
            for nodes in (tree.nodes for trees in predictors for tree in trees):
                nodes["num_threshold"] = round_down(nodes["num_threshold"])
        elif library_of(leaf) == "lightgbm":
            round_lightgbm_splits(leaf)
    return fitted
