"""The template works for tables that it was not written for, and only the files that know a table change.

Each table goes the whole way in a copy of the project: adopt, check, test, train, serve, predict, drift,
card. `pytest -s` prints what is worth keeping, as rows of a table.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from conftest import ROOT
from fields import KNOW_THE_TABLE
from other_tables import OTHERS, Other
from running import ask, serving

pytestmark = [pytest.mark.slow, pytest.mark.posix]

COMMAND = ["-m", "churn_service"]
CHECKS = [
    ["-m", "ruff", "check"],
    ["-m", "ruff", "format", "--check"],
    ["-m", "mypy"],
    ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
    ["-m", "deptry", "."],
    ["-m", "check_jsonschema", "--schemafile", "config.schema.json", "config.yaml"],
]
OWNERS = "tests"  # what the owner of a table has
ANSWERS = ["tests/serving/test_api.py", "tests/serving/test_json.py"]
WATCHED = ["tests/monitoring/test_drift_job.py", "tests/lifecycle/test_retrain.py"]
OFFLINE = [f"tests/{name}" for name in ("core", "tables", "models", "registry", "training", "scoring", "cli")]
FAST = [
    *((name, OWNERS, []) for name in ("wide", "texts", "tiny", "dates")),
    *((name, "offline", OFFLINE) for name in ("wide", "texts", "dates")),
    ("tiny", "offline and answers", [*OFFLINE, *ANSWERS]),
    ("wide", "serving", ["tests/serving"]),
    ("wide", "monitoring", ["tests/monitoring", "tests/lifecycle"]),
    ("texts", "answers", ANSWERS),
    ("dates", "answers and monitoring", [*ANSWERS, *WATCHED]),
]
SPLIT = """
import sys
from pathlib import Path
from skewless.tables.faults import check_table
from churn_service.project import project
from skewless.tables.split import is_holdout
from skewless.tables.table import read_table
from skewless.core.workspace import open_workspace
data, contract = open_workspace(project, Path("config.yaml")).config.data, project.contract
table = check_table(read_table(Path(data.path), contract, data.format), contract)
held_out = is_holdout(table[contract.id], fraction=data.holdout_fraction, salt=data.holdout_salt)
table = table.assign(held_out=held_out, outcome=table[contract.target])
table[["held_out", "outcome"]].to_csv(sys.stdout, index=False)
"""
REFERENCE_KNOBS = ("random_state", "learning_rate", "max_iter", "max_leaf_nodes")
REFERENCE_KNOBS += ("min_samples_leaf", "l2_regularization")


@dataclass(frozen=True)
class Copy:
    """A copy of the project, with a table in its data folder."""

    folder: Path
    other: Other

    @property
    def table(self) -> str:
        return f"data/{self.other.file}"

    @property
    def environment(self) -> dict[str, str]:
        sources = f"{self.folder / 'src'}:{self.folder / 'engine/src'}"
        return {**os.environ, "PYTHONPATH": sources, "OMP_NUM_THREADS": "1"}  # noqa: TID251 - the child inherits ours

    def run(self, *words: str, code: int = 0, below: str = ".") -> str:
        """Run Python here, or in a folder below; ask for its exit code, return what it says."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder / below,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{' '.join(words)}\n{done.stdout[-9000:]}\n{done.stderr[-9000:]}"
        return done.stdout

    def adopt(self) -> str:
        return self.run("scripts/adopt.py", self.table, *self.other.words)

    def changed(self) -> list[str]:
        """Name the files that git sees as changed or new."""
        said = subprocess.check_output(["git", "status", "--porcelain", "-uall"], cwd=self.folder, text=True)
        return sorted(line[3:] for line in said.splitlines())


def named(name: str) -> Other:
    (other,) = (each for each in OTHERS if each.name == name)
    return other


def copy(other: Other, folder: Path) -> Copy:
    """Copy what git knows of the project, as a clone would, and write the table."""
    for name in subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "Begin"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "data").mkdir(exist_ok=True)
    made = Copy(folder, other)
    other.write(other.rows(), folder / made.table)
    return made


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Copy:
    return copy(request.param, tmp_path / "project")


