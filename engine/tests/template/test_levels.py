"""Each level stands by itself: its checks pass, and its main job runs.

Its pages point at what is there.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import rename
from git_status import list_files

from conftest import MAKEFILES
from made import commit, contents, copy_project, make

LEVELS = ("package", "service", "monitored")
LACKS = {  # some of what a level has no use for
    "package": {
        "Dockerfile",
        "deploy",
        "src/lapse_model/api.py",
        "make/service.mk",
        "make/monitored.mk",
        "notebooks/03_from_notebook_to_service.ipynb",
        "notebooks/04_what_production_looks_like.ipynb",
    },
    "service": {
        "make/monitored.mk",
        ".github/workflows/retrain.yml",
        "notebooks/04_what_production_looks_like.ipynb",
    },
    "monitored": set(),
}
DESCRIPTION, HOLDER = 'Whether a "policy" lapses', "Jane Doe"
OF_THE_TEMPLATE = {
    "copier.yml",
    "make/template.mk",
    ".github/workflows/engine.yml",
    "engine/tests",
    "engine/benchmarks",
}


@pytest.fixture(scope="module", params=LEVELS)
def level(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, level: str) -> Path:
    """Return a project that copier made of this one; do not change it."""
    folder = tmp_path_factory.mktemp(level)
    template = copy_project(folder / "template")
    commit(template)
    answers = {
        "project_name": "lapse-model",
        "level": level,
        "description": DESCRIPTION,
        "holder": HOLDER,
    }
    words = [f"--data={name}={value}" for name, value in answers.items()]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "copier",
        "copy",
        "--trust",
        "--defaults",
        "--quiet",
    ]
    subprocess.run(
        [*command, *words, "--vcs-ref=HEAD", str(template), str(folder / "made")],
        check=True,
    )
    commit(folder / "made")
    return folder / "made"


@pytest.mark.slow
def test_a_level_lacks_whole_files_and_has_the_others_as_a_rename_leaves_them(
    made: Path, level: str, tmp_path: Path
):
    whole = copy_project(tmp_path / "whole")
    files = list(list_files(whole))
    wanted = rename.present_words(whole)._replace(names=rename.Names.of("lapse-model"))
    rename.apply(rename.rename(whole, wanted, files, variables=rename.settings(whole)))
    rename.introduce(whole, DESCRIPTION, HOLDER)
    expected, tree = contents(whole), contents(made)

    assert tree.pop(".copier-answers.yml")
    assert [
        name for name in LACKS[level] | OF_THE_TEMPLATE if (made / name).exists()
    ] == []
    assert tree == {name: expected[name] for name in tree}


@pytest.mark.slow
def test_the_answers_are_written_where_they_belong(made: Path):
    document = tomllib.loads((made / "pyproject.toml").read_text())

    assert document["project"]["description"] == DESCRIPTION
    assert "authors\nCopyright (c) Jane Doe\n" in (made / "LICENSE").read_text()


@pytest.mark.slow
@pytest.mark.posix
def test_a_level_passes_its_checks(made: Path):
    done = make(made, "check")

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.posix
def test_a_level_passes_its_own_tests(made: Path, level: str):
    # The same at each level, and their kernels take most of the time.
    done = make(made, "test", notebooks=level == "package")

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.posix
def test_the_pages_name_make_targets_that_are_there_at_some_level(made: Path):
    targets = {
        name
        for path in MAKEFILES
        for name in re.findall(r"(?m)^([a-z-]+):", path.read_text())
    }

    for page in {*made.rglob("*.md")} - {made / "CHANGELOG.md"}:
        assert set(re.findall(r"`make ([a-z-]+)", page.read_text())) <= targets, page


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("level", ["package"], indirect=True)
def test_the_main_job_of_the_first_level_trains_and_scores_a_file(made: Path):
    done = make(made, "run")

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "10,000 of 10,000 rows" in done.stdout
    assert (made / "scored.parquet").is_file()
