"""Only the contract, its features and their settings know the table.

No other file names a column. Names come from whatever contract is in place. In a
project with a table of its own a column may be called what the code calls something
else (`version`, `latency_ms`), so only names are looked for there that no code defines
and that are no plain words.
"""

import ast
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

from churn_service.config import FeaturesConfig
from churn_service.features import add_features
from conftest import ROOT
from fields import KNOW_THE_TABLE, is_default
from own import CONTRACT, PROJECT
from skewless.core.arrays import as_scalars
from skewless.core.config_file import load_config

OF_THE_DEFAULT = {"README.md", "CHANGELOG.md"}  # its own documentation
# They speak of what an owner's table may call things, and of the id's name in JSON.
OF_ANY_TABLE = (
    "docs/adopting.md",
    "docs/from-your-notebook.md",
    "docs/template.md",
    "scripts/nouns.py",
    "scripts/adoption/",
    "engine/tests/adopt/test_adopt.py",
)
# tables that may be like an owner's
MAKE_UP_TABLES = ("tests/template/", "scripts/", "docs/")
TRACKED = sorted(
    set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines())
    - KNOW_THE_TABLE
    - OF_THE_DEFAULT
)
FILES = [
    name
    for name in TRACKED
    if not name.endswith(".lock")
    and not name.startswith(OF_ANY_TABLE)
    and (is_default() or not name.startswith(MAKE_UP_TABLES))
]


def names_of_the_table() -> set[str]:
    """Name columns, features and the features' settings."""
    config = load_config(ROOT / "config.yaml", PROJECT)
    made = add_features(
        as_scalars(PROJECT.record(**CONTRACT.example()), CONTRACT), config.features
    )
    return {
        CONTRACT.id,
        CONTRACT.target,
        *CONTRACT.table.headers.values(),
        *(column.name for column in CONTRACT.columns),
        *made,
        *FeaturesConfig.model_fields,
    }


def defined(tree: ast.AST) -> set[str]:
    """Name what a module gives a name to: functions, classes, parameters, variables."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                found.add(name)
            case (
                ast.arg(arg=name)
                | ast.Name(id=name, ctx=ast.Store())
                | ast.keyword(arg=str(name))
            ):
                found.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                found.add(name)
    return found


def the_codes_own_words() -> set[str]:
    modules = [ROOT / name for name in TRACKED if name.endswith(".py")]
    return set().union(
        *(defined(ast.parse(path.read_text(encoding="utf-8"))) for path in modules)
    )


def looked_for() -> list[str]:
    names = names_of_the_table()
    if is_default():
        return sorted(names)
    return sorted(
        name
        for name in names - the_codes_own_words()
        if "_" in name or not name.isidentifier()
    )


def mentions(name: str) -> re.Pattern[str]:
    """Find a name of several words anywhere.

    Another name is found only quoted or after a dot, as a column is.
    """
    word = re.escape(name)
    anywhere, quoted, attribute = (
        rf"\b{word}\b",
        rf"([\"'`]){word}\1",
        rf"\.{word}\b(?!\()",
    )
    return re.compile(
        anywhere if "_" in name and name.isidentifier() else f"{quoted}|{attribute}"
    )


def text_of(name: str) -> str:
    return (
        (ROOT / name).read_bytes().decode("utf-8", errors="replace")
        if (ROOT / name).is_file()
        else ""
    )


@pytest.mark.parametrize(
    "text", ['row["hue"]', "row.hue", "the column `hue`", "{'hue': 1}"]
)
def test_a_column_is_found_wherever_it_is_named(text: str):
    assert mentions("hue").search(text)
    assert mentions("hue_of_cap").search(text.replace("hue", "hue_of_cap"))


@pytest.mark.parametrize(
    "text", ["the hue is", "painter.hue(now)", '"huey"', "hues", "thue"]
)
def test_a_word_that_is_no_column_is_left_alone(text: str):
    assert not mentions("hue").search(text)


def test_no_other_file_names_a_column():
    patterns = {name: mentions(name) for name in looked_for()}

    told = {
        file: [name for name, each in patterns.items() if each.search(text_of(file))]
        for file in FILES
    }

    assert {file: names for file, names in told.items() if names} == {}
    assert len(FILES) > 100  # and files were looked at


def test_the_files_that_may_know_the_table_are_there():
    assert {
        name for name in KNOW_THE_TABLE | OF_THE_DEFAULT if not (ROOT / name).is_file()
    } == set()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_a_notebook_names_no_column(path: Path):
    cells = nbformat.read(path, as_version=4).cells
    code = ast.parse(
        "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    )
    text = "\n".join(cell.source for cell in cells)

    quoted = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant)}
    marked = set(re.findall(r"`([^`\n]+)`", text))

    assert names_of_the_table().isdisjoint(quoted | marked)
