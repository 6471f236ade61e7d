"""Fitted estimator → which steps it consists of, and what a missing value becomes.

All of it is read off the object: config.yaml may hold knobs that nobody read.
"""

import inspect
import math
from collections.abc import Iterator
from typing import Any, Final

from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from skewless.models.metadata import Fitted, Imputation, Step, Treatment

Imputer = (SimpleImputer, KNNImputer)
PLAIN: Final = (bool, int, float, str, type(None))


def describe(fitted: Any) -> Fitted:
    """Describe a fitted estimator of scikit-learn, whatever it holds."""
    steps = list(_walk(fitted, 0))
    imputers = [each for each, _ in steps if isinstance(each, Imputer)]
    return Fitted(
        steps=tuple(
            Step(name=type(each).__name__, depth=depth, knobs=_knobs(each))
            for each, depth in steps
        ),
        missing=_treatment(fitted),
        imputations=tuple(map(_imputation, imputers)),
    )


def _walk(fitted: Any, depth: int) -> Iterator[tuple[Any, int]]:
    """Yield each step and its depth; a pipeline is its steps, and no step itself."""
    if _changes_nothing(fitted):
        return
    if isinstance(fitted, Pipeline | FrozenEstimator):
        for each in _parts(fitted):
            yield from _walk(each, depth)
        return
    yield fitted, depth
    for each in _parts(fitted):
        yield from _walk(each, depth + 1)


def _parts(fitted: Any) -> list[Any]:
    """List the fitted estimators that one holds and that differ from each other."""
    if isinstance(fitted, Pipeline):
        return [each for _, each in fitted.steps if isinstance(each, BaseEstimator)]
    if isinstance(fitted, FrozenEstimator):
        return [fitted.estimator]
    if isinstance(fitted, CalibratedClassifierCV):
        return [fitted.calibrated_classifiers_[0].estimator]  # the others are alike
    if isinstance(fitted, ColumnTransformer):
        found = [each for _, each, _ in fitted.transformers_]
        return [each for each in found if isinstance(each, BaseEstimator)]
    if hasattr(fitted, "best_estimator_"):
        return [fitted.best_estimator_]
    last = getattr(fitted, "final_estimator_", None)
    return _side_by_side(fitted) + ([] if last is None else [last])


def _side_by_side(fitted: Any) -> list[Any]:
    """List the models of a vote or a stack; the trees of a forest are one model."""
    return list(getattr(fitted, "named_estimators_", {}).values())


def _changes_nothing(step: Any) -> bool:
    """Recognise what stands for "passthrough" in a fitted transformer of columns."""
    return isinstance(step, FunctionTransformer) and step.func is None


def _knobs(fitted: Any) -> dict[str, Any]:
    """Return the parameters that differ from the defaults of the class."""
    if not isinstance(fitted, BaseEstimator):
        return {}
    declared = inspect.signature(type(fitted).__init__).parameters
    knobs = {}
    for name, value in fitted.get_params(deep=False).items():
        default = declared[name].default if name in declared else None
        is_number = isinstance(value, float) and not math.isfinite(value)
        if isinstance(value, PLAIN) and not is_number and value != default:
            knobs[name] = value
    return knobs


def _treatment(fitted: Any) -> Treatment:
    """Tell what becomes of a missing value that comes to an estimator."""
    if isinstance(fitted, Imputer):
        return "imputed"
    if isinstance(fitted, Pipeline):
        return _of_steps(_parts(fitted))
    if isinstance(fitted, ColumnTransformer):
        return _of_columns(fitted)
    inside = _side_by_side(fitted) or _parts(fitted)
    if inside:
        found = {_treatment(each) for each in inside}
        return found.pop() if len(found) == 1 else "unknown"
    return _of_one(fitted)


def _of_one(fitted: Any) -> Treatment:
    if _changes_nothing(fitted):
        return "read"
    if isinstance(fitted, FunctionTransformer) or not isinstance(fitted, BaseEstimator):
        return "unknown"
    return "read" if get_tags(fitted).input_tags.allow_nan else "refused"


def _of_steps(steps: list[Any]) -> Treatment:
    """Follow a value through steps until one replaces it, or the last reads it."""
    is_partly = False
    for each in steps:
        found = _treatment(each)
        if found in {"imputed", "refused", "unknown"}:
            return found
        is_partly = is_partly or found == "partly_imputed"
    return "partly_imputed" if is_partly else "read"


def _of_columns(fitted: ColumnTransformer) -> Treatment:
    """Compare what the transformers of columns do; dropped columns do not matter."""
    found = {_treatment(each) for each in _parts(fitted)}
    for worst in ("unknown", "refused"):
        if worst in found:
            return worst
    return found.pop() if len(found) == 1 else "partly_imputed"


def _imputation(imputer: Any) -> Imputation:
    strategy = "mean of the nearest neighbours"
    if isinstance(imputer, SimpleImputer):
        strategy = imputer.strategy.replace("_", " ")
        if imputer.strategy == "constant":
            strategy = f"constant {imputer.fill_value}"
    indicator = getattr(imputer, "indicator_", None)
    return Imputation(
        name=type(imputer).__name__,
        strategy=strategy,
        is_told=indicator is not None and len(indicator.features_) > 0,
    )
