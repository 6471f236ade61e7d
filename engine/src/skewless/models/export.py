"""Fitted model → ONNX that answers the same, checked before anything is written."""

import warnings
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.calibration import CalibratedClassifierCV

from skewless.core.errors import ParityError
from skewless.models.exportable import split_points
from skewless.models.predict import INPUT, OUTPUT, onnx_scorer

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
        if isinstance(fitted, CalibratedClassifierCV) and fitted.method == "isotonic":
            return _isotonic(fitted, features)
        model, scores = _convert(fitted, features, raw_scores=False)
        tail = [helper.make_node("Gather", [scores, "one"], [OUTPUT], axis=1)]
        return _with_tail(model, tail, {"one": np.int64(1)})
    except Exception as error:  # skl2onnx raises whatever its converters run into
        reason = str(error).partition("\n")[0]
        msg = (
            f"{type(fitted).__name__} cannot be exported to ONNX ({reason}); "
            "choose another estimator"
        )
        raise ParityError(msg) from error


def check_parity(fitted: Any, exported: bytes, matrix: np.ndarray) -> float:
    """Return the models' largest difference, on a matrix and beside every split.

    Raises
    ------
    ParityError
        The difference exceeds `PARITY`.
    """
    rows = np.concatenate([matrix, beside_splits(fitted, matrix[0])])
    expected = fitted.predict_proba(rows)[:, 1]
    answered = onnx_scorer(exported)(rows)
    difference = np.abs(expected - answered).max()
    if not difference <= PARITY:
        msg = (
            f"the ONNX model is {difference:.2g} away from scikit-learn's; "
            f"at most {PARITY:g} is allowed"
        )
        raise ParityError(msg)
    return float(difference)


def beside_splits(fitted: Any, row: np.ndarray) -> np.ndarray:
    """Copy a row to each split threshold and to its two neighbours in float32.

    The copies have the shape (3 * splits, k).
    """
    splits = split_points(fitted)
    rows = np.repeat(row[np.newaxis], 3 * len(splits), axis=0)
    for position, (feature, threshold) in enumerate(splits):
        value = np.float32(threshold)
        near = [
            np.nextafter(value, np.float32(-np.inf)),
            value,
            np.nextafter(value, np.float32(np.inf)),
        ]
        rows[3 * position : 3 * position + 3, feature] = near
    return rows


def _convert(
    fitted: Any, features: int, *, raw_scores: bool
) -> tuple[onnx.ModelProto, str]:
    options = {"zipmap": False}
    if raw_scores:
        options["raw_scores"] = True
    with warnings.catch_warnings():
        # skl2onnx writes booleans as integers, which protobuf 7 refuses; hence
        # protobuf<7 in pyproject.toml.
        warnings.filterwarnings(
            "ignore", "Field onnx.AttributeProto.ints", DeprecationWarning
        )
        model = to_onnx(
            fitted,
            initial_types=[(INPUT, FloatTensorType([None, features]))],
            options={id(fitted): options},
        )
    return model, model.graph.output[1].name


def _isotonic(fitted: CalibratedClassifierCV, features: int) -> bytes:
    """Append linear interpolation between the knots, in float64.

    skl2onnx would take the nearest knot.
    """
    (calibrated,) = fitted.calibrated_classifiers_
    (isotonic,) = calibrated.calibrators
    # They are in float32 where the model's own scores are.
    x = isotonic.X_thresholds_.astype(np.float64)
    y = isotonic.y_thresholds_.astype(np.float64)
    model, scores = _convert(calibrated.estimator, features, raw_scores=True)
    constants = {
        "one": np.int64(1),
        "last_axis": np.array([1], dtype=np.int64),
        "low": np.float64(x[0]),
        "high": np.float64(x[-1]),
        "inner": x[1:-1],
        "x": x[:-1],
        "y": y[:-1],
        "slope": np.diff(y) / np.diff(x),
    }
    node = helper.make_node
    tail = [
        node("Gather", [scores, "one"], ["score32"], axis=1),
        node("Cast", ["score32"], ["unclipped"], to=TensorProto.DOUBLE),
        node("Clip", ["unclipped", "low", "high"], ["score"]),
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
        node("Cast", ["probability64"], [OUTPUT], to=TensorProto.FLOAT),
    ]
    return _with_tail(model, tail, constants)


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
