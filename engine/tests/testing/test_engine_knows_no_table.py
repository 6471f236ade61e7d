"""Only the contract, its features and their settings know the table."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from churn_service.config import FeaturesConfig
from churn_service.features import add_features
from conftest import ROOT
from fields import KNOW_THE_TABLE
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
    "engine/src/skewless/adopt/",
    "engine/tests/adopt/test_adopt.py",
)
TRACKED = sorted(
    set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines())
    - KNOW_THE_TABLE
    - OF_THE_DEFAULT
)
FILES = [
    name
    for name in TRACKED
    if not name.endswith(".lock") and not name.startswith(OF_ANY_TABLE)
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


@pytest.mark.slow
def test_no_other_file_names_a_column():
    patterns = {name: mentions(name) for name in names_of_the_table()}

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
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = [("".join(cell["source"]), cell["cell_type"]) for cell in cells]
    code = ast.parse("\n".join(text for text, kind in sources if kind == "code"))
    text = "\n".join(text for text, _ in sources)

    quoted = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant)}
    marked = set(re.findall(r"`([^`\n]+)`", text))

    assert names_of_the_table().isdisjoint(quoted | marked)
