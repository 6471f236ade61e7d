"""The exported model answers like the trained one, everywhere, or is refused."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from churn_service.config import HistGradientBoosting
from churn_service.train import build_classifier, train
from conftest import ROOT
from own import CONTRACT, PROJECT, TARGET
from skewless.core.config_file import load_config
from skewless.core.errors import ParityError, UnsafeModelError
from skewless.core.feature_matrix import feature_matrix
from skewless.models import predict
from skewless.models.export import PARITY, Parity, check_parity, export_model
from skewless.models.exportable import made_exportable
from skewless.models.onnx_guard import check_onnx
from skewless.models.predict import onnx_scorer
from skewless.models.tree import beside_splits
from skewless.models.trees import trees_in
from skewless.tables.simulate import simulate

CONFIG = load_config(ROOT / "config.yaml", PROJECT)
CALIBRATIONS = ["none", "sigmoid", "isotonic"]


def training_data(rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    made = simulate(rows, 5, CONTRACT)
    return feature_matrix(PROJECT, made, CONFIG.features), made[TARGET]


def model_config(calibration: str) -> HistGradientBoosting:
    return CONFIG.model.model_copy(update={"calibration": calibration, "max_iter": 40})


def fit(
    matrix: np.ndarray, target: np.ndarray, calibration: str = "none"
) -> ClassifierMixin:
    """Fit this project's estimator as a version is made of it."""
    return made_exportable(train(matrix, target, model_config(calibration)))


def parity_of(fitted: ClassifierMixin, matrix: np.ndarray) -> Parity:
    """Export a model as a version's is, and compare the two."""
    width = matrix.shape[1]
    names = [f"x{number}" for number in range(width)]
    score = onnx_scorer(export_model(fitted, width))
    return check_parity(fitted, score, matrix, names=names)


@cache
def trained_and_exported(calibration: str):
    matrix, target = training_data()
    fitted = fit(matrix, target, calibration)
    return fitted, export_model(fitted, matrix.shape[1]), matrix


@pytest.mark.slow
@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_onnx_equals_scikit_learn_on_data_and_beside_every_split(calibration: str):
    fitted, _, matrix = trained_and_exported(calibration)

    parity = parity_of(fitted, matrix)

    assert 0 <= parity.difference <= PARITY
    assert parity.splits_checked == parity.splits > 0
    assert parity.rows == len(matrix) + 3 * parity.splits


def test_onnx_equals_scikit_learn_beside_hundreds_of_splits_whatever_the_contract():
    random = np.random.default_rng(5)
    matrix = random.normal(0, 1, (4000, 6)).astype(np.float32)
    fitted = fit(matrix, (random.normal(matrix.sum(axis=1)) > 0).astype(int))

    parity = parity_of(fitted, matrix)

    assert 0 <= parity.difference <= PARITY
    assert parity.splits_checked > 200


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_onnx_equals_scikit_learn_on_missing_and_extreme_values(calibration: str):
    fitted, exported, matrix = trained_and_exported(calibration)
    random = np.random.default_rng(0)
    extremes = np.array([np.nan, 0, -0.0, 1e-38, -1, 3.4e38, -3.4e38], dtype=np.float32)
    rows = random.choice(extremes, (2000, matrix.shape[1]))

    difference = np.abs(
        fitted.predict_proba(rows)[:, 1] - onnx_scorer(exported)(rows)
    ).max()

    assert difference <= PARITY


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_a_row_scores_the_same_bit_for_bit_alone_and_in_any_batch(calibration: str):
    _, exported, matrix = trained_and_exported(calibration)
    score = onnx_scorer(exported)
    alone = np.array([score(matrix[row : row + 1])[0] for row in range(1000)])

    for size in (2, 7, 64, 1000):
        batches = np.concatenate(
            [score(matrix[start : start + size]) for start in range(0, 1000, size)]
        )
        assert np.array_equal(batches[:1000], alone), size


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_calibration_is_monotone_and_stays_a_probability(calibration: str):
    fitted, exported, matrix = trained_and_exported(calibration)
    (calibrated,) = fitted.calibrated_classifiers_
    scores, probabilities = (
        calibrated.estimator.decision_function(matrix),
        onnx_scorer(exported)(matrix),
    )

    ordered = probabilities[np.argsort(scores, kind="stable")]

    assert np.all(np.diff(ordered) >= -1e-6)
    assert 0 <= ordered.min() < ordered.max() <= 1


