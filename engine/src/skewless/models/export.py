"""Fitted model → ONNX that answers the same, checked before anything is written."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline

from skewless.core.errors import ParityError, SkewlessError
from skewless.models.boosters import (
    BOOSTER_OPSET,
    ask_for_raw_scores,
    is_booster,
    register_converter,
)
from skewless.models.converters import register_converters
from skewless.models.predict import INPUT, OUTPUT, Scorer
from skewless.models.tree import beside_splits
from skewless.models.trees import leaves, trees_in

register_converters()

PARITY = 1e-5
"""Largest allowed difference of a probability; measured: 3e-7."""


def export_model(fitted: Any, features: int) -> bytes:
    """Convert a fitted classifier to ONNX.

    The model takes float32 (n, features) and gives the probability of the event, (n,).

    Raises
    ------
    ParityError
        scikit-learn has a model here that ONNX cannot express.
    """
    try:
        if isinstance(fitted, CalibratedClassifierCV) and not fitted.ensemble:
            return _calibrated(fitted, features)
        model, scores = _convert(fitted, features, raw_scores=False)
        tail = [helper.make_node("Gather", [scores, "one"], [OUTPUT], axis=1)]
        return _with_tail(model, tail, {"one": np.int64(1)})
    except SkewlessError:
        raise
    except Exception as error:  # skl2onnx raises whatever its converters run into
        reason = str(error).partition("\n")[0]
        msg = (
            f"{type(fitted).__name__} cannot be exported to ONNX ({reason}). Choose "
            "another estimator, or let scikit-learn serve it: docs/without-onnx.md"
        )
        raise ParityError(msg) from error


class Parity(NamedTuple):
    """What comparing an exported model with the trained one came to."""

    difference: float
    """The largest of a probability."""
    rows: int
    """Rows that were compared."""
    splits: int
    """Splits of the model's trees."""
    splits_checked: int
    """Those of them that rows beside them were compared for."""


def check_parity(
    fitted: Any, score: Scorer, matrix: np.ndarray, *, names: Sequence[str]
) -> Parity:
    """Compare what will answer with the trained model, on a matrix and at every split.

    Parameters
    ----------
    fitted
        The classifier, made exportable.
    score
        It as it will be served.
    matrix
        Features, float32 (n, k); n at least 1.
    names
        Of the features.

    Raises
    ------
    ParityError
        A probability differs by more than `PARITY`, or the trained model gives none;
        the message tells of how many rows and what those have in common.
    """
    check_classes(fitted)
    columns = range(matrix.shape[1])
    beside = beside_splits(list(trees_in(fitted, columns)), matrix[0])
    rows = np.concatenate([matrix, beside.rows])
    expected = probabilities_of(fitted, rows, names)
    differences = np.abs(expected - score(rows))
    wrong = ~(differences <= PARITY)  # NaN is wrong
    if wrong.any():
        raise ParityError(_differing(differences, wrong, rows, names=names))
    largest = float(differences.max())
    return Parity(largest, len(rows), beside.found, beside.checked)


