"""What is left to do in a clone: said, with what to do, until it is done."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, TABLE, Run, copy_makefiles, write_manifest
from own import PROJECT
from skewless.cli import doctor
from skewless.core.workspace import open_workspace
from skewless.models.artifact import METADATA
from skewless.registry.registry import Registry
from skewless.training.agreement import cannot_tell

Doctor = Callable[[], dict[str, dict[str, str]]]


@pytest.fixture
def clone(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of a trained project with what a clone has beside it."""
    folder = Path(shutil.copytree(trained, tmp_path / "clone"))
    for name in (
        "pyproject.toml",
        "LICENSE",
        "config.schema.json",
        "requirements-boosters.lock",
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "AGENTS.md",
    ):
        shutil.copy(ROOT / name, folder)
    (folder / "engine").mkdir()
    shutil.copy(ROOT / "engine/README.md", folder / "engine")
    for name in ("docs", "examples", "deploy", ".github"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
    copy_makefiles(folder)
    return folder


@pytest.fixture
def examined(clone: Path, run: Run) -> Doctor:
    """Look at the clone; findings by name."""

    def look() -> dict[str, dict[str, str]]:
        done = run(clone, "doctor", "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == (
            3 if any(each["state"] == "todo" for each in found) else 0
        ), done.stderr
        assert all((each["to_do"] is None) == (each["state"] == "ok") for each in found)
        return {each["name"]: each for each in found}

    return look


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_the_tools_write_agrees_in_a_fresh_clone(examined: Doctor):
    found = examined()

    assert {
        name: found[name]["state"]
        for name in ("config schema", "lock", "docs", "version")
    } == dict.fromkeys(("config schema", "lock", "docs", "version"), "ok"), found


@pytest.mark.slow
def test_what_is_the_templates_is_to_do_until_it_is_ones_own(
    clone: Path, examined: Doctor, monkeypatch: pytest.MonkeyPatch
):
    name = doctor.read_project(clone)["project"]["name"]
    monkeypatch.setattr(doctor, "TEMPLATE", name)
    (clone / "LICENSE").write_text(f"Copyright (c) 2026 the {name} authors")
    before = examined()

    monkeypatch.setattr(doctor, "TEMPLATE", "another")
    (clone / "LICENSE").write_text("Copyright (c) 2026 Somebody")
    edit(clone / TABLE, "simulated-", "c-")
    monkeypatch.setattr(doctor, "INTENDED_USE", "a sentence that no card holds")
    after = examined()

    for each in ("name", "licence", "table"):
        assert (before[each]["state"], after[each]["state"]) == ("todo", "ok"), each
    assert after["intended use"]["state"] == "ok"


@pytest.mark.parametrize("target", ["rename", "adopt"])
@pytest.mark.slow
def test_what_make_no_longer_does_in_a_settled_clone_is_said_otherwise(
    clone: Path, examined: Doctor, monkeypatch: pytest.MonkeyPatch, target: str
):
    monkeypatch.setattr(
        doctor, "TEMPLATE", doctor.read_project(clone)["project"]["name"]
    )
    finding = {"rename": "name", "adopt": "table"}[target]
    (clone / "Makefile").write_text(f"all:\n\n{target}: all\n")
    before = examined()[finding]["to_do"]
    (clone / "Makefile").write_text("all:\n")
    after = examined()[finding]["to_do"]

    assert before.startswith(f"make {target} ")
    assert after
    assert f"make {target}" not in after


@pytest.mark.slow
def test_thresholds_that_nobody_chose_are_a_note_and_no_fault(
    clone: Path, examined: Doctor
):
    document = yaml.safe_load((clone / "config.yaml").read_text())
    document["decision"] = doctor.THRESHOLDS.model_dump()
    (clone / "config.yaml").write_text(yaml.safe_dump(document))
    same = examined()["decision"]["state"]
    document["decision"]["threshold"] = 0.45
    (clone / "config.yaml").write_text(yaml.safe_dump(document))

    assert (same, examined()["decision"]["state"]) == ("note", "ok")


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("decision", "threshold", 0.45, "decision section"),
        ("model", "max_iter", 41, "model section"),
        ("baseline", "probabilities", None, "baseline section"),
    ],
)
@pytest.mark.slow
def test_a_configuration_that_was_edited_since_training_is_told_apart(
    clone: Path, examined: Doctor, section: str, key: str, value: object, said: str
):
    document = yaml.safe_load((clone / "config.yaml").read_text())
    document[section][key] = value or [0.5] * len(document[section][key])
    (clone / "config.yaml").write_text(yaml.safe_dump(document))

    found = examined()["version"]

    assert (found["state"], found["to_do"]) == ("todo", "make train")
    assert found["said"].endswith(f"trained by another {said}")


def test_another_lock_than_the_versions_and_a_dependency_it_lacks_are_named(
    clone: Path, examined: Doctor
):
    edit(clone / "requirements-dev.lock", "\npydantic==", "\nsomething-else==")

    found = examined()

    assert found["lock"]["said"].endswith("does not hold pydantic")
    assert found["version"]["said"].endswith("trained by another lock")


def test_what_is_installed_otherwise_than_locked_is_named(
    clone: Path, examined: Doctor
):
    edit(clone / "requirements-dev.lock", "\njoblib==", "\njoblib==0.")

    assert "joblib" in examined()["installed"]["said"]


