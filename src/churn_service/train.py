"""Matrix → fitted model; the only place that names the estimator."""

import numpy as np
from skewless import Training
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier

from churn_service.config import ModelConfig
from churn_service.evaluate import evaluate

FOLDS = 5  # of the calibration


def build_model(model: ModelConfig) -> ClassifierMixin:
    """Build the unfitted estimator; missing values (NaN) are read natively.

    Early stopping stays off: it would draw a second, hidden holdout out of the training
    rows.
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
    # One classifier on all rows, calibrated on out-of-fold scores: the served model
    # stays one model.
    return CalibratedClassifierCV(
        classifier, method=model.calibration, cv=FOLDS, ensemble=False
    )


def train(
    matrix: np.ndarray, target: np.ndarray, model: ModelConfig
) -> ClassifierMixin:
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
    return build_model(model).fit(matrix, target)


training = Training(train=train, evaluate=evaluate)
