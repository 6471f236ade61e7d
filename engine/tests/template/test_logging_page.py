"""The page on the log shows what works."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import ROOT
from remembered import line, log_file
from skewless.monitoring.postgres_log import PREDICTIONS

PAGE = (ROOT / "docs/monitoring/logging.md").read_text()


def test_the_example_reads_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    now = datetime.now(UTC).replace(second=0)
    log_file(
        tmp_path / "predictions", line(0, now), line(1, now), day=now.date().isoformat()
    )
    monkeypatch.chdir(tmp_path)

    example = re.search(r"(?ms)^```python\n(.*?)^```$", PAGE)[1]
    exec(example, {})  # noqa: S102 - the page's own words

    assert capsys.readouterr().out == "0.0005 2 0\n"


def test_every_column_of_the_table_is_named():
    assert {column.name for column in PREDICTIONS.c} <= set(
        re.findall(r"`(\w+)`", PAGE)
    )


@pytest.mark.parametrize("command", re.findall(r"\$ churn-service (log \w+)", PAGE))
@pytest.mark.slow
def test_every_command_is_there(command: str):
    said = subprocess.check_output(
        [sys.executable, "-m", "churn_service", *command.split(), "--help"],
        text=True,
    )

    assert f"Example: {command}" in said