def probabilities_of(
    fitted: Any, matrix: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Ask a trained model for the probabilities of the event, float64 (n,).

    Raises
    ------
    ParityError
        It has none, or fails on a row.
    """
    kind = type(fitted).__name__
    try:
        found = np.asarray(fitted.predict_proba(matrix)[:, 1], dtype=np.float64)
    except AttributeError as error:
        msg = (
            f"train.py: {kind} gives no probabilities ({error}). Choose another "
            "estimator, or put it into a CalibratedClassifierCV"
        )
        raise ParityError(msg) from error
    except Exception as error:  # an estimator raises whatever it likes
        said = " ".join(str(error).split())
        missing = [
            name
            for name, values in zip(names, matrix.T, strict=True)
            if np.isnan(values).any()
        ]
        msg = f"train.py: {kind} cannot answer what schema.py allows: {said}"
        if "NaN" in said and missing:
            msg = (
                f"train.py: {kind} cannot answer where {' or '.join(missing)} is "
                "missing, which schema.py allows: put a SimpleImputer before it"
            )
        raise ParityError(msg) from error
    wrong = ~((found >= -PARITY) & (found <= 1 + PARITY))  # NaN is wrong
    if wrong.any():
        msg = (
            f"train.py: {kind} gives {found[wrong][0]:.9g} as a probability, and what "
            f"is not from 0 to 1 in {np.sum(wrong):,} of {len(found):,} rows. "
            "Choose another estimator, or mend its predict_proba"
        )
        raise ParityError(msg)
    return found


def check_classes(fitted: Any) -> None:
    """Ask that the second column of probabilities is that of the event.

    Raises
    ------
    ParityError
        The classes are others, or in another order.
    """
    classes = np.asarray(getattr(fitted, "classes_", [])).tolist()
    if classes != [0, 1]:
        msg = (
            f"train.py: the classes of {type(fitted).__name__} are {classes}, so the "
            "second column of its probabilities is not that of the event. "
            "Fit it on the 0 and 1 that train is given"
        )
        raise ParityError(msg)


def _differing(
    differences: np.ndarray,
    wrong: np.ndarray,
    rows: np.ndarray,
    *,
    names: Sequence[str],
) -> str:
    """Tell in which rows a model and what is served differ, and by how much."""
    largest = np.nanmax(differences, initial=0)
    told = (
        f"what would be served is {largest:.2g} away from what was trained, in "
        f"{np.sum(wrong):,} of {len(rows):,} rows; at most {PARITY:g} is allowed"
    )
    if np.isnan(differences[wrong]).all():
        told = f"what would be served is no number in {np.sum(wrong):,} rows"
    is_missing = np.isnan(rows)
    lacking = [
        name
        for name, missing in zip(names, is_missing.T, strict=True)
        if missing[wrong].all() and not missing.all()
    ]
    some_missing = is_missing.any(axis=1)
    if lacking:
        told += (
            f". All of them have no {' and no '.join(lacking)}: put a SimpleImputer "
            "before the estimator, in train.py"
        )
    elif some_missing[wrong].all():
        told += (
            ". In each of them something is missing: put a SimpleImputer before the "
            "estimator, in train.py"
        )
    else:
        shown = ", ".join(
            f"{name} {value:.9g}"
            for name, value in zip(names, rows[np.argmax(wrong)], strict=True)
        )
        told += (
            f". The first: {shown}. In train.py, take out what scales columns before "
            "trees, as trees need none of it, or choose another estimator"
        )
    return told


def _convert(
    fitted: Any, features: int, *, raw_scores: bool
) -> tuple[onnx.ModelProto, str]:
    """Convert an estimator; return the graph, and its output of shape (n, 2).

    Those are probabilities, or what `decision_function` says where raw scores are
    asked for.
    """
    boosters = [leaf for leaf, _ in leaves(fitted, []) if is_booster(leaf)]
    for booster in boosters:
        register_converter(booster)
    options = {id(fitted): {"zipmap": False}}
    last = fitted
    while isinstance(last, Pipeline):  # which passes no option on
        last = last[-1]
    if raw_scores and not is_booster(last):
        options[id(last)] = {"zipmap": False, "raw_scores": True}
    with warnings.catch_warnings():
        # skl2onnx writes booleans as integers, which protobuf 7 refuses; hence
        # protobuf<7 in pyproject.toml.
        warnings.filterwarnings(
            "ignore", "Field onnx.AttributeProto.ints", DeprecationWarning
        )
        model = to_onnx(
            fitted,
            initial_types=[(INPUT, FloatTensorType([None, features]))],
            options=options,
            target_opset=BOOSTER_OPSET if boosters else None,
        )
    if raw_scores and is_booster(last):
        ask_for_raw_scores(model)
    return model, model.graph.output[1].name


def _calibrated(fitted: CalibratedClassifierCV, features: int) -> bytes:
    """Append a calibration to the scores of its estimator, in float64.

    skl2onnx would take the nearest knot of an isotonic one, and calibrate
    probabilities where scikit-learn calibrates the scores of a pipeline.
    """
    (calibrated,) = fitted.calibrated_classifiers_
    (calibrator,) = calibrated.calibrators
    estimator = calibrated.estimator
    has_scores = hasattr(estimator, "decision_function")
    model, scores = _convert(estimator, features, raw_scores=has_scores)
    if isinstance(calibrator, IsotonicRegression):
        tail, constants = _isotonic(calibrator)
    else:
        tail, constants = _sigmoid(calibrator)
    head = [
        helper.make_node("Gather", [scores, "one"], ["score32"], axis=1),
        helper.make_node("Cast", ["score32"], ["score64"], to=TensorProto.DOUBLE),
    ]
    end = helper.make_node("Cast", ["probability64"], [OUTPUT], to=TensorProto.FLOAT)
    return _with_tail(model, [*head, *tail, end], {"one": np.int64(1)} | constants)


def _sigmoid(calibrator: Any) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Write 1 / (1 + exp(a score + b)), Platt's calibration, as nodes."""
    constants = {
        "slope": np.float64(-calibrator.a_),
        "at_0": np.float64(-calibrator.b_),
    }
    node = helper.make_node
    nodes = [
        node("Mul", ["score64", "slope"], ["sloped"]),
        node("Add", ["sloped", "at_0"], ["log_odds"]),
        node("Sigmoid", ["log_odds"], ["probability64"]),
    ]
    return nodes, constants


def _isotonic(
    calibrator: IsotonicRegression,
) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Write linear interpolation between the knots as nodes."""
    # They are in float32 where the model's own scores are.
    x = calibrator.X_thresholds_.astype(np.float64)
    y = calibrator.y_thresholds_.astype(np.float64)
    if len(x) == 1:  # all scores were the same
        always = [
            helper.make_node("Mul", ["score64", "nothing"], ["no_score"]),
            helper.make_node("Add", ["no_score", "y"], ["probability64"]),
        ]
        return always, {"nothing": np.float64(0), "y": np.float64(y[0])}
    constants = {
        "last_axis": np.array([1], dtype=np.int64),
        "low": np.float64(x[0]),
        "high": np.float64(x[-1]),
        "inner": x[1:-1],
        "x": x[:-1],
        "y": y[:-1],
        "slope": np.diff(y) / np.diff(x),
    }
    node = helper.make_node
    nodes = [
        node("Clip", ["score64", "low", "high"], ["score"]),
        node("Unsqueeze", ["score", "last_axis"], ["column"]),
        node("GreaterOrEqual", ["column", "inner"], ["passed"]),
        node("Cast", ["passed"], ["passed_int"], to=TensorProto.INT64),
        node("ReduceSum", ["passed_int", "last_axis"], ["segment"], keepdims=0),
        node("Gather", ["x", "segment"], ["x0"]),
        node("Gather", ["y", "segment"], ["y0"]),
        node("Gather", ["slope", "segment"], ["dy"]),
        node("Sub", ["score", "x0"], ["beyond"]),
        node("Mul", ["beyond", "dy"], ["rise"]),
        node("Add", ["y0", "rise"], ["probability64"]),
    ]
    return nodes, constants


def _with_tail(
    model: onnx.ModelProto, tail: list[onnx.NodeProto], constants: dict[str, Any]
) -> bytes:
    """Append nodes to a graph, under other names where the graph uses theirs itself."""
    graph = model.graph
    added = set(constants)
    for node in tail:
        added.update(node.output)
    added.discard(OUTPUT)
    unused = _unused_names(added, _names(graph))
    for node in tail:
        node.input[:] = [unused.get(name, name) for name in node.input]
        node.output[:] = [unused.get(name, name) for name in node.output]
    graph.node.extend(tail)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), unused[name])
        for name, value in constants.items()
    )
    del graph.output[:]
    graph.output.append(
        helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None])
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _unused_names(wanted: set[str], taken: set[str]) -> dict[str, str]:
    """Lengthen names that are taken; the others stay, and so do a model's bytes."""
    unused = dict[str, str]()
    for name in wanted:
        new = name
        while new in taken or (new != name and new in wanted):
            new = f"{new}_"
        unused[name] = new
    return unused


def _names(graph: onnx.GraphProto) -> set[str]:
    """Collect the names of the tensors in a graph and in the graphs of its nodes."""
    names = {each.name for each in [*graph.input, *graph.initializer]}
    for node in graph.node:
        names.update(node.input, node.output)
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                names |= _names(inner)
    return names