def test_rounding_the_splits_changes_no_answer_of_scikit_learn():
    matrix, target = training_data()
    plain = build_classifier(model_config("none")).fit(matrix, target)

    rounded = fit(matrix, target)

    trees = list(trees_in(plain, range(matrix.shape[1])))
    rows = np.concatenate([matrix, beside_splits(trees, matrix[0]).rows])
    assert np.array_equal(plain.predict_proba(rows), rounded.predict_proba(rows))


def test_a_model_that_answers_otherwise_is_refused():
    matrix, target = training_data(1000)
    one, other = (fit(matrix, part) for part in (target, 1 - target))

    score = onnx_scorer(export_model(other, 10))
    with pytest.raises(ParityError, match="at most 1e-05 is allowed"):
        check_parity(one, score, matrix, names=list("abcdefghij"))


def imputed(estimator: BaseEstimator) -> Pipeline:
    return make_pipeline(SimpleImputer(strategy="median"), estimator)


HIST = HistGradientBoostingClassifier(max_iter=30, early_stopping=False)
# a tensor of its graph is called `one`
BOOSTED = AdaBoostClassifier(n_estimators=5, random_state=0)
FOREST = RandomForestClassifier(n_estimators=5, max_depth=6, random_state=0)
LINEAR = LogisticRegression(max_iter=1000)
SCALED = make_pipeline(SimpleImputer(), StandardScaler(), LINEAR)
VOTE = VotingClassifier([("trees", HIST), ("line", SCALED)], voting="soft")
OTHERS = {
    "in a pipeline": imputed(HIST),
    "boosted": imputed(BOOSTED),
    "boosted, isotonic": CalibratedClassifierCV(
        imputed(BOOSTED), method="isotonic", ensemble=False
    ),
    "forest": imputed(FOREST),
    "extra trees": imputed(ExtraTreesClassifier(5, max_depth=6, random_state=0)),
    "gradient boosting": imputed(GradientBoostingClassifier(n_estimators=20)),
    "calibrated forest": CalibratedClassifierCV(imputed(FOREST), ensemble=False),
    "linear": imputed(LINEAR),
    "scaled and linear": SCALED,
    "linear, sigmoid": CalibratedClassifierCV(SCALED, ensemble=False),
    "vote": VOTE,
    "weighted vote": clone(VOTE).set_params(weights=[2, 1], flatten_transform=False),
    "stack": StackingClassifier([("trees", HIST), ("line", SCALED)], cv=2),
}
WITHOUT_SPLITS = {"linear", "scaled and linear", "linear, sigmoid"}


def test_onnx_runtime_has_nothing_to_say_of_a_vote(capfd: pytest.CaptureFixture[str]):
    matrix, target = training_data()
    exported = export_model(clone(VOTE).fit(matrix, target), matrix.shape[1])

    onnx_scorer(exported)

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", OTHERS)
def test_another_estimator_answers_alike_missing_values_and_splits_included(name: str):
    matrix, target = training_data()
    fitted = made_exportable(clone(OTHERS[name]).fit(matrix, target))

    parity = parity_of(fitted, matrix)

    assert np.isnan(matrix).any()
    assert 0 <= parity.difference <= PARITY
    assert parity.splits_checked == parity.splits
    assert (parity.splits == 0) == (name in WITHOUT_SPLITS)


def test_a_forest_that_answers_otherwise_without_a_value_is_told_the_remedy():
    matrix, target = training_data()
    complete = ~np.isnan(matrix).any(axis=1)
    fitted = clone(FOREST).fit(matrix[complete], target[complete])

    with pytest.raises(ParityError) as refused:
        parity_of(fitted, matrix)

    (nameless,) = np.flatnonzero(np.isnan(matrix).any(axis=0))
    said = str(refused.value)
    assert f"All of them have no x{nameless}: put a SimpleImputer before" in said


def test_classes_in_another_order_are_refused():
    class Turned(LogisticRegression):
        """Its second column is the probability of 0."""

        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    matrix, target = training_data(1000)
    fitted = Turned(max_iter=1000).fit(np.nan_to_num(matrix), target)
    fitted.classes_ = fitted.classes_[::-1]

    with pytest.raises(ParityError, match="its probabilities is not that of the event"):
        check_parity(fitted, lambda rows: rows[:, 0], matrix, names=[])


