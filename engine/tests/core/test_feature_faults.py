"""A slip in features.py is reported with its line and with what to do.

That holds for every road that goes through features.py.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_service.config import FeaturesConfig
from churn_service.schema import Customer
from conftest import ROOT, TABLE
from fields import NUMBERS, field
from own import CONTRACT, PROJECT
from skewless.core.arrays import as_columns
from skewless.core.contract import Columns
from skewless.core.errors import ConfigError
from skewless.core.feature_matrix import FIELDS, OPERATIONS, feature_matrix
from skewless.models.artifact import read_artifact
from skewless.testing import run_command

SLIP = """

import numpy as np
from skewless.core.feature_matrix import one_hot
from churn_service.schema import Customer

_before = add_features


def add_features(customers, features):
    made = _before(customers, features)
    made["slip"] = {slip}
    return made
"""
Refusal = Callable[[str, Any], tuple[str, int]]


def slipped(folder: Path, slip: str) -> tuple[Path, int]:
    """Write the file with a feature more; return it and the line of that feature."""
    path = folder / "features.py"
    path.write_text(
        (ROOT / "src/churn_service/features.py").read_text() + SLIP.format(slip=slip)
    )
    return path, len(path.read_text().splitlines()) - 1


def with_slip(customers: Columns, _: FeaturesConfig) -> dict[str, Any]:
    return {"slip": customers["no_such"]}


@pytest.fixture
def refusal(tmp_path: Path, version: Path) -> Refusal:
    """Make features with a slip in one; return what is said, and its line."""
    knobs = FeaturesConfig(**read_artifact(version).metadata.identity.features)

    def refuse(slip: str, customers: Any) -> tuple[str, int]:
        path, line = slipped(tmp_path, slip)
        spec = spec_from_file_location("slipped_features", path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        with pytest.raises(ConfigError) as refused:
            feature_matrix(
                replace(PROJECT, features=module.add_features), customers, knobs
            )
        assert refused.value.__cause__ is not None
        return str(refused.value), line

    return refuse


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """Return two customers as they are scored."""
    return as_columns([Customer(**CONTRACT.example())] * 2, CONTRACT)


@pytest.mark.parametrize(
    ("slip", "said", "advice"),
    [
        ('customers["tenure_mnoths"]', "KeyError: 'tenure_mnoths'", FIELDS),
        (
            'customers["NUMBER"].fillna(0)',
            "AttributeError: 'numpy.ndarray'",
            OPERATIONS,
        ),
        ('"1" + 1', "TypeError: can only concatenate str", OPERATIONS),
        (
            'customers["NUMBER"] + np.ones(3)',
            "ValueError: operands could not be broadcast",
            OPERATIONS,
        ),
        ("1 / 0", "ZeroDivisionError: division by zero", OPERATIONS),
        (
            'one_hot(customers, "no_such", Customer)',
            "schema.py: no_such is not a category",
            "",
        ),
    ],
)
def test_a_line_that_fails_is_named_with_what_to_do(
    refusal: Refusal, arrays: dict[str, np.ndarray], slip: str, said: str, advice: str
):
    slip = slip.replace("NUMBER", field(*NUMBERS).name)

    message, line = refusal(slip, arrays)

    assert message.startswith(f"features.py: {said}")
    assert f'; line {line}: made["slip"] = {slip}' in message
    assert message.endswith(advice)
    assert "\n" not in message


def test_a_misspelt_column_of_a_data_frame_is_named_alike(
    refusal: Refusal, arrays: dict[str, np.ndarray]
):
    message, line = refusal('customers["no_such"]', pd.DataFrame(arrays))

    assert message.startswith(f"features.py: KeyError: 'no_such'; line {line}: ")


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        (
            'np.array(["basic"] * 2)',
            "features.py: slip must be numbers; a category needs one_hot",
        ),
        (
            "1.0",
            (
                "features.py: slip of shape (); "
                "every feature has one value per record, (2,)"
            ),
        ),
        (
            "np.ones(3)",
            (
                "features.py: slip of shape (3,); "
                "every feature has one value per record, (2,)"
            ),
        ),
    ],
)
def test_a_feature_that_is_no_number_per_record_is_named(
    refusal: Refusal, arrays: dict[str, np.ndarray], slip: str, said: str
):
    message, _ = refusal(slip, arrays)

    assert message == said


def test_a_forgotten_return_is_told(refusal: Refusal, arrays: dict[str, np.ndarray]):
    message, _ = refusal("0\n    return None", arrays)

    assert (
        message == "features.py: add_features returns NoneType, not a dict of features"
    )


def test_train_score_and_evaluate_end_with_the_line_and_no_trace(
    trained: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(trained, tmp_path / "project"))
    said = (
        "KeyError: 'no_such'; line {line}: "
        'return {{"slip": customers["no_such"]}}. A column must be'
    )
    said = said.format(line=with_slip.__code__.co_firstlineno + 1)
    project = replace(PROJECT, features=with_slip)

    done = [
        run_command(project, folder, *words)
        for words in (["train"], ["score", TABLE, "out.csv"], ["evaluate"])
    ]

    assert [each.returncode for each in done] == [2, 3, 3]
    assert [said in each.stderr for each in done] == [True] * 3
