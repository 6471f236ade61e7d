"""What a project may use of the engine, and that it uses nothing else."""

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT

PUBLIC = {
    "skewless": [
        "DAY",
        "NO_CONTROLS",
        "WHOLE",
        "BaseConfig",
        "Columns",
        "Metrics",
        "ModelSection",
        "Project",
        "Record",
        "Search",
        "Section",
        "TableError",
        "TableFormat",
        "Training",
        "calibration",
        "feature_matrix",
        "one_hot",
    ],
    "skewless.cli": ["run"],
    "skewless.monitoring": ["connect"],
    "skewless.notebook": [
        "Url",
        "beside_references",
        "check_table",
        "column_importances",
        "compare",
        "draw_calibration",
        "draw_campaign_value",
        "draw_distribution",
        "draw_roc",
        "draw_target_by_column",
        "find_faults",
        "is_holdout",
        "load_predictor",
        "log_or_simulate",
        "measure",
        "open_predictor",
        "open_registry",
        "open_workspace",
        "probabilities_of",
        "read_or_simulate",
        "read_split",
        "read_table",
        "simulate",
        "train_version",
        "typed",
        "write_table",
    ],
    "skewless.serving": [
        "FROM_COLUMNS",
        "FROM_RECORDS",
        "TO_COLUMNS",
        "Answer",
        "Model",
        "OneField",
        "RiskTier",
        "ServedModel",
        "create_app",
        "load_model",
    ],
    "skewless.testing": [
        "Done",
        "as_columns",
        "as_scalars",
        "connect",
        "ids",
        "make_project",
        "open_workspace",
        "payloads",
        "records",
        "run_command",
        "values",
    ],
}
SOURCES = [
    path
    for pattern in (
        "src/**/*.py",
        "tests/**/*.py",
        "examples/*.py",
        "notebooks/*.ipynb",
    )
    for path in ROOT.glob(pattern)
]


def code_of(path: Path) -> str:
    """Return the code of a file; of a notebook, that of its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join(
        "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"
    )


def used(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the engine's modules and names that a file of the project imports."""
    for node in ast.walk(ast.parse(code_of(path))):
        if isinstance(node, ast.ImportFrom) and re.match(
            r"skewless\b", node.module or ""
        ):
            yield from ((node.module, alias.name) for alias in node.names)
        if isinstance(node, ast.Import):
            yield from (
                (alias.name, "")
                for alias in node.names
                if re.match(r"skewless\b", alias.name)
            )


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_these_and_each_is_there(module: str):
    found = importlib.import_module(module)

    assert sorted(found.__all__) == sorted(PUBLIC[module])
    assert [name for name in found.__all__ if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_the_project_uses_only_public_names(path: Path):
    assert [each for each in used(path) if each[1] not in PUBLIC.get(each[0], [])] == []


def test_the_project_uses_the_engine_and_this_test_sees_it():
    assert {module for path in SOURCES for module, _ in used(path)} >= {
        "skewless",
        "skewless.serving",
    }
