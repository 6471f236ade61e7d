"""What README shows is what happens."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from fields import shown_record
from own import CONTRACT
from running import serving

README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, run) -> Path:
    """Return a project as `make run` would prepare it.

    It has the committed configuration.
    """
    folder = tmp_path_factory.mktemp("real")
    document = yaml.safe_load((ROOT / "config.yaml").read_text())
    # never the table that the owner named
    document["data"]["path"] = "data/simulated.csv"
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    shutil.copy(ROOT / "requirements-dev.lock", folder)
    for command in ("sample", "train"):
        assert run(folder, command).returncode == 0
    return folder


def block(language: str) -> str:
    """Return the last block of a language that README shows."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", README)[-1]


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("curl")
def test_the_readmes_request_gets_the_readmes_answer(real: Path):
    shown = json.loads(block("json"))
    curl = re.search(r"(?m)^curl .*/predict .*$", README)[0].replace(
        ".venv/bin/churn-service", f"{sys.executable} -m churn_service"
    )

    with serving(real) as (url, _):
        said = subprocess.check_output(
            ["bash", "-c", curl.replace("http://127.0.0.1:8000", url)], text=True
        )

    answer = json.loads(said)
    assert answer.keys() == shown.keys()
    assert answer["churn_probability"] == pytest.approx(
        shown["churn_probability"], abs=1e-6
    )
    assert (answer["churn_prediction"], answer["risk_tier"]) == (
        shown["churn_prediction"],
        shown["risk_tier"],
    )


def test_the_readmes_record_is_the_example():
    assert shown_record() == CONTRACT.example()


@pytest.mark.posix
@pytest.mark.slow
def test_the_readmes_python_client_works_as_it_stands(real: Path, tmp_path: Path):
    (tmp_path / "customer.json").write_text(json.dumps(CONTRACT.example()))
    with serving(real) as (url, _):
        client = block("python").replace("http://127.0.0.1:8000", url)
        said = subprocess.check_output(
            [sys.executable, "-W", "error", "-c", client], cwd=tmp_path, text=True
        )

    tier, version = said.split()
    assert tier in {"LOW", "MEDIUM", "HIGH"}
    assert (real / "models" / version).is_dir()
