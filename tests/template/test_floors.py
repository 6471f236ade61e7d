"""A floor stands without the ones above it, and without what makes projects of it."""

import faulthandler
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import floors
import generate
import unmarked
from conftest import ROOT
from made import commit, contents, copy_project, make

CUTS = ["package", "service", "monitored"]
UNCUT = "requirements-uv.lock"  # what installs is the same at every level
ABOVE = {  # what only upper floors ask for
    "package": {"fastapi", "uvicorn", "redis", "sqlalchemy", "psycopg", "moto", "copier"},
    "service": {"sqlalchemy", "psycopg", "copier"},
    "monitored": {"copier"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n# floor: service\nb\n# end floor\nc\n", "a\nc\n"),
        ("a\n    # floor: service\n    b\n    # end floor\nc\n", "a\nc\n"),
        ("a\n<!-- floor: service -->\nb\n<!-- end floor -->\nc\n", "a\nc\n"),
        ("a\n| b | <!-- floor: service -->\nc\n", "a\nc\n"),
        ("a\n# floor: monitored\nb\n# end floor\nc\n", "a\n# floor: monitored\nb\n# end floor\nc\n"),
        ("a\n", "a\n"),
    ],
)
def test_the_marked_parts_of_absent_floors_go_and_nothing_else(text: str, expected: str):
    assert floors.cut(text, {"service"}) == expected


def test_every_begun_part_is_ended_in_every_file():
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()

    for name in tracked:
        if (ROOT / name).suffix in {".py", ".md", ".toml", ".yaml", ".yml"} or name == "Makefile":
            lines = [line.strip() for line in (ROOT / name).read_text().splitlines()]
            begun = sum(bool((found := floors.BEGIN.search(line)) and found.start() == 0) for line in lines)
            assert begun == sum(floors.END.search(line) is not None for line in lines), name


def test_every_file_of_a_floor_is_there():
    assert all((ROOT / name).exists() for names in floors.FILES.values() for name in names if "*" not in name)


@pytest.fixture(scope="module", params=CUTS)
def floor(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, floor: str) -> Path:
    """Return a project made of this one; do not change it."""
    folder = copy_project(tmp_path_factory.mktemp(floor) / "project")
    generate.main(folder, "lapse-model", floor)
    generate.introduce(folder, 'Whether a "policy" lapses', "Jane Doe")
    commit(folder)
    return folder


def test_nothing_is_left_of_absent_floors_and_no_mark_but_those_of_the_beginning(made: Path, floor: str):
    tree = contents(made)

    assert not any(floors.is_of(Path(name), floors.ABSENT[floor]) for name in tree)
    marks = b"".join(content for name, content in tree.items() if name != "scripts/floors.py")
    assert set(re.findall(rb"(?m)(?:#|<!--) floor: (\w+)(?: -->)?$", marks)) <= {b"adoption"}


def test_every_page_points_at_what_is_there_and_names_make_targets_that_are_there(made: Path):
    targets = set(re.findall(r"(?m)^([a-z-]+):", (made / "Makefile").read_text()))

    for page in made.rglob("*.md"):
        text = page.read_text()
        links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
        assert [link for link in links if not (page.parent / link).exists()] == [], page
        assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets, page


def test_the_locks_hold_what_is_asked_for_and_all_that_it_needs(made: Path, floor: str):
    document = tomllib.loads((made / "pyproject.toml").read_text())
    for lock in {*made.glob("*.lock")} - {made / UNCUT}:
        text = lock.read_text()
        locked = set(re.findall(r"(?m)^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==", text))
        reasons = set(re.findall(r"(?m)^    #(?: via|  ) +([a-z0-9-]+)$", text))
        assert not locked & ABOVE[floor], lock
        assert reasons, lock
        assert reasons <= locked, lock
        assert unmarked.requirement_names(document["project"]["dependencies"]) <= locked, lock


def test_what_lacks_nothing_is_cut_to_itself():
    locks = {path.name: path.read_text() for path in ROOT.glob("*.lock") if path.name != UNCUT}
    assert unmarked.cut_locks(ROOT) == locks
    assert unmarked.cut_schema(ROOT) == (ROOT / "config.schema.json").read_text()


