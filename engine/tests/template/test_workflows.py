"""What GitHub Actions run is what runs here: make targets.

The exception is what reaches other machines.
"""

import re

import pytest
import yaml

from conftest import MAKEFILES, ROOT

WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text())
    for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
}
JOBS = [
    (name, job)
    for name, workflow in WORKFLOWS.items()
    for job in workflow["jobs"].values()
]
TARGETS = {
    name
    for path in MAKEFILES
    for name in re.findall(r"(?m)^([a-z-]+):.*## ", path.read_text())
}


STEP = re.compile(
    r"(?:sudo )?make (?P<targets>[a-z-]+(?: [a-z-]+)*)(?: [A-Z_]+=\S+)*(?: # .*)?"
)


def commands(job: dict) -> list[str]:
    """List what a job runs, without what needs the internet; of a matrix, each case."""
    said = [
        step["run"] for step in job["steps"] if "run" in step and not is_online(step)
    ]
    cases = job.get("strategy", {}).get("matrix", {})
    for name, values in cases.items():
        said = [
            run.replace(f"${{{{ matrix.{name} }}}}", str(value))
            for run in said
            for value in values
        ]
    return said


def is_online(step: dict) -> bool:
    return step.get("name", "").startswith("online: ")


def test_every_step_is_a_target_of_make_or_says_that_it_needs_the_internet():
    for name, job in JOBS:
        if "ubuntu" in job["runs-on"]:
            for command in commands(job):
                asked = STEP.fullmatch(command)
                assert asked, f"{name}: {command}"
                assert set(asked["targets"].split()) <= TARGETS, f"{name}: {command}"


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_a_workflow_may_do_nothing_but_what_a_job_says(name: str):
    assert WORKFLOWS[name]["permissions"] == {}
    for job in WORKFLOWS[name]["jobs"].values():
        assert job["permissions"]
        assert job["timeout-minutes"] <= 60
