"""Every split is found, wherever its tree sits, and the rows beside it reach it."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skewless.models.tree import UNKNOWN, beside_splits, round_down
from skewless.models.trees import trees_in

RANDOM = np.random.default_rng(8)
MATRIX = RANDOM.normal(size=(400, 5)).astype(np.float32)
TARGET = (RANDOM.normal(MATRIX[:, 0] + MATRIX[:, 3] ** 2 - 1) > 0).astype(int)
GAPS = np.where(RANDOM.random(MATRIX.shape) < 0.1, np.float32(np.nan), MATRIX)

TREE = DecisionTreeClassifier(max_depth=4, random_state=0)
FOREST = RandomForestClassifier(n_estimators=4, max_depth=4, random_state=0)
BOOSTED = HistGradientBoostingClassifier(max_iter=4, early_stopping=False)


def splits_of(estimator: BaseEstimator, matrix: np.ndarray = MATRIX):
    fitted = estimator.fit(matrix, TARGET)
    trees = list(trees_in(fitted, range(matrix.shape[1])))
    return beside_splits(trees, matrix[0])


WITH_TREES = {
    "tree": TREE,
    "forest": FOREST,
    "boosted": BOOSTED,
    "extra trees": ExtraTreesClassifier(n_estimators=3, max_depth=4),
    "gradient boosting": GradientBoostingClassifier(n_estimators=4),
    "ada boost": AdaBoostClassifier(n_estimators=4),
    "bagging": BaggingClassifier(n_estimators=4, max_features=0.6),
    "imputed": make_pipeline(SimpleImputer(), FOREST),
    "selected": make_pipeline(SelectKBest(k=2), BOOSTED),
    "passed through": make_pipeline("passthrough", FOREST),
    "calibrated": CalibratedClassifierCV(make_pipeline(SimpleImputer(), BOOSTED), cv=2),
    "vote": VotingClassifier([("one", FOREST), ("two", LogisticRegression())]),
    "frozen": FrozenEstimator(FOREST.fit(MATRIX, TARGET)),
    "search": GridSearchCV(TREE, {"max_depth": [2, 3]}, cv=2),
    "tuned threshold": TunedThresholdClassifierCV(BOOSTED, cv=2),
    "fixed threshold": FixedThresholdClassifier(FOREST),
}


@pytest.mark.parametrize("estimator", WITH_TREES.values(), ids=WITH_TREES)
def test_every_split_gets_rows_wherever_the_tree_sits(estimator: BaseEstimator):
    splits = splits_of(estimator)

    assert splits.found > 3
    assert splits.checked == splits.found
    assert splits.rows.shape == (3 * splits.found, MATRIX.shape[1])


@pytest.mark.parametrize("matrix", [MATRIX, GAPS], ids=["complete", "with gaps"])
def test_the_rows_reach_their_split_and_part_there(matrix: np.ndarray):
    tree = DecisionTreeClassifier(random_state=0).fit(matrix, TARGET)

    splits = beside_splits(list(trees_in(tree, range(5))), matrix[0])

    visited = tree.decision_path(splits.rows).toarray().astype(bool)
    nodes = tree.tree_
    reached = set()
    for at, above in zip(visited[1::3], visited[2::3], strict=True):
        for node in np.flatnonzero(at & above & (nodes.children_left != UNKNOWN)):
            left, right = nodes.children_left[node], nodes.children_right[node]
            if at[left] and above[right]:
                reached.add(int(node))
    assert reached == set(np.flatnonzero(nodes.children_left != UNKNOWN).tolist())


def test_the_columns_of_a_pipeline_are_those_of_the_matrix():
    selected = make_pipeline(SelectKBest(k=2), TREE).fit(MATRIX, TARGET)
    chosen = set(selected[0].get_support(indices=True).tolist())

    (tree,) = trees_in(selected, range(5))

    assert set(tree.column[tree.left != UNKNOWN].tolist()) <= chosen


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), FOREST),
        StackingClassifier([("one", LogisticRegression())], TREE, cv=2),
    ],
    ids=["scaled", "stacked"],
)
def test_splits_of_what_is_no_column_are_counted_and_not_checked(
    estimator: BaseEstimator,
):
    splits = splits_of(estimator)

    assert splits.found > 0
    assert splits.checked == 0


def test_a_linear_model_has_no_split():
    assert splits_of(LogisticRegression()).found == 0


def test_of_very_many_splits_some_are_checked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("skewless.models.tree.MOST_SPLITS", 10)

    splits = splits_of(FOREST)

    assert splits.found > 20
    assert 5 <= splits.checked <= 10


def test_rounding_down_never_rounds_up():
    exact = RANDOM.normal(size=1000) * 10.0 ** RANDOM.integers(-30, 30, 1000)

    rounded = round_down(exact)

    assert rounded.dtype == np.float32
    assert (rounded <= exact).all()
    assert (np.nextafter(rounded, np.float32(np.inf)) > exact).all()
