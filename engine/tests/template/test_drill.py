"""The whole loop, rehearsed for real."""

from pathlib import Path

import pytest

from running import rehearse


@pytest.mark.slow
@pytest.mark.posix
def test_the_drill_goes_as_it_should_and_leaves_nothing_behind(tmp_path: Path):
    done = rehearse("drill.py", tmp_path)

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