def all_tables(names: Sequence[str] = ()) -> pytest.MarkDecorator:
    kept = [each for each in OTHERS if each.name in (names or {each.name})]
    return pytest.mark.parametrize("project", kept, ids=lambda each: each.name, indirect=True)


def reference_auc(project: Copy) -> float:
    """Fit a plain model on dummies of the same rows, told apart by the same split; its AUC on the holdout."""
    rows, other = project.other.rows(), project.other
    split = pd.read_csv(project.folder / "split.csv")
    columns = rows.drop(columns=[other.target, *([other.id] if other.id else [])])
    for name in columns:
        if columns[name].dtype.kind == "M":
            columns[name] = columns[name].astype("int64").where(columns[name].notna()).astype(float)
        elif columns[name].dtype == object:
            columns[name] = columns[name].infer_objects()
    few = [
        name
        for name in columns
        if columns[name].nunique() <= len(rows) / 2 or columns[name].dtype.kind in "if"
    ]
    matrix = pd.get_dummies(columns[few]).astype(float).to_numpy(np.float32)
    outcomes, held_out = (rows[other.target] == other.positive).to_numpy(), split["held_out"].to_numpy()
    assert (outcomes == split["outcome"].astype(bool)).all()
    knobs = yaml.safe_load((project.folder / "config.yaml").read_text())["model"]
    model = HistGradientBoostingClassifier(
        early_stopping=False, **{name: knobs[name] for name in REFERENCE_KNOBS}
    ).fit(matrix[~held_out], outcomes[~held_out])
    return float(roc_auc_score(outcomes[held_out], model.predict_proba(matrix[held_out])[:, 1]))


@all_tables()
def test_another_table_goes_from_its_file_to_a_served_model_and_only_what_knows_a_table_changes(
    project: Copy,
):
    started = time.monotonic()
    project.adopt()
    project.run(*COMMAND, "train")
    example = json.loads(project.run(*COMMAND, "example"))
    command = ["env", *(f"{name}={project.environment[name]}" for name in ("PYTHONPATH",))]
    with serving(project.folder, command=[*command, sys.executable, *COMMAND, "serve"]) as (url, _):
        answer = ask(f"{url}/predict", example)
        seconds = time.monotonic() - started
        fields = [field["name"] for field in ask(f"{url}/model")["fields"]]

    (version,) = (project.folder / "models").glob("*-*")
    card, metadata = (version / "card.md").read_text(), json.loads((version / "metadata.json").read_text())
    assert answer["model_version"] == version.name
    assert 0 < answer["churn_probability"] < 1
    assert [name for name in fields if f"`{name}`" not in card] == []
    assert "The table is the simulator's" not in card
    assert json.loads(project.run(*COMMAND, "drift", "--json"))["rows"] == 1

    changed = [Path(name).name for name in project.changed()]
    assert set(project.changed()) <= KNOW_THE_TABLE
    (project.folder / "split.csv").write_text(project.run("-c", SPLIT))
    auc, plain = metadata["metrics"]["model"]["roc_auc"], reference_auc(project)
    assert auc == pytest.approx(plain, abs=0.01)
    print(f"\n| {project.other.name} | {seconds:.0f} s | {', '.join(changed)} | {auc:.4f} | {plain:.4f} |")  # noqa: T201 - see above


@all_tables()
def test_the_checks_are_quiet_about_another_table(
    project: Copy, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "mypy"))  # of all tables
    project.adopt()

    for words in CHECKS:
        project.run(*words)


@pytest.mark.parametrize(
    ("project", "where", "words"),
    [(named(name), where, words) for name, where, words in FAST],
    ids=[f"{name}-{where}" for name, where, _ in FAST],
    indirect=["project"],
)
def test_all_tests_pass_with_another_table(project: Copy, where: str, words: list[str]):
    project.adopt()
    add = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "-qam", "Adopt"]
    subprocess.run(add, cwd=project.folder, check=True)

    pytest_quietly = ["-m", "pytest", "-q", "-n", "2"]
    if where == OWNERS:
        said = project.run(*pytest_quietly, OWNERS)
    else:
        said = project.run(*pytest_quietly, "-m", "not slow", *words, below="engine")

    print(f"\n| {project.other.name} | {' '.join(words)} | {said.splitlines()[-1]} |")  # noqa: T201 - see above
