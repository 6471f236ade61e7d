"""Every page is found, and names what is there.

test_troubleshooting_page.py follows the links of all.
"""

import re

import yaml

from conftest import ROOT
from own import PROJECT
from skewless.core.config_reference import config_page

PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_every_file_that_the_page_on_numbers_names_is_there():
    page = (ROOT / "docs/regression.md").read_text()
    sources = (ROOT / "src/churn_service", ROOT / "engine/src/skewless")

    named = set(re.findall(r"`([\w/]+\.(?:py|md\.jinja))`", page))

    assert len(named) > 20
    assert {
        name
        for name in named
        if not any((folder / name).exists() for folder in sources)
    } == set()
    words = set(re.findall(r"`([A-Za-z_]{5,})`", page))
    code = "".join(
        path.read_text() for folder in sources for path in folder.rglob("*.py")
    )
    assert {
        word for word in words - {"HistGradientBoostingRegressor"} if word not in code
    } == set()


def test_what_the_page_on_windows_types_is_what_is_run_there_in_ci():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    page = (ROOT / "docs/on-windows.md").read_text()
    typed = re.findall(r"(?m)^(?:py -3\.13|\.venv\\Scripts\\python) (.*)$", page)

    assert len(typed) == 3
    for line in typed:
        told = line.replace("\\", "/")
        assert f"python {told}" in workflow.replace("$BIN/", "")


def test_the_page_on_configuration_is_what_the_code_would_write():
    assert (ROOT / "docs/configuration.md").read_text() == config_page(PROJECT), (
        "run `make schema`"
    )


def test_config_yaml_holds_what_is_changed_first_and_the_page_everything():
    document = yaml.safe_load((ROOT / "config.yaml").read_text())
    keys = re.findall(
        r"(?m)^\| `([\w.]+)` \|", (ROOT / "docs/configuration.md").read_text()
    )

    assert (
        sum(
            len(section) + len(section.get("format", {}))
            for section in document.values()
        )
        < 40
    )
    assert len(keys) > 50


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text()
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES]

    assert [
        name for name in pages if f"({name})" not in index and "decisions/0" not in name
    ] == ["README.md"]


def test_the_first_page_and_the_assistants_page_keep_their_length():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) <= 40


def test_the_engines_page_names_every_package_and_files_that_are_there():
    page = (ROOT / "engine/docs/README.md").read_text()
    engine, package = ROOT / "engine", ROOT / "src/churn_service"
    files = [*engine.rglob("*.py"), *package.glob("*.py")]
    packages = {path.parent.name for path in engine.glob("src/skewless/*/__init__.py")}

    named = set(re.findall(r"`([\w/]+\.py)`", page))

    assert packages <= set(re.findall(r"`(\w+)`", page))
    assert len(named) > 10
    assert [
        name
        for name in named
        if not any(path.as_posix().endswith(f"/{name}") for path in files)
    ] == []
