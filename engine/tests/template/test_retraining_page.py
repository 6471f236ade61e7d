"""The page on retraining names what there is.

The workflow sleeps until it is told to work.
"""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, copy_makefiles
from skewless.core.sections import RetrainConfig

PAGE = (ROOT / "docs/monitoring/retraining.md").read_text()
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/retrain.yml").read_text())
STEPS = WORKFLOW["jobs"]["retrain"]["steps"]
REPORT = """#!/bin/sh
echo "$*" > asked
exit %d
"""


def test_every_knob_is_explained():
    assert {f"retrain.{name}" for name in RetrainConfig.model_fields} <= set(
        re.findall(r"retrain\.\w+", PAGE)
    )


def test_every_page_it_points_to_is_there():
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs/monitoring" / link).exists(), link


def test_the_workflow_does_nothing_until_the_repository_says_that_it_is_operated():
    assert {job["if"] for job in WORKFLOW["jobs"].values()} == {
        "vars.OPERATED == 'true'"
    }
    assert WORKFLOW["permissions"] == {}
    assert "make retrain" in STEPS[-3]["run"]


@pytest.fixture
def collect(tmp_path: Path):
    """Run the step that collects what the pull request holds."""

    def collected(said: str, report: int = 0) -> subprocess.CompletedProcess[str]:
        command = tmp_path / ".venv/bin/churn-service"
        command.parent.mkdir(parents=True)
        command.write_text(REPORT % report)
        command.chmod(0o755)
        python = command.with_name("python")  # make asks it whether it works
        python.write_text("#!/bin/sh\n")
        python.chmod(0o755)
        copy_makefiles(tmp_path)
        (tmp_path / "engine").mkdir()
        wanted = (
            "requirements-dev.lock",
            "requirements-uv.lock",
            "pyproject.toml",
            "engine/pyproject.toml",
        )
        for name in (*wanted, ".venv/.locked", ".venv/.installed"):
            (tmp_path / name).touch()  # so make finds everything installed
        (tmp_path / "retrain.txt").write_text(said)
        environment = {"PATH": "/usr/bin:/bin", "GITHUB_OUTPUT": "output"}
        words = ["bash", "-eo", "pipefail", "-c", STEPS[-2]["run"]]
        return subprocess.run(
            words,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return collected


@pytest.mark.posix
# make says 2 of any failure
@pytest.mark.parametrize(("report", "code"), [(0, 0), (3, 0), (1, 2)])
def test_the_pull_request_holds_the_record_and_the_report(
    tmp_path: Path, collect, report: int, code: int
):
    (tmp_path / "a.json").write_text("{}")

    done = collect(
        f"0.1.0-a answers\nstaging: x\nrecord: {tmp_path / 'a.json'}\n", report
    )

    assert done.returncode == code, done.stderr
    assert (tmp_path / "reports/retrain/a.json").exists()
    assert (
        tmp_path / "asked"
    ).read_text() == "report reports/retrain/a.html --version 0.1.0-a\n"
    assert (tmp_path / "output").exists() == (code == 0)


@pytest.mark.posix
def test_without_a_record_there_is_no_pull_request(tmp_path: Path, collect):
    done = collect("nothing to do\n")

    assert (
        done.returncode,
        (tmp_path / "output").exists(),
        (tmp_path / "reports").exists(),
    ) == (
        0,
        False,
        False,
    )