def test_what_is_locked_for_every_system_and_not_installed_is_named(
    clone: Path, examined: Doctor
):
    with (clone / "requirements-dev.lock").open("a") as lock:
        lock.write(
            "\nnobody-has-this==1.0 \\\n\n"
            "not-on-this-system==1.0 ; sys_platform == 'none'\n"
        )

    assert (
        examined()["installed"]["said"] == "locked and not installed: nobody-has-this"
    )


@pytest.mark.slow
def test_an_extra_in_the_lock_hides_no_dependency(clone: Path, examined: Doctor):
    edit(clone / "requirements-dev.lock", "\njoblib==", "\njoblib[extra]==0.")

    found = examined()

    assert (found["lock"]["state"], "joblib" in found["installed"]["said"]) == (
        "ok",
        True,
    )


def test_a_stale_schema_file_a_dead_link_and_an_unknown_command_are_named(
    clone: Path, examined: Doctor
):
    (clone / "config.schema.json").write_text("{}")
    program = next(iter(doctor.read_project(clone)["project"]["scripts"]))
    (clone / "README.md").write_text(
        f"[gone](docs/gone.md) and `{program} conjure`, `{program} train`\n"
    )

    found = examined()

    assert (found["config schema"]["state"], found["config schema"]["to_do"]) == (
        "todo",
        "make schema",
    )
    assert found["docs"]["said"].endswith("README.md: docs/gone.md; README.md: conjure")


def test_a_damaged_version_and_an_absent_table_are_findings_and_no_failure(
    clone: Path, examined: Doctor
):
    (version,) = (clone / "models").glob("*-*")
    (version / "model.onnx").write_bytes(b"")
    (clone / TABLE).unlink()

    found = examined()

    assert "model.onnx" in found["version"]["said"]
    assert "no such file" in found["table"]["said"]


def test_with_a_configuration_alone_it_says_what_it_cannot_check(
    trained: Path, run: Run
):
    done = run(trained, "doctor")

    assert done.returncode == 3
    assert "licence" not in done.stdout
    for name in ("lock", "installed", "docs"):
        assert re.search(
            rf"unknown +{name} +not checked: there is no pyproject.toml here",
            done.stdout,
        )


def test_what_could_not_be_checked_is_a_state_of_its_own_and_ends_with_three(
    clone: Path, examined: Doctor
):
    for name in ("README.md", "requirements-dev.lock"):
        (clone / name).unlink()
    shutil.rmtree(clone / "docs")

    found = examined()

    said = {name: found[name]["said"] for name in ("installed", "docs", "version")}
    assert {found[name]["state"] for name in said} == {"unknown"}
    assert all(line.startswith("not checked: ") for line in said.values())
    assert "requirements-dev.lock, which" in said["version"]


def test_only_what_could_not_be_checked_is_enough_for_three(
    clone: Path, run: Run, monkeypatch
):
    found = [cannot_tell("version", "the registry does not answer", "ask again")]
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: found)

    done = run(clone, "doctor")

    assert done.returncode == 3
    assert re.match(
        r"unknown +version +not checked: the registry does not answer\n +→ ask again",
        done.stdout,
    )


def test_a_registry_that_does_not_answer_is_unknown_and_not_what_was_last_known(
    clone: Path,
):
    class Away(Registry):
        def _refresh(self) -> None:
            self.stale = "s3://bucket does not answer."

    work = open_workspace(PROJECT, clone / "config.yaml")
    found = {
        each.name: each
        for each in doctor.examine(work, registry=Away(clone / "models"), commands=())
    }

    assert (found["version"].state, found["version"].said) == (
        "unknown",
        "not checked: s3://bucket does not answer.",
    )
    assert found["production"].state == "unknown"


@pytest.mark.parametrize(
    ("checkout", "state", "said"),
    [
        ({"state": "clean", "commit": "abc"}, "ok", "was trained by commit abc"),
        (
            {"state": "dirty", "commit": "abc"},
            "note",
            "was trained by commit abc with uncommitted changes",
        ),
        (
            {"state": "unknown", "reason": "git is not installed"},
            "unknown",
            "was trained by commit unknown (git is not installed)",
        ),
    ],
)
@pytest.mark.slow
def test_the_commit_of_the_newest_version_is_told_or_why_nobody_knows_it(
    clone: Path, examined: Doctor, checkout: dict[str, str], state: str, said: str
):
    (folder,) = (clone / "models").glob("*-*")
    record = json.loads((folder / METADATA).read_text())
    (folder / METADATA).write_text(json.dumps(record | {"checkout": checkout}))
    write_manifest(folder)

    found = examined()["commit"]

    assert (found["state"], found["said"].endswith(said)) == (state, True), found


def test_an_absent_level_is_what_comes_next(clone: Path, examined: Doctor):
    (clone / "make/service.mk").unlink()

    assert examined()["next level"]["said"].startswith("service: answers over HTTP")


def test_files_that_cannot_be_understood_are_named_and_hide_nothing_else(
    clone: Path, run: Run
):
    (clone / "LICENSE").write_bytes(b"Copyright \xff")
    (clone / "requirements-dev.lock").unlink()
    done = run(clone, "doctor")
    (clone / "pyproject.toml").write_text("[project")
    broken = run(clone, "doctor", "--json")

    assert (done.returncode, "does not hold anything" in done.stdout) == (3, True)
    assert (broken.returncode, "pyproject.toml: not valid TOML" in broken.stderr) == (
        2,
        True,
    )


def test_a_licence_without_a_holder_is_to_do(clone: Path, examined: Doctor):
    (clone / "LICENSE").unlink()

    assert examined()["licence"]["said"] == "LICENSE names nobody"
