"""copier makes projects of this one, and brings later changes to them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

import floors
import generate
import rename
from conftest import ROOT
from made import commit, contents, copy_project, make

ANSWERS = yaml.safe_load((ROOT / "copier.yml").read_text())
QUESTIONS = {name: asked for name, asked in ANSWERS.items() if not name.startswith("_")}
MINE = {
    "src/lapse_model/schema.py": ('"""What', '"""Mine. What'),
    "src/lapse_model/features.py": ('"""', '"""Mine. '),
    "config.yaml": ("threshold: 0.5 ", "threshold: 0.4 "),
    "README.md": ("## Commands", "## Mine\n\nMine.\n\n## Commands"),
}
OWN = {
    ".ci/run": "mine\n",  # the template has one, which is not for projects
    "tests/service/test_own.py": "own = 1\n",  # in a folder of a floor that is absent
    "src/lapse_model/own.py": '"""Own."""\n',
}
KEPT = OWN | {name: mine for name, (_, mine) in MINE.items()}
EARLIER = {  # what the template looked like before
    "docs/signing.md": ("Optional. Without", "Once optional. Without"),
    "src/churn_service/split.py": ('"""', '"""Formerly. '),
    "config.yaml": ("rows: 10000 ", "rows: 9000  "),
    "README.md": ("# churn-service\n", "# churn-service\n\nOnce.\n"),
}
CONFLICT = re.compile(r"(?s)<<<<<<< before updating\n(.*)=======\n(.*)>>>>>>> after updating\n")


def edit(folder: Path, edits: dict[str, tuple[str, str]]) -> None:
    for name, (before, after) in edits.items():
        text = (folder / name).read_text()
        assert before in text, name
        (folder / name).write_text(text.replace(before, after, 1))


def copier(*words: object) -> str:
    command = [sys.executable, "-W", "ignore", "-m", "copier", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def status(folder: Path) -> dict[str, str]:
    said = subprocess.check_output(["git", "status", "--porcelain"], cwd=folder, text=True)
    return {line[3:]: line[:2].strip() for line in said.splitlines()}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template of two versions, the second of which is this one."""
    folder = copy_project(tmp_path_factory.mktemp("template"))
    edit(folder, EARLIER)
    (folder / "src/churn_service/old.py").write_text('"""Old."""\n')
    commit(folder, "v0.0.1")
    copy_project(folder)
    (folder / "src/churn_service/old.py").unlink()
    commit(folder, "v0.0.2")
    return folder


def test_the_questions_are_few_and_ask_for_what_the_scripts_take():
    assert len(QUESTIONS) <= 8
    assert f"^{rename.NAME.pattern}$" in QUESTIONS["project_name"]["validator"]
    assert f"> {rename.MOST_LETTERS} " in QUESTIONS["project_name"]["validator"]
    assert tuple(QUESTIONS["floor"]["choices"].values()) == floors.FLOORS


@pytest.mark.parametrize("name", ["my-service", "my-service\n", "my\n-service", "my"])
def test_the_question_takes_the_names_that_rename_takes(name: str):
    filters = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"  # which copier has
    template = Environment(extensions=[filters], autoescape=True).from_string(
        QUESTIONS["project_name"]["validator"]
    )

    said = template.render(project_name=name)

    assert (said.strip() == "") == (rename.complaint(name, ROOT) is None) == (name == "my-service")


def test_no_file_is_rendered_but_the_answers():
    names = [path.as_posix() for path in floors.list_files(ROOT)]

    assert [name for name in names if name.endswith(ANSWERS["_templates_suffix"])] == [
        ".copier-answers.yml.copier"
    ]
    assert [name for name in names if re.search(r"\{[{%]", name)] == []


def test_the_page_says_what_there_is():
    page = (ROOT / "docs/template.md").read_text()

    assert set(re.findall(r"--data=(\w+)=", page)) <= QUESTIONS.keys()
    assert set(re.findall(r"--data=floor=(\w+)", page)) <= set(floors.FLOORS)
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", page)) == set(floors.FLOORS)
    assert f"at most {rename.MOST_LETTERS} letters" in page
    assert [
        name for name in re.findall(r"`((?:scripts|tests)/[\w/.]+)`", page) if not (ROOT / name).exists()
    ] == []


@pytest.mark.slow
def test_a_name_that_rename_refuses_is_refused_before_anything_is_copied(template: Path, tmp_path: Path):
    words = ["copy", "--trust", "--defaults", "--data=project_name=lapse", template, tmp_path / "made"]

    with pytest.raises(AssertionError, match="two or more words"):
        copier(*words)

    assert not (tmp_path / "made").exists()


