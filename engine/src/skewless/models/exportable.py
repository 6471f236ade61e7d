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

# Of the rarer kind: a calibration has five folds, and each needs one.
FEWEST_OUTCOMES = 5
KNOT_SPACING = 0.5  # log-odds; see `_with_spaced_knots`


def check_training(
    matrix: np.ndarray, target: np.ndarray, names: Sequence[str]
) -> None:
    """Refuse what no estimator can learn from, before it fails in its own words."""
    smallest = min(np.sum(target == 0), np.sum(target == 1))
    if smallest < FEWEST_OUTCOMES:
        msg = (
            f"{len(target)} records are left to train on, {smallest} of them with the "
            f"rarer outcome; at least {FEWEST_OUTCOMES} are needed. "
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
    """Round splits and resample calibrations, in place, where ONNX would differ.

    The model itself is returned.
    """
    if isinstance(fitted, CalibratedClassifierCV):
        for each in fitted.calibrated_classifiers_:
            each.calibrators = [_with_spaced_knots(one) for one in each.calibrators]
    return _with_float32_splits(fitted)


def _with_spaced_knots(calibrator: Any) -> Any:
    """Resample an isotonic calibration on evenly spaced knots; leave any other alone.

    Fitted knots lie as close as 1e-5 log-odds, so a rounding of the score moves the
    probability by percents and no two runtimes agree. Spaced knots keep the map
    monotone and its slope small: at most 1 / KNOT_SPACING, unless all scores lie closer
    together than that.
    """
    if not isinstance(calibrator, IsotonicRegression):
        return calibrator
    low, high = calibrator.X_min_, calibrator.X_max_
    count = max(2, int((high - low) / KNOT_SPACING) + 1)
    knots = np.linspace(low, high, count)
    return IsotonicRegression(out_of_bounds="clip").fit(
        knots, calibrator.predict(knots)
    )


def _with_float32_splits(fitted: Any) -> Any:
    """Round every split threshold down to float32, in place.

    The matrix is float32, so ``x <= t`` and ``x <= round_down(t)`` are the same
    question and no answer changes. ONNX stores float32 thresholds; rounded to nearest,
    they would move a record beside a split to its other side.
    """
    for nodes in _tree_nodes(fitted):
        exact = nodes["num_threshold"]
        rounded = exact.astype(np.float32)
        below = np.nextafter(rounded, np.float32(-np.inf))
        nodes["num_threshold"] = np.where(rounded > exact, below, rounded)
    return fitted


def split_points(fitted: Any) -> list[tuple[int, float]]:
    """List each (feature position, threshold) that the model splits on.

    Rounding could hurt there.
    """
    points = set[tuple[int, float]]()
    for nodes in _tree_nodes(fitted):
        for node in nodes[nodes["is_leaf"] == 0]:
            points.add((int(node["feature_idx"]), float(node["num_threshold"])))
    return sorted(points)


def _tree_nodes(fitted: Any) -> list[np.ndarray]:
    """Return the node tables of every boosted tree, also inside a calibration.

    Another estimator has none.
    """
    if isinstance(fitted, CalibratedClassifierCV):
        return [
            nodes
            for each in fitted.calibrated_classifiers_
            for nodes in _tree_nodes(each.estimator)
        ]
    if isinstance(fitted, HistGradientBoostingClassifier):
        predictors = fitted._predictors  # noqa: SLF001 - no public access
        return [tree.nodes for trees in predictors for tree in trees]
    return []
