"""The trees inside a fitted estimator, wherever they sit."""

from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
)
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree

from skewless.models.boosters import library_of, lightgbm_trees, xgboost_trees
from skewless.models.converters import kept_columns
from skewless.models.tree import UNKNOWN, Tree


def trees_in(fitted: Any, columns: Sequence[int]) -> Iterator[Tree]:
    """Find the trees of a fitted estimator.

    Parameters
    ----------
    fitted
        An estimator of scikit-learn; it may hold others, as a pipeline, a calibration,
        a vote, a stack or a search does.
    columns
        Column of the matrix of each input of it, or `UNKNOWN`.
    """
    for leaf, inputs in leaves(fitted, columns):
        for nodes in _nodes(leaf):
            column = _picked(inputs, nodes.column)
            yield nodes._replace(column=np.array(column, dtype=np.int64))


def leaves(fitted: Any, columns: Sequence[int]) -> Iterator[tuple[Any, Sequence[int]]]:
    """Go down to the estimators that hold no other, with the columns that they see.

    See `trees_in` for the parameters.
    """
    inside = _inside(fitted, columns)
    if not inside:
        yield fitted, columns
    for each, inputs in inside:
        yield from leaves(each, inputs)


Inside = list[tuple[Any, Sequence[int]]]


@singledispatch
def _inside(fitted: Any, columns: Sequence[int]) -> Inside:
    """List the estimators that one holds, each with the columns that it sees."""
    for name in ("best_estimator_", "estimator_"):
        if hasattr(fitted, name) and not hasattr(fitted, "estimators_"):
            return [(getattr(fitted, name), columns)]
    held = getattr(fitted, "estimators_", [])
    if isinstance(held, np.ndarray):
        held = held.ravel()
    return [(each, columns) for each in held]


@_inside.register
def _(fitted: Pipeline, columns: Sequence[int]) -> Inside:
    *steps, (_, last) = fitted.steps
    for _, step in steps:
        columns = _through(step, columns)
    return [(last, columns)]


@_inside.register
def _(fitted: CalibratedClassifierCV, columns: Sequence[int]) -> Inside:
    return [(each.estimator, columns) for each in fitted.calibrated_classifiers_]


@_inside.register
def _(fitted: BaggingClassifier, columns: Sequence[int]) -> Inside:
    pairs = zip(fitted.estimators_, fitted.estimators_features_, strict=True)
    return [(each, _picked(columns, chosen)) for each, chosen in pairs]


@_inside.register
def _(fitted: StackingClassifier, columns: Sequence[int]) -> Inside:
    below = [(each, columns) for each in fitted.estimators_]
    return [*below, (fitted.final_estimator_, [])]  # it sees probabilities


@_inside.register
def _(fitted: FrozenEstimator, columns: Sequence[int]) -> Inside:
    return [(fitted.estimator, columns)]


def _through(step: Any, columns: Sequence[int]) -> Sequence[int]:
    """Say which column each output of a transformer is; values it changes are none."""
    if step is None or isinstance(step, str):  # passed through
        return columns
    if isinstance(step, SelectorMixin):
        return _picked(columns, step.get_support(indices=True))
    if isinstance(step, SimpleImputer):
        return _picked(columns, kept_columns(step))  # indicators come after them
    return []


def _picked(columns: Sequence[int], places: Iterable[int]) -> Sequence[int]:
    """Pick columns by place; a place that there is none for is unknown."""
    return [
        columns[place] if 0 <= place < len(columns) else UNKNOWN for place in places
    ]


def _nodes(leaf: Any) -> Iterator[Tree]:
    """Read the trees of an estimator; `column` counts its own inputs."""
    if isinstance(leaf, HistGradientBoostingClassifier):
        predictors = leaf._predictors  # noqa: SLF001 - no public access
        for nodes in (tree.nodes for trees in predictors for tree in trees):
            is_leaf = nodes["is_leaf"] == 1
            yield Tree(
                column=np.where(nodes["is_categorical"], UNKNOWN, nodes["feature_idx"]),
                threshold=nodes["num_threshold"],
                left=np.where(is_leaf, UNKNOWN, nodes["left"].astype(np.int64)),
                right=np.where(is_leaf, UNKNOWN, nodes["right"].astype(np.int64)),
            )
    elif library_of(leaf) == "xgboost":
        yield from xgboost_trees(leaf)
    elif library_of(leaf) == "lightgbm":
        yield from lightgbm_trees(leaf)
    elif isinstance(leaf, BaseDecisionTree):
        tree = leaf.tree_
        yield Tree(
            tree.feature, tree.threshold, tree.children_left, tree.children_right
        )
