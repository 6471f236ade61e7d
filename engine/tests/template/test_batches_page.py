"""What the page about batches shows is what happens."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from churn_service.api import Prediction
from conftest import ROOT
from own import CONTRACT
from running import serving

PAGE = (ROOT / "docs/service/batches.md").read_text()


@pytest.mark.slow
@pytest.mark.posix
def test_the_pages_client_works_as_it_stands(trained: Path, tmp_path: Path):
    (tmp_path / "record.json").write_text(json.dumps(CONTRACT.example()))
    client = re.search(r"(?ms)^```python\n(.*?)^```$", PAGE)[1]

    with serving(trained) as (url, _):
        said = subprocess.check_output(
            [
                *(sys.executable, "-W", "error", "-c"),
                client.replace("http://127.0.0.1:8000", url),
            ],
            cwd=tmp_path,
            text=True,
        )

    lists = dict(line.split(" ", 1) for line in said.splitlines())
    assert lists.keys() == set(Prediction.__dataclass_fields__)
    assert {cells.count(",") for cells in lists.values()} == {2}


def test_the_pages_two_forms_are_the_same_rows():
    records, columns = map(
        json.loads, re.search(r"(?ms)^```json\n(.*?)^```$", PAGE)[1].splitlines()
    )

    rows = records["customers"]
    assert columns["columns"] == {name: [row[name] for row in rows] for name in rows[0]}
