"""What skl2onnx does not convert by itself.

That is an imputer that tells what was missing, and a vote as scikit-learn makes it.
"""

import copy
from typing import Any, Final

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
from skl2onnx.operator_converters.voting_classifier import convert_voting_classifier
from skl2onnx.shape_calculators.imputer import (
    calculate_sklearn_imputer_output_shapes,
)
from skl2onnx.shape_calculators.voting_classifier import (
    voting_classifier_shape_calculator,
)
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer

CLASSIFIER_OPTIONS: Final = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}


def register_converters() -> None:
    """Let skl2onnx export more.

    That is ``SimpleImputer(add_indicator=True)``, and a `VotingClassifier` whatever its
    `flatten_transform` and the type of its weights.
    """
    update_registered_converter(
        SimpleImputer,
        "SkewlessSimpleImputer",
        _imputer_shape,
        _convert_imputer,
        overwrite=True,
    )
    update_registered_converter(
        VotingClassifier,
        "SkewlessVotingClassifier",
        voting_classifier_shape_calculator,
        _convert_vote,
        overwrite=True,
        options=CLASSIFIER_OPTIONS,
    )


def _convert_vote(scope: Any, operator: Any, container: Any) -> None:
    """Convert a copy: `flatten_transform` shapes `transform`, and no probability."""
    vote = operator.raw_operator
    operator.raw_operator = copy.copy(vote)
    operator.raw_operator.flatten_transform = False
    if vote.weights is not None:
        operator.raw_operator.weights = np.asarray(vote.weights)
    before = len(container.initializers)
    convert_voting_classifier(scope, operator, container)
    operator.raw_operator = vote
    # It writes classes that a soft vote does not use; ONNX Runtime would warn of them.
    used = {name for node in container.nodes for name in node.input}
    container.initializers[before:] = [
        each for each in container.initializers[before:] if each.name in used
    ]


def _imputer_shape(operator: Any) -> None:
    imputer = operator.raw_operator
    if imputer.indicator_ is None:
        calculate_sklearn_imputer_output_shapes(operator)
        return
    kept = len(kept_columns(imputer))
    width = kept + len(imputer.indicator_.features_)
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = FloatTensorType([rows, width])


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Write the imputed columns, then a 0 or 1 for each column with an indicator."""
    imputer = operator.raw_operator
    if imputer.indicator_ is None:
        convert_sklearn_imputer(scope, operator, container)
        return
    kept = kept_columns(imputer)
    name = scope.get_unique_variable_name

    def constant(values: Any, kind: int) -> str:
        made: str = name("constant")
        values = np.asarray(values)
        container.add_initializer(made, kind, values.shape, values.ravel().tolist())
        return made

    def node(operation: str, inputs: list[str], **attributes: Any) -> str:
        made: str = name(operation.lower())
        container.add_node(operation, inputs, made, **attributes)
        return made

    whole = operator.inputs[0].full_name
    fill = constant([imputer.statistics_[kept]], TensorProto.FLOAT)
    columns = node("Gather", [whole, constant(kept, TensorProto.INT64)], axis=1)
    filled = node("Where", [node("IsNaN", [columns]), fill, columns])
    places = constant(imputer.indicator_.features_, TensorProto.INT64)
    asked = node("IsNaN", [node("Gather", [whole, places], axis=1)])
    missing = node("Cast", [asked], to=TensorProto.FLOAT)
    container.add_node(
        "Concat", [filled, missing], operator.outputs[0].full_name, axis=1
    )


def kept_columns(imputer: SimpleImputer) -> np.ndarray:
    """Find the columns that an imputer keeps: those with a value to fill in."""
    statistics = imputer.statistics_.astype(np.float64)
    is_kept = ~np.isnan(statistics) | imputer.keep_empty_features
    return np.flatnonzero(is_kept)
