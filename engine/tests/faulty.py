"""Training code with faults that notebooks have; a project names one by its place."""

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

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


def of_no_package(*_: Any) -> Any:
    msg = "No module named 'xgboost'"
    raise ModuleNotFoundError(msg, name="xgboost")


def of_another_package(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    from no_such_package import Classifier

    return Classifier().fit(matrix, target)


def line_of_complete_rows(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    complete = ~np.isnan(matrix).any(axis=1)
    return LogisticRegression(max_iter=1000).fit(matrix[complete], target[complete])


def without_probabilities(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    return SVC().fit(np.nan_to_num(matrix)[:300], target[:300])


def not_to_be_written(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    nothing = FunctionTransformer(lambda rows: rows)
    trees = HistGradientBoostingClassifier(max_iter=5, early_stopping=False)
    return make_pipeline(nothing, trees).fit(matrix, target)


def without_return(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    HistGradientBoostingClassifier(max_iter=5).fit(matrix, target)


def not_fitted(*_: Any) -> Any:
    return HistGradientBoostingClassifier(max_iter=5)


class Sevens(DecisionTreeClassifier):
    """A tree that is sure beyond measure."""

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        return 7 * super().predict_proba(matrix)


def beyond_one(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    return Sevens(max_depth=2).fit(matrix, target)


def without_seed(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    forest = RandomForestClassifier(10, max_depth=6)
    return make_pipeline(SimpleImputer(), forest).fit(matrix, target)


def constant(matrix: np.ndarray, target: np.ndarray, _: Any) -> Any:
    one = DecisionTreeClassifier(max_depth=1, min_samples_split=len(target) + 1)
    calibrated = CalibratedClassifierCV(one, method="isotonic", ensemble=False)
    return calibrated.fit(matrix, target)


returnless = Training(train=without_return, evaluate=evaluate)
unfitted = Training(train=not_fitted, evaluate=evaluate)
sevens = Training(train=beyond_one, evaluate=evaluate)
unseeded = Training(train=without_seed, evaluate=evaluate)
elsewhere = Training(train=of_another_package, evaluate=evaluate)
complete = Training(train=line_of_complete_rows, evaluate=evaluate)
silent = Training(train=without_probabilities, evaluate=evaluate)
unwritten = Training(train=not_to_be_written, evaluate=evaluate)
same = Training(train=constant, evaluate=evaluate)


absent = Training(train=of_no_package, evaluate=evaluate)
line = Training(train=bare_line, evaluate=evaluate)
forest = Training(train=bare_forest, evaluate=evaluate)
imputed = Training(train=imputed_trees, evaluate=evaluate)
turned = Training(train=turned_around, evaluate=evaluate)
