"""A version is rebuilt from its record: identical, or exactly what differs."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import NOBODY, TABLE, write_manifest
from own import CONTRACT, PROJECT
from skewless.core.checkout import read_checkout
from skewless.core.errors import ReproductionError
from skewless.core.workspace import open_workspace
from skewless.models.artifact import METADATA, read_artifact
from skewless.models.metadata import Identity, Metadata
from skewless.registry.registry import EVENTS
from skewless.tables.faults import check_table
from skewless.tables.table import data_hash, read_table, write_table
from skewless.training import pipeline, reproduce
from skewless.training.pipeline import train_version


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained project that the test may change."""
    return Path(shutil.copytree(trained, tmp_path / "own"))


@pytest.fixture
def recorded(version: Path) -> Metadata:
    return read_artifact(version).metadata


def git(project: Path, *words: str) -> None:
    subprocess.run(["git", *NOBODY, *words], cwd=project, check=True)


def edit_config(
    project: Path, change: Callable[[dict[str, Any]], dict[str, dict[str, Any]]]
) -> list[str]:
    """Change keys of config.yaml; name them."""
    path = project / "config.yaml"
    document = yaml.safe_load(path.read_text())
    changed = change(document)
    for section, keys in changed.items():
        document[section] = document.get(section, {}) | keys
    path.write_text(yaml.safe_dump(document))
    return [f"{section}.{key}" for section, keys in changed.items() for key in keys]


def halve_the_baseline(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "baseline": {
            "probabilities": [
                value / 2 for value in document["baseline"]["probabilities"]
            ]
        }
    }


