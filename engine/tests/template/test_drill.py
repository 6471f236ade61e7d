"""The whole loop, rehearsed for real."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT


@pytest.mark.slow
@pytest.mark.posix
def test_the_drill_goes_as_it_should_and_leaves_nothing_behind(tmp_path: Path):
    environment = os.environ | {  # noqa: TID251 - the child inherits ours
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'engine/src'}",
        "TMPDIR": str(tmp_path),
        "CHURN_REGISTRY_URL": "s3://must-not-be-touched",
    }

    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/drill.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    steps = [
        "exit code 3",
        "concept_drift",
        "yes drift: ",
        "replay: ",
        "answers in place of",
        "rollback production",
    ]
    assert sorted(steps, key=said.index) == steps
    assert "NOT SO" not in said
    assert not list(tmp_path.iterdir())
