"""The notebooks run from top to bottom in a fresh clone.

They know nothing that the package should know.
"""

import ast
import html
import json
import re
from pathlib import Path

import pytest

from churn_service.project import project

ROOT = Path(__file__).parents[1]
CONTRACT = project.contract
COMMITTED = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(path: Path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def tables(outputs: list) -> list[str]:
    shown = [output.get("data", {}) for output in outputs]
    return [html.unescape(data["text/html"]) for data in shown if "text/html" in data]


def images(outputs: list) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_the_table_is_explored_without_a_table_to_read(notebooks: Path, run_notebook):
    printed, outputs = run_notebook(notebooks / "01_explore.ipynb")

    absent = "data/absent.csv is not there"
    simulated = "these are 2,000 simulated customers instead"
    assert f"{absent}; {simulated}" in printed
    assert "0 cells break a rule" in printed
    assert images(outputs) >= 2
    (dictionary,) = [table for table in tables(outputs) if "meaning" in table]
    # As pandas prints it.
    assert all(
        column.rule.replace("\n", r"\n") in dictionary for column in CONTRACT.columns
    )
    assert all(column.name in dictionary for column in CONTRACT.columns)


def test_training_on_a_table_is_compared_with_the_baseline_and_the_best_possible(
    notebooks: Path, run, run_notebook
):
    run(notebooks.parent, "sample")

    printed, outputs = run_notebook(notebooks / "02_train.ipynb")

    assert "data/absent.csv: 2,000 customers" in printed
    assert any(
        "baseline" in table and "best possible" in table and "roc_auc" in table
        for table in tables(outputs)
    )
    assert any("logistic_regression" in table for table in tables(outputs))
    assert re.search(r"best on the holdout 0\.\d\d, cost / value \d\.\d\d", printed)
    assert images(outputs) >= 4


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path):
    code = code_cells(path)

    assert code
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_notebook_defines_nothing(path: Path):
    code = "\n".join("".join(cell["source"]) for cell in code_cells(path))

    definitions = [
        node.name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]

    assert definitions == []
