"""The page on the log shows what works."""

import re
import subprocess
import sys

import pytest

from conftest import ROOT
from skewless.monitoring.postgres_log import PREDICTIONS

PAGE = (ROOT / "docs/monitoring/logging.md").read_text()


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
