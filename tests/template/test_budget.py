"""The repository can be read in an evening: short files, few lines of code, few keys."""

import ast
import io
import runpy
import tokenize
from collections.abc import Collection
from pathlib import Path

import yaml

from conftest import ROOT

OWNERS = {"schema.py", "features.py"}  # as long as the owner's table is wide
SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if path.name not in OWNERS)
FLOORS = runpy.run_path(str(ROOT / "scripts/floors.py"))
UPPER_FLOORS = {
    Path(name).name for files in FLOORS["FILES"].values() for name in files if name.startswith("src/")
}
SILENT = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER"}


def lines_of_code(path: Path, absent: Collection[str] = ()) -> int:
    """Count the lines of present floors that are neither blank nor only comment, docstring or import."""
    source = FLOORS["cut"](path.read_text(), set(absent))
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if tokenize.tok_name[token.type] not in SILENT
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        value = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
        is_docstring = isinstance(value, ast.Constant) and isinstance(value.value, str)
        if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
            code -= set(range(node.lineno, node.end_lineno + 1))
    return len(code)


def is_first_floor(path: Path) -> bool:
    return not UPPER_FLOORS & set(path.relative_to(ROOT / "src/churn_service").parts)


def is_third_floor(path: Path) -> bool:
    name = str(path.relative_to(ROOT))
    return any(name == other or name.startswith(f"{other}/") for other in FLOORS["FILES"]["monitored"])


def count_keys(section: object) -> int:
    return sum(count_keys(value) for value in section.values()) if isinstance(section, dict) else 1


def test_no_file_is_longer_than_200_lines():
    assert [path.name for path in SOURCES if len(path.read_text().splitlines()) > 200] == []


def test_the_floors_keep_their_budgets():
    first = sum(lines_of_code(path, FLOORS["FILES"]) for path in SOURCES if is_first_floor(path))

    assert first <= 3_060
    assert sum(lines_of_code(path, ["monitored"]) for path in SOURCES if not is_third_floor(path)) <= 5_190
    assert sum(map(lines_of_code, SOURCES)) <= 7_490


def test_the_configuration_has_few_keys():
    assert count_keys(yaml.safe_load((ROOT / "config.yaml").read_text())) <= 60


def test_docstrings_comments_imports_and_blank_lines_do_not_count(tmp_path: Path):
    path = tmp_path / "module.py"
    path.write_text(
        '"""Say."""\n\nimport os\n\n# why\nx = 1\n\n'  # one line of code
        'def f():\n    """Say\n\n    more.\n    """\n    return x\n'  # two
    )

    assert lines_of_code(path) == 3
