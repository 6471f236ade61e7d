"""Nobody is told who is scored."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_runtimes_telemetry_is_off_before_the_runtime_is_imported():
    code = (
        "import sys, churn_service.project, os;"
        "assert 'onnxruntime' not in sys.modules;"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )

    said = subprocess.check_output([sys.executable, "-c", code], env={}, text=True)

    assert said.strip() == "1"
