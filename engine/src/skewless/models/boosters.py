"""XGBoost and LightGBM: how their models become ONNX, and where their splits are.

Both are extras, so their packages are imported when an estimator of theirs was fitted,
and not before.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import onnx
from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

from skewless.core.errors import NotInstalledError
from skewless.models.tree import UNKNOWN, Tree, round_down

BOOSTERS: Final = ("xgboost", "lightgbm")
BOOSTER_OPSET: Final = {"": 15, "ai.onnx.ml": 3}
"""The newest that onnxmltools writes."""
OPTIONS: Final = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
NEXT_TO_ZERO: Final = 1e-35
CATEGORICAL: Final = 1  # bit of LightGBM's decision_type
# The line of LightGBM's text that holds the thresholds of a tree.
THRESHOLDS: Final = re.compile(r"(?m)^threshold=(.*)$")
# The line with the length of each tree's text; it is read without, too.
SIZES: Final = re.compile(r"(?m)^tree_sizes=.*\n")
CONVERTER: Final = "onnxmltools"


def library_of(estimator: Any) -> str:
    """Name the package that an estimator's class is of, such as ``xgboost``."""
    return type(estimator).__module__.partition(".")[0]


def is_booster(estimator: Any) -> bool:
    """Tell whether an estimator is of one of the two packages."""
    return library_of(estimator) in BOOSTERS


def register_converter(estimator: Any) -> None:
    """Let skl2onnx export an estimator of the two, wherever it sits.

    Raises
    ------
    NotInstalledError
        The converter is not installed.
    """
    try:
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import (  # noqa: PLC0415 - extra
            convert_lightgbm,
        )
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import (  # noqa: PLC0415 - extra
            convert_xgboost,
        )
    except ImportError as error:
        raise not_installed(CONVERTER) from error
    convert = {"lightgbm": convert_lightgbm, "xgboost": convert_xgboost}
    update_registered_converter(
        type(estimator),
        type(estimator).__name__,
        calculate_linear_classifier_output_shapes,
        convert[library_of(estimator)],
        options=OPTIONS,
    )


def not_installed(package: str) -> NotInstalledError:
    """Say which command installs a package of the extra."""
    msg = (
        f"{package} is not installed. `make install EXTRAS=boosters` installs XGBoost "
        "and LightGBM"
    )
    return NotInstalledError(msg)


def ask_for_raw_scores(model: onnx.ModelProto) -> None:
    """Make the trees of a model say log-odds instead of probabilities, in place.

    Their converters have no option for it.
    """
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "post_transform":
                attribute.s = b"NONE"


def xgboost_trees(estimator: Any) -> Iterator[Tree]:
    """Read the trees of an XGBClassifier; it goes left if a value is below."""
    model = json.loads(estimator.get_booster().save_raw("json"))
    booster = model["learner"]["gradient_booster"]
    for tree in booster.get("model", {}).get("trees", []):
        below = np.array(tree["split_conditions"], dtype=np.float32)
        column = np.array(tree["split_indices"], dtype=np.int64)
        is_categorical = np.array(tree["split_type"]) == 1
        yield Tree(
            column=np.where(is_categorical, UNKNOWN, column),
            threshold=np.nextafter(below, np.float32(-np.inf)).astype(np.float64),
            left=np.array(tree["left_children"], dtype=np.int64),
            right=np.array(tree["right_children"], dtype=np.int64),
        )


def lightgbm_trees(estimator: Any) -> Iterator[Tree]:
    """Read the trees of an LGBMClassifier; it goes left if a value is at most that."""
    text = estimator.booster_.model_to_string()
    for part in text.split("\nTree=")[1:]:
        lines = dict(line.split("=", 1) for line in part.splitlines() if "=" in line)
        if lines["num_leaves"] != "1":
            yield _lightgbm_tree(lines)


def _lightgbm_tree(lines: Mapping[str, str]) -> Tree:
    column = _numbers(lines["split_feature"]).astype(np.int64)
    kind = _numbers(lines["decision_type"]).astype(np.int64)
    left = _numbers(lines["left_child"]).astype(np.int64)
    right = _numbers(lines["right_child"]).astype(np.int64)
    leaf = len(column)  # leaves have negative numbers; one more node is all of them
    return Tree(
        column=np.append(np.where(kind & CATEGORICAL, UNKNOWN, column), UNKNOWN),
        threshold=np.append(_numbers(lines["threshold"]), 0.0),
        left=np.append(np.where(left < 0, leaf, left), UNKNOWN),
        right=np.append(np.where(right < 0, leaf, right), UNKNOWN),
    )


def _numbers(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=np.float64)


def round_lightgbm_splits(estimator: Any) -> None:
    """Round every threshold of an LGBMClassifier down to float32, in place."""
    from lightgbm import Booster  # noqa: PLC0415 - extra

    def rounded(line: re.Match[str]) -> str:
        exact = _numbers(line[1])
        thresholds = round_down(exact).astype(np.float64)
        # A value so near to 0 counts as 0 there, and ONNX knows nothing of that.
        thresholds[(exact < 0) & (exact >= -NEXT_TO_ZERO)] = np.nextafter(
            np.float32(-NEXT_TO_ZERO), np.float32(-np.inf)
        )
        return f"threshold={' '.join(map(repr, thresholds.tolist()))}"

    text = THRESHOLDS.sub(rounded, estimator.booster_.model_to_string())
    text = SIZES.sub("", text)
    # There is no public way to replace it.
    estimator._Booster = Booster(model_str=text)  # noqa: SLF001
