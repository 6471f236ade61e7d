"""A clone takes tables that it was not written for.

Only the files that know a table change.

Each is adopted in a copy of the project, and goes the whole way there: check, test,
train, serve, drift. What the engine makes of many tables is `test_small_projects`.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ROOT
from fields import KNOW_THE_TABLE
from made import WITHOUT_NOTEBOOKS, bring_mypy_cache, environment_of
from other_tables import OTHERS, Other
from running import ask, serving

pytestmark = [pytest.mark.slow, pytest.mark.posix]

COMMAND = ["-m", "churn_service"]
CHECKS = [
    ["-m", "ruff", "check"],
    ["-m", "ruff", "format", "--check"],
    ["-m", "mypy"],
    [
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ],
    ["-m", "deptry", "."],
    ["-m", "check_jsonschema", "--schemafile", "config.schema.json", "config.yaml"],
]


@dataclass(frozen=True)
class Copy:
    """A copy of the project, with a table in its data folder."""

    folder: Path
    other: Other

    @property
    def table(self) -> str:
        return f"data/{self.other.file}"

    def run(self, *words: str) -> str:
        """Run Python here; it must succeed. Return what it says."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment_of(self.folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(words)}\n{done.stdout[-9000:]}\n{done.stderr[-9000:]}"
        )
        return done.stdout

    def changed(self) -> set[str]:
        """Name the files that git sees as changed or new, and not as removed."""
        said = subprocess.check_output(
            ["git", "status", "--porcelain", "-uall"], cwd=self.folder, text=True
        )
        return {line[3:] for line in said.splitlines() if line[:2] != " D"}


def copy(other: Other, folder: Path) -> Copy:
    """Copy what git knows of the project, as a clone would, and write the table."""
    for name in subprocess.check_output(
        ["git", "ls-files"], cwd=ROOT, text=True
    ).splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "Begin"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "data").mkdir(exist_ok=True)
    made = Copy(folder, other)
    other.write(other.rows(), folder / made.table)
    return made


@pytest.fixture(scope="module", params=OTHERS, ids=lambda each: each.name)
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Copy:
    """Return a copy that a table was adopted in; what runs in it may add to it."""
    made = copy(request.param, tmp_path_factory.mktemp(request.param.name) / "project")
    made.run("scripts/adopt.py", made.table, *made.other.words)
    return made


def test_the_checks_are_quiet_about_another_table(project: Copy):
    bring_mypy_cache(project.folder)
    for words in CHECKS:
        project.run(*words)


def test_the_owners_tests_pass_with_another_table_and_only_what_knows_a_table_changes(
    project: Copy,
):
    changed = project.changed()
    words = [] if project.other.name == "wide" else WITHOUT_NOTEBOOKS

    project.run("-m", "pytest", "-q", *words)

    assert changed <= KNOW_THE_TABLE
    assert project.changed() == changed


def test_another_table_goes_from_its_file_to_a_served_model(project: Copy):
    project.run(*COMMAND, "train")
    example = json.loads(project.run(*COMMAND, "example"))
    command = [
        "env",
        f"PYTHONPATH={environment_of(project.folder)['PYTHONPATH']}",
        sys.executable,
        *COMMAND,
        "serve",
    ]

    with serving(project.folder, command=command) as (url, _):
        answer = ask(f"{url}/predict", example)
        fields = [field["name"] for field in ask(f"{url}/model")["fields"]]

    (version,) = (project.folder / "models").glob("*-*")
    card = (version / "card.md").read_text()
    assert answer["model_version"] == version.name
    assert 0 < answer["churn_probability"] < 1
    assert [name for name in fields if f"`{name}`" not in card] == []
    assert "The table is the simulator's" not in card
    assert json.loads(project.run(*COMMAND, "drift", "--json"))["rows"] == 1
