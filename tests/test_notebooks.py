"""The notebooks run from top to bottom in a fresh clone.

They know nothing that the package should know.
"""

import ast
import html
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from churn_service.project import project

ROOT = Path(__file__).parents[1]
CONTRACT = project.contract
COMMITTED = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the notebooks and a small configuration, without a table."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    document = yaml.safe_load((ROOT / "config.yaml").read_text())
    document["data"] |= {
        "path": "data/absent.csv",
        "sample": {"rows": 2000, "random_state": 42},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    return tmp_path


def run_notebook(path: Path) -> list[nbformat.NotebookNode]:
    """Run every cell, and return what the cells showed.

    A cell that raises fails the test with its traceback.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def printed(outputs: list[nbformat.NotebookNode]) -> str:
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def tables(outputs: list[nbformat.NotebookNode]) -> list[str]:
    shown = [output.get("data", {}) for output in outputs]
    return [html.unescape(data["text/html"]) for data in shown if "text/html" in data]


def images(outputs: list[nbformat.NotebookNode]) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_the_table_is_explored_without_a_table_to_read(clone: Path):
    path = clone / "notebooks" / "01_explore.ipynb"

    outputs = run_notebook(path)

    absent = "data/absent.csv is not there"
    simulated = "these are 2,000 simulated customers instead"
    assert f"{absent}; {simulated}" in printed(outputs)
    assert "0 cells break a rule" in printed(outputs)
    assert images(outputs) >= 2
    (dictionary,) = [table for table in tables(outputs) if "meaning" in table]
    # As pandas prints it.
    assert all(
        column.rule.replace("\n", r"\n") in dictionary for column in CONTRACT.columns
    )
    assert all(column.name in dictionary for column in CONTRACT.columns)


def test_training_on_a_table_is_compared_with_the_baseline_and_the_best_possible(
    clone: Path, run
):
    path = clone / "notebooks" / "02_train.ipynb"
    run(clone, "sample")

    outputs = run_notebook(path)

    assert "data/absent.csv: 2,000 customers" in printed(outputs)
    assert any(
        "baseline" in table and "best possible" in table and "roc_auc" in table
        for table in tables(outputs)
    )
    assert re.search(
        r"best on the holdout 0\.\d\d, cost / value \d\.\d\d", printed(outputs)
    )
    assert images(outputs) >= 2


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path):
    notebook = nbformat.read(path, as_version=4)

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_notebook_defines_nothing(path: Path):
    tree = python_of(path)

    definitions = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]

    assert definitions == []


def python_of(path: Path) -> ast.Module:
    cells = nbformat.read(path, as_version=4).cells
    return ast.parse(
        "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    )
