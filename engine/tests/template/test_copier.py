"""copier makes projects of this one, and brings later changes to them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rename
import yaml
from git_status import list_files
from jinja2 import Environment

from conftest import ROOT
from made import commit, copy_project, environment_of

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
    "deploy/own.txt": "own\n",  # in a folder of a level that is absent
    "src/lapse_model/own.py": '"""Own."""\n',
}
KEPT = OWN | {name: mine for name, (_, mine) in MINE.items()}
EARLIER = {  # what the template looked like before
    "docs/signing.md": ("Optional. Without", "Once optional. Without"),
    "engine/src/skewless/tables/split.py": ('"""', '"""Formerly. '),
    "config.yaml": ("random_state: 42 ", "random_state: 43 "),
    "README.md": ("# churn-service\n", "# churn-service\n\nOnce.\n"),
}
TABLE = "data/customers.csv"
LEVELS = ("package", "service", "monitored")
CONFLICT = re.compile(
    r"(?s)<<<<<<< before updating\n(.*)=======\n(.*)>>>>>>> after updating\n"
)


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
    said = subprocess.check_output(
        ["git", "status", "--porcelain", "-uall"], cwd=folder, text=True
    )
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
    assert tuple(QUESTIONS["level"]["choices"].values()) == LEVELS


@pytest.mark.parametrize("name", ["my-service", "my-service\n", "my\n-service", "m"])
def test_the_question_takes_the_names_that_rename_takes(name: str):
    filters = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"  # which copier has
    template = Environment(extensions=[filters], autoescape=True).from_string(
        QUESTIONS["project_name"]["validator"]
    )

    said = template.render(project_name=name)

    assert (
        (said.strip() == "")
        == (rename.complaint(name, ROOT) is None)
        == (name == "my-service")
    )


def test_no_file_is_rendered_but_the_answers():
    names = [path.as_posix() for path in list_files(ROOT)]

    assert [name for name in names if name.endswith(ANSWERS["_templates_suffix"])] == [
        ".copier-answers.yml.copier"
    ]
    assert [name for name in names if re.search(r"\{[{%]", name)] == []


def test_what_a_level_lacks_is_there_to_be_left_out():
    patterns = [re.sub(r"\{%.*?%\}", "", pattern) for pattern in ANSWERS["_exclude"]]

    assert [name for name in patterns if not (ROOT / name).exists()] == []


def test_no_file_has_marks_of_what_to_cut():
    marked = r"(#|<!--) (end )?(floor|level)"
    words = [
        "git",
        "grep",
        "-lE",
        marked,
        "--",
        ".",
        ":!CHANGELOG.md",
        ":!engine/tests/template/test_copier.py",
    ]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (1, "")


def test_the_page_says_what_there_is():
    page = (ROOT / "docs/template.md").read_text()

    assert set(re.findall(r"--data=(\w+)=", page)) <= QUESTIONS.keys()
    assert set(re.findall(r"--data=level=(\w+)", page)) <= set(LEVELS)
    assert set(re.findall(r"(?m)^\| `([a-z]+)` \|", page)) == set(LEVELS)
    assert f"at most {rename.MOST_LETTERS} letters" in page
    named = re.findall(r"`((?:scripts|tests|engine)/[\w/.]+)`", page)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.slow
def test_a_name_that_rename_refuses_is_refused_before_anything_is_copied(
    template: Path, tmp_path: Path
):
    words = [
        "copy",
        "--trust",
        "--defaults",
        "--data=project_name=Lapse",
        template,
        tmp_path / "made",
    ]

    with pytest.raises(AssertionError, match="words of small letters"):
        copier(*words)

    assert not (tmp_path / "made").exists()


def lapse_model(project: Path, *words: str) -> str:
    """Run a command of a made project, by its own engine."""
    done = subprocess.run(
        [sys.executable, "-m", "lapse_model", *words],
        cwd=project,
        env=environment_of(project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def edited(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a first level that was updated to the later version.

    It was made of the earlier version, and has work in it.
    """
    project = tmp_path_factory.mktemp("edited") / "made"
    answers = [
        "--data=project_name=lapse-model",
        "--data=level=package",
        "--vcs-ref=v0.0.1",
    ]
    copier("copy", "--trust", "--defaults", "--quiet", *answers, template, project)
    commit(project)
    edit(project, MINE | {"docs/signing.md": ("## Make keys", "## Make two keys")})
    # what the template changes, too
    edit(project, {"config.yaml": ("random_state: 43 ", "random_state: 77 ")})
    for name, text in OWN.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    for words in (
        ["sample", "--rows", "3000"],
        ["train"],
        ["score", TABLE, "before.csv"],
    ):
        lapse_model(project, *words)
    (project / "engine/src/skewless/models/plots.py").unlink()
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
        "engine/src/skewless/tables/split.py": "M",
    }
    assert (
        "Formerly" not in (edited / "engine/src/skewless/tables/split.py").read_text()
    )
    assert "\nOptional. Without" in (edited / "docs/signing.md").read_text()
    for name, text in KEPT.items():
        assert text in (edited / name).read_text(), name
    conflict = CONFLICT.search((edited / "config.yaml").read_text())
    assert ("random_state: 77" in conflict[1], "random_state: 42" in conflict[2]) == (
        True,
        True,
    )


def decided(edited: Path, folder: Path) -> Path:
    """Copy a project, and decide its conflict for what the owner wrote."""
    project = Path(shutil.copytree(edited, folder, symlinks=True))
    config = project / "config.yaml"
    config.write_text(CONFLICT.sub(r"\1", config.read_text()))
    return project


@pytest.mark.slow
@pytest.mark.posix
def test_what_the_engine_before_the_update_made_is_read_after_it(
    edited: Path, tmp_path: Path
):
    project = decided(edited, tmp_path / "made")

    verified = lapse_model(project, "registry", "verify")
    lapse_model(project, "score", TABLE, "after.csv")

    assert "whole, and answers as it did when it was trained" in verified
    assert (project / "after.csv").read_bytes() == (project / "before.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.posix
def test_a_level_is_added_to_a_project_that_was_worked_on_by_adding_files_alone(
    edited: Path, tmp_path: Path
):
    project = decided(edited, tmp_path / "made")
    commit(project)

    copier(
        "update", "--trust", "--defaults", "--quiet", "--data=level=service", project
    )

    states = status(project)
    assert states.pop(".copier-answers.yml") == "M"
    assert set(states.values()) == {"??"}
    assert {
        "Dockerfile",
        "deploy/compose/compose.yaml",
        "make/service.mk",
        "src/lapse_model/api.py",
    } <= states.keys()
    assert not any(name.startswith("make/monitored") for name in states)
