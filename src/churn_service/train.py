"""Matrix → fitted model; the only place that names estimators."""

from typing import Any

import numpy as np
from skewless import Training
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from churn_service.config import (
    Estimator,
    Forest,
    HistGradientBoosting,
    LightGBM,
    Logistic,
    ModelConfig,
    XGBoost,
)
from churn_service.evaluate import evaluate

FOLDS = 5  # of the calibration


def build_model(model: ModelConfig) -> ClassifierMixin:
    """Build the unfitted estimator that config.yaml chooses, calibrated as it says."""
    classifier = build_classifier(model)
    if model.calibration == "none":
        return classifier
    # One classifier on all rows, calibrated on out-of-fold scores: the served model
    # stays one model.
    return CalibratedClassifierCV(
        classifier, method=model.calibration, cv=FOLDS, ensemble=False
    )


def build_classifier(model: ModelConfig) -> ClassifierMixin:
    """Build the estimator alone; it takes missing values (NaN).

    Early stopping stays off: it would draw a second, hidden holdout out of the training
    rows.
    """
    match model:
        case HistGradientBoosting():
            return HistGradientBoostingClassifier(**knobs(model), early_stopping=False)
        case Logistic():
            return make_pipeline(
                fill_in(), StandardScaler(), LogisticRegression(**knobs(model))
            )
        case Forest():
            return make_pipeline(fill_in(), RandomForestClassifier(**knobs(model)))
        case XGBoost():
            from xgboost import XGBClassifier  # noqa: PLC0415 - an extra

            return XGBClassifier(**knobs(model), n_jobs=1)
        case LightGBM():
            from lightgbm import LGBMClassifier  # noqa: PLC0415 - an extra

            return LGBMClassifier(
                **knobs(model), n_jobs=1, deterministic=True, verbose=-1
            )


def knobs(model: Estimator) -> dict[str, Any]:
    """Return what config.yaml says to the estimator itself."""
    return model.model_dump(exclude={"version", "estimator", "calibration"})


def fill_in() -> SimpleImputer:
    """Put the median where a value is missing, and add a column that says so."""
    return SimpleImputer(strategy="median", add_indicator=True)


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
