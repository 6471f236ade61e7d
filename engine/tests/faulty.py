"""Training code with faults that notebooks have; a project names one by its place."""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from churn_service.evaluate import evaluate
from skewless import Training


def bare_line(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    return LogisticRegression().fit(matrix, target)


def bare_forest(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    return RandomForestClassifier(10, max_depth=6, random_state=0).fit(matrix, target)


def imputed_trees(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    trees = HistGradientBoostingClassifier(max_iter=20, early_stopping=False)
    return make_pipeline(SimpleImputer(strategy="median"), trees).fit(matrix, target)


def turned_around(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    fitted = HistGradientBoostingClassifier(max_iter=5).fit(matrix, 1 - target)
    fitted.classes_ = np.array([1, 0])
    return fitted


def of_no_package(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    from no_such_booster import Classifier

    return Classifier().fit(matrix, target)


absent = Training(train=of_no_package, evaluate=evaluate)
line = Training(train=bare_line, evaluate=evaluate)
forest = Training(train=bare_forest, evaluate=evaluate)
imputed = Training(train=imputed_trees, evaluate=evaluate)
turned = Training(train=turned_around, evaluate=evaluate)