@pytest.mark.slow
def test_a_made_project_is_what_the_scripts_make(template: Path, tmp_path: Path):
    answers = ["--data=project_name=lapse-model", "--data=floor=service", "--data=holder=Jane Doe"]
    copier("copy", "--trust", "--defaults", "--quiet", *answers, template, tmp_path / "made")
    expected = copy_project(tmp_path / "expected")
    generate.main(expected, "lapse-model", "service")
    generate.introduce(expected, "", "Jane Doe")

    made = contents(tmp_path / "made")

    written = yaml.safe_load(made.pop(".copier-answers.yml"))
    assert written["project_name"] == "lapse-model"
    assert made == contents(expected)


@pytest.fixture(scope="module")
def edited(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a first floor made of the earlier version, with work in it, updated to the later one."""
    project = tmp_path_factory.mktemp("edited") / "made"
    answers = ["--data=project_name=lapse-model", "--data=floor=package", "--vcs-ref=v0.0.1"]
    copier("copy", "--trust", "--defaults", "--quiet", *answers, template, project)
    commit(project)
    edit(project, MINE | {"docs/signing.md": ("## Make keys", "## Make two keys")})
    edit(project, {"config.yaml": ("rows: 9000  ", "rows: 777   ")})  # what the template changes, too
    for name, text in OWN.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    (project / "src/lapse_model/plots.py").unlink()
    commit(project)
    copier("update", "--trust", "--defaults", "--quiet", project)
    return project


@pytest.mark.slow
@pytest.mark.posix
def test_changes_arrive_edits_stay_and_what_both_changed_is_a_conflict(edited: Path):
    assert status(edited) == {
        ".copier-answers.yml": "M",
        "README.md": "M",
        "config.yaml": "UU",
        "docs/signing.md": "M",
        "src/lapse_model/old.py": "D",
        "src/lapse_model/split.py": "M",
    }
    assert "Formerly" not in (edited / "src/lapse_model/split.py").read_text()
    assert "\nOptional. Without" in (edited / "docs/signing.md").read_text()
    for name, text in KEPT.items():
        assert text in (edited / name).read_text(), name
    conflict = CONFLICT.search((edited / "config.yaml").read_text())
    assert ("rows: 777" in conflict[1], "rows: 10000" in conflict[2]) == (True, True)


@pytest.mark.slow
@pytest.mark.posix
def test_a_floor_is_added_to_a_project_that_was_worked_on(edited: Path, tmp_path: Path):
    project = Path(shutil.copytree(edited, tmp_path / "made", symlinks=True))
    config = (project / "config.yaml").read_text()
    (project / "config.yaml").write_text(CONFLICT.sub(r"\1", config))  # settled for what the owner wrote
    commit(project)
    whole = copy_project(tmp_path / "whole")
    generate.main(whole, "lapse-model", "service")

    copier("update", "--trust", "--defaults", "--quiet", "--data=floor=service", project)

    assert "UU" not in status(project).values()
    config = (project / "config.yaml").read_text()
    assert ("serving:" in config, "rows: 777" in config, "threshold: 0.4" in config) == (True, True, True)
    for name, text in KEPT.items():
        assert text in (project / name).read_text(), name
    touched = {".copier-answers.yml", "docs/signing.md", "src/lapse_model/plots.py", *MINE, *OWN}
    now, expected = contents(project), contents(whole)
    assert {name: now[name] for name in now.keys() - touched} == {
        name: expected[name] for name in expected.keys() - touched
    }
    assert "src/lapse_model/plots.py" not in now


@pytest.mark.slow
@pytest.mark.posix
def test_a_floor_added_after_settling_is_a_conflict_in_the_makefile_which_stops_every_target(
    template: Path, tmp_path: Path
):
    project = tmp_path / "made"
    answers = ["--data=project_name=lapse-model", "--data=floor=package"]
    copier("copy", "--trust", "--defaults", "--quiet", *answers, template, project)
    commit(project)
    subprocess.run(["make", "settle"], cwd=project, check=True)
    commit(project)

    copier("update", "--trust", "--defaults", "--quiet", "--data=floor=service", project)
    stopped = make(project, "help")
    text = (project / "Makefile").read_text()
    (project / "Makefile").write_text(CONFLICT.sub(r"\1\2", text))  # resolved in an editor

    assert [name for name, state in status(project).items() if state == "UU"] == ["Makefile"]
    assert (stopped.returncode, "Makefile:" in stopped.stderr) == (2, True)
    assert make(project, "help").returncode == 0
    assert not any(floors.is_of(Path(name), {"adoption"}) for name in contents(project))
