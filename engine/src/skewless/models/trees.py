"""The trees inside a fitted estimator, wherever they sit, and rows beside their splits.

Float32 decides there: a threshold that is rounded on its way to ONNX sends a row that
lies on it to the other side.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final, NamedTuple

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
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree

UNKNOWN: Final = -1  # in place of a column or of a child
MOST_SPLITS: Final = 10_000
"""Splits that rows are made for; of a model with more, so many, evenly spread."""


class Tree(NamedTuple):
    """A fitted tree as arrays of its nodes, each of shape (nodes,)."""

    column: np.ndarray
    """Column of the matrix that a node splits on; `UNKNOWN` for one that is no column.

    A scaler before the tree makes such columns, for instance.
    """
    threshold: np.ndarray
    """A row goes left if its value is at most this."""
    left: np.ndarray
    right: np.ndarray
    """Node that follows; `UNKNOWN` at a leaf."""


@dataclass(frozen=True)
class Splits:
    """Rows that lie beside the splits of a model's trees."""

    rows: np.ndarray
    """float32 (3 * checked, k): each split's threshold and its neighbours."""
    found: int
    """Splits of all trees."""
    checked: int
    """Splits that there are rows for."""


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


@_inside.register(GridSearchCV)
@_inside.register(RandomizedSearchCV)
def _(fitted: Any, columns: Sequence[int]) -> Inside:
    return [(fitted.best_estimator_, columns)]


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
        is_kept = ~np.isnan(step.statistics_.astype(np.float64))
        is_kept |= step.keep_empty_features
        # Indicators come after the columns.
        return _picked(columns, np.flatnonzero(is_kept))
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
    elif isinstance(leaf, BaseDecisionTree):
        tree = leaf.tree_
        yield Tree(
            tree.feature, tree.threshold, tree.children_left, tree.children_right
        )


def beside_splits(trees: Sequence[Tree], row: np.ndarray) -> Splits:
    """Make rows that reach each split, and lie on its threshold and beside it.

    Parameters
    ----------
    trees
        Of one model, see `trees_in`.
    row
        Any row of the matrix, float32 (k,): the rows have its values where no split on
        their way asks for others.

    Returns
    -------
    Splits
        For each split, rows at the largest float32 that goes left, at the one before
        it, and at the one after it, which goes right. A split whose column is unknown,
        or that comes after such a one, has none.
    """
    found = sum(int(np.sum(tree.left != UNKNOWN)) for tree in trees)
    every = max(1, -(-found // MOST_SPLITS))
    rows = list[np.ndarray]()
    place = 0
    for tree in trees:
        for node, reaching in _known_splits(tree, row):
            place += 1
            if place % every == 0:
                rows += _on_and_beside(tree, node, reaching)
    made = np.array(rows, dtype=np.float32).reshape(-1, len(row))
    return Splits(rows=made, found=found, checked=len(made) // 3)


def _known_splits(tree: Tree, row: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Visit the splits that are known, each with a row that reaches it."""
    waiting = [(0, row)]
    while waiting:
        node, reaching = waiting.pop()
        if tree.left[node] == UNKNOWN or tree.column[node] == UNKNOWN:
            continue
        yield node, reaching
        _, to_left, to_right = _on_and_beside(tree, node, reaching)
        waiting.append((int(tree.left[node]), to_left))
        waiting.append((int(tree.right[node]), to_right))


def _on_and_beside(tree: Tree, node: int, row: np.ndarray) -> list[np.ndarray]:
    at = round_down(tree.threshold[node])
    below = np.nextafter(at, np.float32(-np.inf))
    above = np.nextafter(at, np.float32(np.inf))
    if np.isinf(at):  # every number goes left, and what is missing goes right
        below = at = np.nan_to_num(row[tree.column[node]])
        above = np.float32(np.nan)
    rows = []
    for value in (below, at, above):
        changed = row.copy()
        changed[tree.column[node]] = value
        rows.append(changed)
    return rows


def round_down(thresholds: Any) -> Any:
    """Round to the largest float32 that is not above: float64 → float32.

    A matrix is float32, so ``x <= t`` and ``x <= round_down(t)`` are the same question.
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    rounded = exact.astype(np.float32)
    below = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > exact, below, rounded)
