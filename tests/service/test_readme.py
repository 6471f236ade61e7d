"""What README shows is what happens."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from churn_service.contract import example
from churn_service.schema import ID
from conftest import ROOT
from running import serving


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, run) -> Path:
    """Return a project with the committed configuration, as `make run` would prepare it."""
    folder = tmp_path_factory.mktemp("real")
    document = yaml.safe_load((ROOT / "config.yaml").read_text())
    document["data"]["path"] = "data/simulated.csv"  # never the table that the owner named
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    shutil.copy(ROOT / "requirements-dev.lock", folder)
    for command in ("sample", "train"):
        assert run(folder, command).returncode == 0
    return folder


def block(language: str) -> str:
    readme = (ROOT / "README.md").read_text()
    return re.search(rf"(?ms)^```{language}\n(.*?)^```$", readme)[1]


def shows_this_table() -> bool:
    """Tell whether the customer that README asks about is one of the project's, or the template's own."""
    shown = re.search(r"(?s)^customer = ({.*?})$", block("python"), re.MULTILINE)[1]
    return ast.literal_eval(shown).keys() == example().keys() - {ID}


pytestmark = pytest.mark.skipif(not shows_this_table(), reason="README shows the template's own table")


@pytest.mark.posix
@pytest.mark.needs("curl")
def test_the_readmes_request_gets_the_readmes_answer(real: Path):
    shown = json.loads(block("json"))
    command = f"{sys.executable} -m churn_service"
    curl = block("bash").replace(".venv/bin/churn-service", command)

    with serving(real) as (url, _):
        said = subprocess.check_output(["bash", "-c", curl.replace("http://127.0.0.1:8000", url)], text=True)

    answer = json.loads(said)
    assert answer.keys() == shown.keys()
    assert answer["churn_probability"] == pytest.approx(shown["churn_probability"], abs=1e-6)
    assert (answer["churn_prediction"], answer["risk_tier"]) == (
        shown["churn_prediction"],
        shown["risk_tier"],
    )


@pytest.mark.posix
def test_the_readmes_python_client_works_as_it_stands(real: Path):
    with serving(real) as (url, _):
        client = block("python").replace("http://127.0.0.1:8000", url)
        said = subprocess.check_output([sys.executable, "-W", "error", "-c", client], text=True)

    tier, version = said.split()
    assert tier in {"LOW", "MEDIUM", "HIGH"}
    assert (real / "models" / version).is_dir()
