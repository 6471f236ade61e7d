"""Matrix → fitted model; the only place that names the estimator."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression

from churn_service.errors import TableError
from churn_service.sections import ModelConfig

FOLDS = 5  # of the calibration
KNOT_SPACING = 0.5  # log-odds; see `_with_spaced_knots`


def build_model(model: ModelConfig) -> ClassifierMixin:
    """Build the unfitted estimator; missing values (NaN) are read natively.

    Early stopping stays off: it would draw a second, hidden holdout out of the training rows.
    """
    classifier = HistGradientBoostingClassifier(
        learning_rate=model.learning_rate,
        max_iter=model.max_iter,
        max_leaf_nodes=model.max_leaf_nodes,
        min_samples_leaf=model.min_samples_leaf,
        l2_regularization=model.l2_regularization,
        early_stopping=False,
        random_state=model.random_state,
    )
    if model.calibration == "none":
        return classifier
    # One classifier on all rows, calibrated on out-of-fold scores: the served model stays one model.
    return CalibratedClassifierCV(classifier, method=model.calibration, cv=FOLDS, ensemble=False)


def check_training(matrix: np.ndarray, target: np.ndarray, names: list[str]) -> None:
    """Refuse what no estimator can learn from, before it fails in its own words."""
    smallest = min(np.sum(target == 0), np.sum(target == 1))
    if smallest < FOLDS:
        msg = (
            f"{len(target)} customers are left to train on, {smallest} of them with the rarer outcome; at "
            f"least {FOLDS} are needed. Give a larger table or lower data.holdout_fraction"
        )
        raise TableError(msg)
    empty = [name for name, values in zip(names, matrix.T, strict=True) if np.isnan(values).all()]
    if empty:
        msg = f"no customer to train on has a value for {', '.join(empty)}; fill it upstream or drop it"
        raise TableError(msg)


def train(matrix: np.ndarray, target: np.ndarray, model: ModelConfig) -> Any:
    """Fit the model; the same input gives the same model, whatever the number of cores.

    Parameters
    ----------
    matrix
        `feature_matrix` of the training customers, float32, shape (n, k).
    target
        0 or 1, shape (n,).
    model
        The `model` section of config.yaml.
    """
    fitted = build_model(model).fit(matrix, target)
    if model.calibration == "isotonic":
        (calibrated,) = fitted.calibrated_classifiers_
        calibrated.calibrators = [_with_spaced_knots(knots) for knots in calibrated.calibrators]
    return _with_float32_splits(fitted)


def _with_spaced_knots(isotonic: IsotonicRegression) -> IsotonicRegression:
    """Resample an isotonic calibration on knots a fixed distance apart.

    Fitted knots lie as close as 1e-5 log-odds, so a rounding of the score moves the probability by percents
    and no two runtimes agree. Spaced knots keep the map monotone and its slope small: at most
    1 / KNOT_SPACING, unless all scores lie closer together than that.
    """
    low, high = isotonic.X_min_, isotonic.X_max_
    knots = np.linspace(low, high, max(2, int((high - low) / KNOT_SPACING) + 1))
    return IsotonicRegression(out_of_bounds="clip").fit(knots, isotonic.predict(knots))


def _with_float32_splits(fitted: Any) -> Any:
    """Round every split threshold down to float32, in place.

    The matrix is float32, so ``x <= t`` and ``x <= round_down(t)`` are the same question and no answer
    changes. ONNX stores float32 thresholds; rounded to nearest, they would move a customer beside a split to
    its other side.
    """
    for nodes in _tree_nodes(fitted):
        exact = nodes["num_threshold"]
        rounded = exact.astype(np.float32)
        below = np.nextafter(rounded, np.float32(-np.inf))
        nodes["num_threshold"] = np.where(rounded > exact, below, rounded)
    return fitted


def split_points(fitted: Any) -> list[tuple[int, float]]:
    """List each (feature position, threshold) that the model splits on: where rounding could hurt."""
    return sorted(
        {
            (int(node["feature_idx"]), float(node["num_threshold"]))
            for nodes in _tree_nodes(fitted)
            for node in nodes[nodes["is_leaf"] == 0]
        }
    )


def _tree_nodes(fitted: Any) -> list[np.ndarray]:
    """Return the node tables of every boosted tree, also inside a calibration; none for another estimator."""
    if isinstance(fitted, CalibratedClassifierCV):
        return [nodes for each in fitted.calibrated_classifiers_ for nodes in _tree_nodes(each.estimator)]
    if isinstance(fitted, HistGradientBoostingClassifier):
        return [tree.nodes for trees in fitted._predictors for tree in trees]  # noqa: SLF001 - no public access
    return []