def test_the_schema_is_the_one_that_the_code_would_write(made: Path):
    variables = os.environ | {"PYTHONPATH": str(made / "src")}  # noqa: TID251 - the child inherits ours
    words = [sys.executable, "-m", "lapse_model.config_file", "lapse_model.project:project"]
    said = subprocess.check_output(words, cwd=made, env=variables, text=True)

    assert said == (made / "config.schema.json").read_text()


def test_a_cut_project_needs_no_formatter_and_imports_nothing_in_vain(made: Path):
    for words in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        command = [sys.executable, "-m", "ruff", *words]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_answers_are_written_where_they_belong(made: Path):
    document = tomllib.loads((made / "pyproject.toml").read_text())

    assert document["project"]["description"] == 'Whether a "policy" lapses'
    assert "authors\nCopyright (c) Jane Doe\n" in (made / "LICENSE").read_text()


def test_what_is_settled_has_nothing_left_of_the_beginning(made: Path, tmp_path: Path):
    for name, content in contents(made).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    commit(tmp_path)
    subprocess.run(["make", "settle"], cwd=tmp_path, check=True)

    tree = contents(tmp_path)
    assert not any(floors.is_of(Path(name), {"adoption", "template"}) for name in tree)
    assert not any(re.search(rb"floor: adoption|make settle", content) for content in tree.values())
    assert set(tree) < set(contents(made))


@pytest.mark.posix
def test_settling_shows_what_goes_and_refuses_what_git_could_not_bring_back(tmp_path: Path):
    project = copy_project(tmp_path / "project")
    commit(project)

    def settle(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--no-print-directory", "settle", f"PYTHON={sys.executable}", *words]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    (project / "copier.yml").write_text("mine: true\n")
    before = contents(project)
    shown = settle("DRY_RUN=1")
    refused = settle()
    untouched = contents(project) == before
    done = settle("FORCE=1")

    assert untouched
    assert "commit first" in refused.stderr
    assert (shown.returncode, refused.returncode, done.returncode) == (0, 2, 0)
    assert done.stdout == shown.stdout
    told = dict(line.rsplit(": ", 1) for line in done.stdout.splitlines()[:-1])
    after = contents(project)
    assert "0" not in told.values()
    assert {name for name, lines in told.items() if lines == "all"} == before.keys() - after.keys()
    assert told.keys() == {name for name in before if after.get(name) != before[name]}


def test_a_clone_that_is_cut_where_it_stands_is_what_a_copy_becomes(tmp_path: Path):
    clone, copy = copy_project(tmp_path / "clone"), copy_project(tmp_path / "copy")
    generate.main(copy, "lapse-model", "package")

    words = [sys.executable, "-B", "scripts/generate.py", ".", "lapse-model", "package"]
    before = contents(clone)
    refused = subprocess.run(words, cwd=clone, capture_output=True, text=True, check=False)
    untouched = contents(clone) == before
    commit(clone)
    subprocess.run(words, cwd=clone, check=True)

    assert (refused.returncode, untouched) == (1, True)
    assert refused.stderr.startswith("refused: commit first")
    assert contents(clone) == contents(copy)
    assert not any(b"CHURN_" in content for content in contents(clone).values())


def test_a_name_that_is_refused_leaves_every_file_as_it_was(tmp_path: Path):
    project = copy_project(tmp_path / "project")
    (project / "README.md").write_text("lapse_model is the name of something else\n")
    before = contents(project)

    for name, why in (("lapse", "two or more words"), ("lapse-model", "README.md has lapse-model")):
        with pytest.raises(floors.Refused, match=why):
            generate.main(project, name, "package")

    assert contents(project) == before


@pytest.mark.slow
@pytest.mark.posix
def test_a_floor_alone_passes_its_checks_and_tests(made: Path, floor: str):
    faulthandler.cancel_dump_traceback_later()  # a whole suite may take longer than a test
    for target in ["check"] if floor == "monitored" else ["check", "test"]:
        done = make(made, target)
        assert done.returncode == 0, f"{target}\n{done.stdout}\n{done.stderr}"
