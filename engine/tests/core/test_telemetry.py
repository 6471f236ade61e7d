"""Nobody is told who is scored."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_telemetry_of_libraries_is_off_before_they_are_imported():
    code = (
        "import sys, churn_service.project, os;"
        "assert 'onnxruntime' not in sys.modules;"
        "assert 'mlflow' not in sys.modules;"
        "print(os.environ['ORT_DISABLE_TELEMETRY']);"
        "print(os.environ['MLFLOW_DISABLE_TELEMETRY'])"
    )

    said = subprocess.check_output([sys.executable, "-c", code], env={}, text=True)

    assert said.split() == ["1", "true"]