def change_every_section(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return halve_the_baseline(document) | {
        "data": {"holdout_fraction": 0.4, "holdout_salt": "another"},
        "features": {key: value + 1 for key, value in document["features"].items()},
        "model": {"version": "9.9.9", "max_iter": 7},
        "decision": {"threshold": 0.6},
    }


def edit_record(project: Path, change: Callable[[dict[str, Any]], None]) -> None:
    (folder,) = (project / "models").glob("*-*")
    record = json.loads((folder / METADATA).read_text())
    change(record)
    (folder / METADATA).write_text(json.dumps(record))
    write_manifest(folder)


def drop_the_last_customer(project: Path) -> str:
    """Change the table; return its new hash."""
    table = read_table(project / TABLE, CONTRACT)[:-1]
    write_table(table, project / TABLE, CONTRACT)
    return data_hash(check_table(table, CONTRACT))


def all_files(project: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


@pytest.mark.parametrize("by", ["version", "newest"])
@pytest.mark.slow
def test_a_version_comes_out_again_from_its_record(
    trained: Path, version: Path, by: str, run
):
    done = run(trained, "train", "--reproduce", version.name if by == "version" else by)

    *compared, verdict = done.stdout.splitlines()
    assert (done.returncode, verdict) == (0, f"identical: {version.name}"), done.stderr
    assert {line.split()[0] for line in compared} >= {
        *(
            "data",
            "config",
            "lock",
            "schema",
            "features",
            "code",
            "libraries",
            "python",
            "platform",
            "model",
        )
    }
    assert all(line.split()[1:] == ["same"] for line in compared)


@pytest.mark.slow
def test_other_data_are_named_by_both_hashes(own: Path, recorded: Metadata, run):
    found = drop_the_last_customer(own)

    done = run(own, "train", "--reproduce", "newest")

    assert done.returncode == 3
    assert (
        f"sha256: recorded {recorded.identity.data_sha256}, found {found}"
        in done.stdout
    )
    assert "rows: recorded 3000, found 2999" in done.stdout
    assert "what differs: data, model." in done.stderr
    assert "identical" not in done.stdout


@pytest.mark.slow
def test_another_lock_is_named_even_if_the_model_comes_out_the_same(
    own: Path, recorded: Metadata, run
):
    with (own / "requirements-dev.lock").open("a") as lock:
        lock.write("# another\n")

    done = run(own, "train", "--reproduce", "newest")

    assert (done.returncode, "what differs: lock." in done.stderr) == (3, True)
    assert f"sha256: recorded {recorded.identity.lock_sha256}, found " in done.stdout


@pytest.mark.slow
def test_the_record_rebuilds_the_version_whatever_the_configuration_says_now(
    own: Path, version: Path, run
):
    changed = edit_config(own, change_every_section)

    done = run(own, "train", "--reproduce", "newest")

    assert (done.returncode, f"identical: {version.name}" in done.stdout) == (
        0,
        True,
    ), done.stderr
    assert "note: model.max_iter: recorded 40, found 7" in done.stdout
    noted = [
        line.split()[2]
        for line in done.stdout.splitlines()
        if line.startswith("config")
    ]
    assert sorted(noted) == sorted(f"{key}:" for key in changed)


@pytest.mark.slow
def test_another_commit_and_other_libraries_are_notes_where_the_model_is_the_same(
    own: Path, version: Path, run
):
    edit_record(
        own, lambda record: record["provenance"]["libraries"].update({"numpy": "1.0"})
    )
    before = read_checkout(own).commit
    with (own / "src/code.py").open("a") as code:
        code.write("# changed\n")
    git(own, "commit", "-q", "-a", "-m", "Change")
    commit = read_checkout(own).commit

    done = run(own, "train", "--reproduce", "newest")

    assert (done.returncode, f"identical: {version.name}" in done.stdout) == (
        0,
        True,
    ), done.stderr
    assert f"note: git_commit: recorded {before}, found {commit}" in done.stdout
    assert "note: numpy: recorded 1.0, found " in done.stdout


@pytest.mark.slow
def test_uncommitted_changes_are_never_taken_for_the_same(
    own: Path, version: Path, recorded: Metadata, run
):
    edit_record(own, lambda record: record["checkout"].update({"state": "dirty"}))
    (own / "src/code.py").write_text("# changed\n")

    done = run(own, "train", "--reproduce", "newest")

    assert (done.returncode, f"identical: {version.name}" in done.stdout) == (
        0,
        True,
    ), done.stderr
    assert (
        f"note: uncommitted_changes: recorded those of {recorded.trained_at}, found"
        in done.stdout
    )
    assert "git_commit" not in done.stdout


@pytest.mark.slow
def test_code_that_is_unknown_is_never_taken_for_the_same(
    own: Path, version: Path, recorded: Metadata, run
):
    shutil.rmtree(own / ".git")
    reason = read_checkout(own).reason
    edit_record(
        own,
        lambda record: record.update(checkout={"state": "unknown", "reason": reason}),
    )

    done = run(own, "train", "--reproduce", "newest")

    assert (done.returncode, f"identical: {version.name}" in done.stdout) == (
        0,
        True,
    ), done.stderr
    said = (
        f"note: uncommitted_changes: recorded unknown ({reason}) "
        f"when trained {recorded.trained_at}, found"
    )
    assert said in done.stdout


@pytest.mark.slow
def test_other_columns_and_features_of_the_code_are_named(
    trained: Path, recorded: Metadata, monkeypatch: pytest.MonkeyPatch, run
):
    first, *others = recorded.identity.columns
    names = recorded.identity.feature_names
    wider = first.model_copy(update={"description": "something else"})
    monkeypatch.setattr(
        pipeline,
        "_identity",
        lambda *_, **__: recorded.identity.model_copy(
            update={"columns": (wider, *others), "feature_names": names[1:]}
        ),
    )

    done = run(trained, "train", "--reproduce", "newest")

    assert (done.returncode, "what differs: schema, features." in done.stderr) == (
        3,
        True,
    )
    assert f"features   names: recorded {json.dumps(list(names))}, found" in done.stdout
    assert f"schema     {first.name}: recorded " in done.stdout
    assert "something else" in done.stdout


OTHER: dict[str, tuple[str, Callable[[Identity], Any]]] = {
    "onnx_sha256": ("model", lambda _: "0" * 64),
    "joblib_sha256": ("model", lambda _: "0" * 64),
    "columns": ("schema", lambda identity: identity.columns[1:]),
    "feature_names": ("features", lambda identity: identity.feature_names[1:]),
    "features": ("features", lambda identity: identity.features | {"another": 1}),
    "decision": (
        "decision",
        lambda identity: identity.decision.model_copy(update={"threshold": 0.01}),
    ),
    "data_sha256": ("data", lambda _: "0" * 64),
    "lock_sha256": ("lock", lambda _: "0" * 64),
    "engine_sha256": ("engine", lambda _: "0" * 64),
}


@pytest.mark.parametrize("field", Identity.model_fields)
def test_nothing_that_makes_another_version_passes_unnamed(
    trained: Path, recorded: Metadata, field: str, monkeypatch: pytest.MonkeyPatch
):
    group, change = OTHER[field]
    identity = recorded.identity.model_copy(update={field: change(recorded.identity)})
    number = recorded.version.partition("-")[0]
    found = recorded.model_copy(
        update={"identity": identity, "version": identity.version(number)}
    )
    monkeypatch.setattr(reproduce, "make_version", lambda *_, **__: (found, {}))

    work = open_workspace(PROJECT, trained / "config.yaml")
    done = reproduce.reproduce("newest", work, say=lambda _: None)

    assert not done.identical
    with pytest.raises(
        ReproductionError,
        match=f"came out as {found.version}; what differs: {group}[.]",
    ):
        done.refuse_another()


@pytest.mark.parametrize(("data", "code"), [("the same", 0), ("other", 3)])
@pytest.mark.slow
def test_nothing_is_registered_recorded_or_written(
    own: Path, data: str, code: int, run
):
    if data == "other":
        drop_the_last_customer(own)
    before = all_files(own)

    done = run(own, "train", "--reproduce", "newest")

    assert done.returncode == code, done.stderr
    assert list((own / "models" / EVENTS).iterdir())
    assert all_files(own) == before


@pytest.mark.slow
def test_json_is_one_object_of_what_differs(
    own: Path, version: Path, recorded: Metadata, run
):
    same = run(own, "train", "--reproduce", "newest", "--json")
    found = drop_the_last_customer(own)
    other = run(own, "train", "--reproduce", "newest", "--json")

    answer = json.loads(other.stdout)
    assert json.loads(same.stdout) == {
        "version": version.name,
        "identical": True,
        "differences": {},
    }
    assert (other.returncode, answer["version"], answer["identical"]) == (
        3,
        version.name,
        False,
    )
    assert answer["differences"].keys() == {"data", "model"}
    assert answer["differences"]["data"] == {
        "sha256": {"recorded": recorded.identity.data_sha256, "found": found},
        "rows": {"recorded": 3000, "found": 2999},
    }


@pytest.mark.parametrize("fault", ["absent", "broken"])
def test_without_a_good_table_the_data_that_are_needed_are_named(
    own: Path, recorded: Metadata, fault: str, run
):
    if fault == "absent":
        (own / TABLE).unlink()
    else:
        table = read_table(own / TABLE, CONTRACT)
        write_table(
            table.assign(**{recorded.identity.columns[0].name: "?!"}),
            own / TABLE,
            CONTRACT,
        )

    done = run(own, "train", "--reproduce", "newest", "--faults", "faults.csv")

    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert (
        f"3,000 rows with the data hash {recorded.identity.data_sha256}" in done.stderr
    )
    assert (own / "faults.csv").exists() == (fault == "broken")


def test_a_version_without_its_configuration_answers_but_cannot_be_rebuilt(
    own: Path, run
):
    edit_record(own, lambda record: record.pop("training"))

    evaluated, done = run(own, "evaluate"), run(own, "train", "--reproduce", "newest")

    assert evaluated.returncode == 0
    assert (
        done.returncode,
        "cannot be rebuilt. Raise model.version" in done.stderr,
    ) == (3, True)


def test_a_record_that_this_code_does_not_take_is_refused_by_its_key(own: Path, run):
    edit_record(
        own, lambda record: record["training"]["model"].update({"another_knob": 1})
    )

    done = run(own, "train", "--reproduce", "newest")

    assert done.returncode == 3
    assert (
        f"(model.another_knob). The commit that can: {read_checkout(own).commit}"
        in done.stderr
    )


def test_a_recorded_baseline_on_a_feature_that_is_gone_is_refused_by_its_name(
    own: Path, run
):
    edit_record(
        own, lambda record: record["training"]["baseline"].update({"column": "gone"})
    )

    done = run(own, "train", "--reproduce", "newest")

    assert (done.returncode, "cannot be rebuilt by this code" in done.stderr) == (
        3,
        True,
    )
    assert "'gone'" in done.stderr


def test_a_damaged_or_unknown_version_is_refused_before_any_work(
    own: Path, version: Path, run
):
    (own / "models" / version.name / "model.joblib").write_bytes(b"")

    damaged = run(own, "train", "--reproduce", version.name)
    unknown = run(own, "train", "--reproduce", "0.1.0-00000000")

    assert (damaged.returncode, f"{version.name}/model.joblib" in damaged.stderr) == (
        3,
        True,
    )
    assert (unknown.returncode, "registry list" in unknown.stderr) == (3, True)
    assert "training on" not in damaged.stderr + unknown.stderr


@pytest.mark.slow
def test_a_knob_that_changes_no_answer_changes_no_version_and_the_first_record_is_kept(
    own: Path, version: Path, recorded: Metadata, run
):
    edit_config(own, halve_the_baseline)

    trained_again = json.loads(run(own, "train", "--json").stdout)

    assert trained_again["version"] == version.name
    assert trained_again["training"] == recorded.model_dump(mode="json")["training"]
    assert "baseline" in trained_again["training"]


def test_a_model_of_chance_is_told_to_get_a_seed(own: Path):
    project = replace(PROJECT, training="faulty:unseeded")
    work = open_workspace(project, own / "config.yaml")
    trained = train_version(work, say=lambda _: None)

    done = reproduce.reproduce(trained.metadata.version, work, say=lambda _: None)

    with pytest.raises(ReproductionError, match="give it a seed, random_state"):
        done.refuse_another()
