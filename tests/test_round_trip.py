"""A trained model is the same after it was written and read again, or trained anew.

It is written by joblib and by ONNX.
"""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skewless import feature_matrix
from skewless.testing import Done, as_columns, records

from churn_service.project import project

CUSTOMERS = st.lists(records(project.contract), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def estimator(version: Path) -> Any:
    return joblib.load(version / "model.joblib")


@pytest.fixture(scope="module")
def session(version: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(version / "model.onnx")


@given(customers=CUSTOMERS)
def test_joblib_and_onnx_give_the_same_probabilities(
    customers: list[Any],
    estimator: Any,
    session: onnxruntime.InferenceSession,
    features: Any,
):
    columns = as_columns(customers, project.contract)
    matrix = feature_matrix(project, columns, features)

    by_joblib = estimator.predict_proba(matrix)[:, 1]
    (by_onnx,) = session.run(None, {session.get_inputs()[0].name: matrix})

    assert np.abs(by_onnx - by_joblib).max() <= 1e-5


def test_training_again_gives_the_same_version(trained: Path, version: Path, run):
    again: Done = run(trained, "train")

    assert again.returncode == 0, again.stderr
    assert [each.name for each in (trained / "models").glob("*-*")] == [version.name]