def test_a_threshold_moved_by_one_float32_is_seen():
    fitted, exported, matrix = trained_and_exported("none")
    model = onnx.load_from_string(exported)
    (trees,) = [node for node in model.graph.node if node.op_type.startswith("Tree")]
    (values,) = [each for each in trees.attribute if each.name == "nodes_values"]
    (modes,) = [each for each in trees.attribute if each.name == "nodes_modes"]
    place = next(place for place, mode in enumerate(modes.strings) if mode != b"LEAF")
    moved = np.nextafter(np.float32(values.floats[place]), np.float32(np.inf))
    values.floats[place] = float(moved)

    score = onnx_scorer(model.SerializeToString())
    with pytest.raises(ParityError, match=r"away from what was trained, in \d+ of"):
        check_parity(fitted, score, matrix[:1], names=list("abcdefghij"))


@pytest.mark.slow
def test_a_calibration_of_scores_in_float32_is_exported_in_float64():
    matrix, target = training_data()
    matrix = np.nan_to_num(matrix)
    linear = LogisticRegression(max_iter=1000)
    fitted = CalibratedClassifierCV(linear, method="isotonic", ensemble=False).fit(
        matrix, target
    )

    probabilities = onnx_scorer(export_model(fitted, matrix.shape[1]))(matrix)

    assert (
        np.abs(fitted.predict_proba(matrix)[:, 1] - probabilities).max() < 1e-4
    )  # its scores round otherwise


def test_an_estimator_that_onnx_cannot_express_is_refused_with_its_name():
    class Unheard(HistGradientBoostingClassifier):
        pass

    matrix, target = training_data(1000)

    with pytest.raises(ParityError, match="Unheard cannot be exported to ONNX"):
        export_model(Unheard(max_iter=2).fit(matrix, target), matrix.shape[1])


def tiny_model(**changes) -> onnx.ModelProto:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    node = helper.make_node("Add", ["x", "w"], ["y"], domain=changes.get("domain", ""))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "g",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
        [weights],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid(changes.get("domain", ""), 13)]
    )


def test_a_model_with_its_own_weights_and_standard_operators_passes():
    check_onnx(tiny_model().SerializeToString())


@pytest.mark.parametrize("domain", ["com.microsoft", "evil"])
def test_foreign_operators_are_refused_by_name(domain: str):
    with pytest.raises(UnsafeModelError, match=domain):
        check_onnx(tiny_model(domain=domain).SerializeToString())


def test_weights_in_other_files_are_refused():
    model = tiny_model()
    (tensor,) = model.graph.initializer
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"

    with pytest.raises(UnsafeModelError, match="weights in other files"):
        check_onnx(model.SerializeToString())


def overlong(number: int, kind: int) -> bytes:
    """Write a field's key so that a careless reader sees another field.

    Protobuf sees the right one.
    """
    key, out = (number << 3 | kind) | 1 << 32, b""
    while key > 0x7F:
        out, key = out + bytes([key & 0x7F | 0x80]), key >> 7
    return out + bytes([key])


def test_a_field_hidden_behind_an_overlong_key_is_refused():
    hidden = overlong(14, 0) + b"\x01"  # data_location: external
    tensor = bytes([5 << 3 | 2, len(hidden)]) + hidden
    model = bytes([7 << 3 | 2, len(tensor)]) + tensor

    with pytest.raises(UnsafeModelError, match="not an ONNX file"):
        check_onnx(model)


def test_another_file_format_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model, options = tiny_model(), onnxruntime.SessionOptions()
    model.ir_version = 8
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    # let it pass the guard, as a polyglot could
    monkeypatch.setattr(predict, "check_onnx", lambda _: None)

    with pytest.raises(UnsafeModelError, match="cannot be loaded"):
        onnx_scorer((tmp_path / "model.ort").read_bytes())


def test_foreign_operators_deep_inside_a_branch_are_refused():
    inner = tiny_model(domain="evil").graph
    branch = helper.make_node(
        "If", ["c"], ["y"], then_branch=inner, else_branch=tiny_model().graph
    )
    model = tiny_model()
    model.graph.node.append(branch)

    with pytest.raises(UnsafeModelError, match="evil"):
        check_onnx(model.SerializeToString())


@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_model_never_raise_anything_but_a_refusal(data: bytes):
    try:
        check_onnx(data)
    except UnsafeModelError as refused:
        assert "model.onnx" in str(refused)  # noqa: PT017 - not all bytes are refused


def test_bytes_that_are_no_model_are_refused_when_loaded():
    with pytest.raises(UnsafeModelError, match=r"model\.onnx cannot be loaded"):
        onnx_scorer(b"")
