"""Commands promote and take back: what is asked for, refused and remembered."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conftest import NOBODY, ROOT, TABLE, Done, Run, write_manifest
from git_that_fails import DUBIOUS, say
from own import CONTRACT, ID, PROJECT, TARGET
from skewless.core.checkout import Checkout, read_checkout
from skewless.core.config_file import load_config
from skewless.core.errors import ConfigError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.lifecycle import evidence as gathered
from skewless.lifecycle import promotion
from skewless.lifecycle.evidence import Version, gather
from skewless.models.artifact import METADATA, ONNX
from skewless.models.predict import load_predictor
from skewless.registry.events import Event
from skewless.registry.registry import Registry
from skewless.tables.split import is_holdout
from skewless.tables.table import read_table, write_table
from steady import configure
from versions import holder, put, train

PRODUCTION = ("--to", "production")
FORCED = ("--force", "--reason", "the campaign starts at noon")
MARGIN = 0.005
NUMBER = r"[+-]\d\.\d{5}"
INTERVAL = rf"difference ({NUMBER}) \(({NUMBER}) to ({NUMBER})\), allowed \+{MARGIN}"
LEARNT_BY_HEART = {"learning_rate": 1.0, "min_samples_leaf": 1, "max_leaf_nodes": 500}
LACKS_A_FEATURE = """

_whole = add_features


def add_features(customers, features):
    made = dict(_whole(customers, features))
    made.pop(next(iter(made)))
    return made
"""


@pytest.fixture(scope="module")
def several(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """Return a project and its versions, by what each is; do not change it."""
    folder = tmp_path_factory.mktemp("several") / "project"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("predictions"))
    configure(folder, "gate", margin=MARGIN)
    config = load_config(folder / "config.yaml", PROJECT)
    configure(
        folder, "baseline", probabilities=[0.5] * len(config.baseline.probabilities)
    )
    worse = train(folder, model=LEARNT_BY_HEART)
    resplit = train(folder, data={"holdout_salt": "another"})
    return folder, {"good": train(folder), "worse": worse, "resplit": resplit}


@pytest.fixture
def versions(several: tuple[Path, dict[str, str]]) -> dict[str, str]:
    return several[1]


@pytest.fixture
def own(several: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(several[0], tmp_path / "own"))


@pytest.fixture
def worse(own: Path, versions: dict[str, str]) -> str:
    """Name the version that learnt by heart, which must be worse for it."""
    learnt = Registry(own / "models").load(versions["worse"]).metadata
    assert learnt.metrics["model"]["log_loss"] > 1.1 * math.log(2)
    return versions["worse"]


@pytest.fixture
def decide(own: Path, run: Run) -> Callable[..., Done]:
    """Give a command of the registry."""
    return lambda *words: run(own, "registry", *words)


def last(folder: Path) -> Event:
    return Registry(folder / "models").events()[-1]


def evidence(folder: Path) -> dict[str, bool | None]:
    """Name the checks of the last event, and how they went."""
    return {check.name: check.passed for check in last(folder).evidence}


@pytest.mark.parametrize("command", ["promote", "rollback"])
@pytest.mark.slow
def test_each_command_has_help_with_an_example(
    decide: Callable[..., Done], command: str
):
    done = decide(command, "--help")

    assert (done.returncode, "Example: " in done.stdout) == (0, True)


@pytest.mark.slow
def test_while_nothing_is_in_production_a_version_has_to_beat_the_baseline(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    done = decide("promote", "newest", *PRODUCTION)

    origin, proof, check = last(own).evidence
    rows = Registry(own / "models").load(versions["good"]).metadata.holdout.rows
    assert (done.returncode, holder(own)) == (0, versions["good"]), done.stderr
    assert (last(own).kind, check.name, check.passed) == ("promote", "baseline", True)
    assert (origin.name, origin.passed) == ("artefact", True)
    assert (proof.name, proof.passed) == ("proof", True)
    assert check.facts["difference"]["high"] < 0
    assert check.facts["rows"] == rows
    assert f"passed  baseline: {check.said}" in done.stdout
    assert (
        f"{versions['good']} is in production (event {last(own).number})" in done.stdout
    )


@pytest.mark.slow
def test_a_version_has_to_beat_the_baseline_even_if_nothing_is_in_production(
    own: Path, worse: str, decide: Callable[..., Done]
):
    done = decide("promote", worse, *PRODUCTION)

    assert (done.returncode, holder(own), last(own).kind) == (3, None, "reject")
    assert evidence(own) == {"artefact": True, "proof": True, "baseline": False}


@pytest.mark.parametrize("alias", ["production", "staging"])
@pytest.mark.slow
def test_who_holds_an_alias_already_is_told_so_and_nothing_is_recorded(
    own: Path, decide: Callable[..., Done], alias: str
):
    decide("promote", "newest", "--to", alias)
    before = last(own)

    done = decide("promote", "newest", "--to", alias)
    as_json = decide("promote", "newest", "--to", alias, "--json")

    assert (done.returncode, last(own)) == (0, before)
    assert f"newest is in {alias} already; nothing was recorded" in done.stdout
    assert json.loads(as_json.stdout) == {"recorded": False}


@pytest.mark.slow
def test_a_worse_version_is_refused_with_its_interval_and_what_would_overrule_that(
    own: Path, versions: dict[str, str], worse: str, decide: Callable[..., Done]
):
    put(own, versions["good"])

    done = decide("promote", worse, *PRODUCTION)

    mean, low, high = map(
        float, re.search(rf"FAILED  production: .*{INTERVAL}", done.stderr).groups()
    )
    facts = next(
        check.facts for check in last(own).evidence if check.name == "production"
    )
    assert (done.returncode, holder(own)) == (3, versions["good"])
    assert MARGIN < low < mean < high
    assert facts["difference"] == pytest.approx(
        {"mean": mean, "low": low, "high": high}, abs=1e-5
    )
    assert (last(own).kind, last(own).version) == ("reject", worse)
    assert "--force --reason" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_same_data_give_the_same_evidence_each_time(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    put(own, versions["good"])

    first, again = (decide("promote", versions["worse"], *PRODUCTION) for _ in range(2))

    assert first == again


@pytest.mark.parametrize("reason", [(), ("--reason", ""), ("--reason", " ")])
def test_force_without_a_reason_is_a_usage_error(
    own: Path, decide: Callable[..., Done], reason: tuple[str, ...]
):
    before = last(own)

    done = decide("promote", "newest", *PRODUCTION, "--force", *reason)

    assert (done.returncode, "--reason" in done.stderr, last(own)) == (2, True, before)


@pytest.mark.slow
def test_forced_with_a_reason_it_is_recorded_with_the_evidence_that_was_overruled(
    own: Path,
    versions: dict[str, str],
    worse: str,
    decide: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("CHURN_IMAGE_TAG", "churn:7")
    put(own, versions["good"])

    done = decide("promote", worse, *PRODUCTION, *FORCED)

    assert (done.returncode, holder(own)) == (0, worse), done.stderr
    assert (last(own).reason, last(own).image_tag) == (FORCED[-1], "churn:7")
    assert (
        evidence(own).items()
        >= {"contract": True, "baseline": False, "production": False}.items()
    )
    assert "FAILED  production" in done.stdout


@pytest.mark.slow
def test_the_history_tells_all_that_was_decided_and_why(
    own: Path, versions: dict[str, str], worse: str, decide: Callable[..., Done]
):
    put(own, versions["good"])
    before = len(Registry(own / "models").events())
    decide("promote", worse, *PRODUCTION)
    decide("promote", worse, *PRODUCTION, *FORCED)
    decide("rollback", "--reason", "complaints")

    told = decide("history").stdout
    as_json = [
        json.loads(line) for line in decide("history", "--json").stdout.splitlines()
    ]

    lines = [line for line in told.splitlines() if not line.startswith("      ")][
        before:
    ]
    assert [event["kind"] for event in as_json[before:]] == [
        "reject",
        "promote",
        "rollback",
    ]
    assert [
        json.loads(event.model_dump_json())
        for event in Registry(own / "models").events()
    ] == as_json
    assert f"reject production {versions['worse']} by " in lines[0]
    assert (
        f"promote (forced) production {versions['good']} → {versions['worse']} by "
        in lines[1]
    )
    assert lines[1].endswith(f": {FORCED[-1]}")
    assert (
        f"rollback production {versions['worse']} → {versions['good']} by " in lines[2]
    )
    assert lines[2].endswith(": complaints")
    assert re.search(rf"\n      FAILED  production: .*{INTERVAL}", told)


def test_the_history_of_one_version_is_what_was_decided_about_it(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    for name in ("good", "worse"):
        put(own, versions[name])
    decide("rollback")

    told = [
        json.loads(line)
        for line in decide("history", "production", "--json").stdout.splitlines()
    ]

    assert {versions["good"]} == {
        event["version"] for event in told if event["kind"] != "rollback"
    }
    assert [(told[-1]["before"], told[-1]["version"])] == [
        (versions["worse"], versions["good"])
    ]


@pytest.mark.slow
def test_a_refusal_is_json_too_where_asked(worse: str, decide: Callable[..., Done]):
    done = decide("promote", worse, *PRODUCTION, "--json")

    refusal = json.loads(done.stdout)
    assert (done.returncode, refusal["kind"], refusal["version"]) == (
        3,
        "reject",
        worse,
    )
    assert [check["passed"] for check in refusal["evidence"]] == [True, True, False]


@pytest.mark.slow
def test_a_version_of_uncommitted_code_is_refused_and_says_so_with_its_commit(
    own: Path, decide: Callable[..., Done]
):
    commit = read_checkout(own).commit
    (own / "src/new.py").write_text("# nobody else has this\n")
    version = train(own, model={"max_iter": 30})

    done = decide("promote", version, *PRODUCTION)

    said = (
        f"trained by commit {commit} with uncommitted changes, "
        "so nobody else can rebuild it"
    )
    assert (done.returncode, evidence(own)["artefact"]) == (3, False)
    assert said in done.stderr
    assert (
        Registry(own / "models").load(version).metadata.commit
        == f"{commit} with uncommitted changes"
    )


@pytest.mark.slow
def test_an_edited_configuration_is_no_uncommitted_code_as_its_values_are_recorded(
    own: Path,
):
    for words in (["add", "config.yaml"], [*NOBODY, "commit", "-q", "-m", "Configure"]):
        subprocess.run(["git", *words], cwd=own, check=True)

    version = train(own, model={"max_iter": 31})

    assert Registry(own / "models").load(version).metadata.checkout.state == "clean"


@pytest.mark.posix
@pytest.mark.slow
def test_a_version_of_which_git_could_not_tell_needs_force_and_a_reason(
    own: Path,
    decide: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    say(monkeypatch, tmp_path / "bin", DUBIOUS)
    trained_again = train(own, model={"max_iter": 32})
    reason = "detected dubious ownership in repository at '/srv/churn'"

    done = decide("promote", trained_again, *PRODUCTION)
    refused = evidence(own)["artefact"], holder(own)
    shown = decide("show", trained_again).stdout
    forced = decide("promote", trained_again, *PRODUCTION, *FORCED)

    assert (done.returncode, refused) == (3, (None, None))
    assert (
        "MISSING artefact: whole, its golden rows come out again; "
        f"trained by commit unknown ({reason})" in (done.stderr)
    )
    assert f"| git commit | `unknown ({reason})` |" in shown
    assert (
        "MISSING artefact: whole, its golden rows come out again; "
        f"trained by commit unknown ({reason})" in shown
    )
    assert (forced.returncode, holder(own), last(own).forced) == (
        0,
        trained_again,
        True,
    )
    assert last(own).checkout == Checkout("unknown", reason=reason)


def test_results_are_json_where_asked(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    promoted = json.loads(decide("promote", "newest", *PRODUCTION, "--json").stdout)
    put(own, versions["worse"])
    taken_back = json.loads(decide("rollback", "--json").stdout)

    assert (promoted["recorded"], promoted["kind"], promoted["version"]) == (
        True,
        "promote",
        versions["good"],
    )
    assert promoted["evidence"][2]["name"] == "baseline"
    assert (taken_back["kind"], taken_back["version"]) == ("rollback", versions["good"])


def test_without_the_table_the_evidence_is_missing_and_only_force_goes_on(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    (own / TABLE).unlink()

    done, forced = (
        decide("promote", "newest", *PRODUCTION),
        decide("promote", "newest", *PRODUCTION, *FORCED),
    )

    assert (
        done.returncode,
        f"MISSING holdout: {TABLE} is not here" in done.stderr,
    ) == (3, True)
    assert (forced.returncode, holder(own), evidence(own)["holdout"]) == (
        0,
        versions["good"],
        None,
    )


def test_a_table_with_faults_is_missing_evidence_and_no_customer_of_it_is_remembered(
    own: Path, decide: Callable[..., Done]
):
    table = read_table(own / TABLE, CONTRACT).reset_index(drop=True)
    table.loc[3, TARGET] = 7
    table.loc[4, ID] = table.loc[5, ID]
    write_table(table, own / TABLE, CONTRACT)

    done = decide("promote", "newest", *PRODUCTION)

    assert (done.returncode, evidence(own)["holdout"]) == (3, None)
    assert "rules broken: 2, cells: 2" in done.stderr
    assert table.loc[5, ID] not in last(own).model_dump_json() + done.stderr


@pytest.mark.slow
def test_a_candidate_of_another_table_may_have_seen_those_it_is_measured_on(
    own: Path, decide: Callable[..., Done]
):
    table = read_table(own / TABLE, CONTRACT)
    write_table(table.assign(**{ID: "x-" + table[ID]}), own / "renamed.csv", CONTRACT)
    version = train(own, data={"path": "renamed.csv"}, model=LEARNT_BY_HEART)

    done = decide("promote", version, *PRODUCTION)

    assert (done.returncode, evidence(own)["holdout"]) == (3, None)
    assert f"{TABLE} is not the table that {version} was trained on" in done.stderr


@pytest.mark.parametrize("other", [{"fraction": 0.3}, {"salt": "another"}], ids=str)
def test_who_was_held_out_by_another_rule_is_not_compared(
    own: Path, versions: dict[str, str], other: dict[str, Any]
):
    config, folder = (
        load_config(own / "config.yaml", PROJECT),
        own / "models" / versions["good"],
    )
    work = Workspace(PROJECT, config, own, Settings(_env_file=None))
    metadata, predictor = (
        Registry(own / "models").load(folder.name).metadata,
        load_predictor(folder, PROJECT),
    )
    resplit = metadata.model_copy(
        update={"holdout": metadata.holdout.model_copy(update=other)}
    )

    checks = gather(Version(resplit, predictor), Version(metadata, predictor), work)

    assert ("holdout", False) in [(check.name, check.passed) for check in checks]


@pytest.mark.slow
def test_a_few_customers_held_out_are_no_evidence(
    own: Path, decide: Callable[..., Done]
):
    data, table = (
        load_config(own / "config.yaml", PROJECT).data,
        read_table(own / TABLE, CONTRACT),
    )
    held_out = is_holdout(
        table[ID], fraction=data.holdout_fraction, salt=data.holdout_salt
    )
    few = pd.concat([table[~held_out], table[held_out & (table[TARGET] == 1)][:4]])
    write_table(
        pd.concat([few, table[held_out & (table[TARGET] == 0)][:100]]),
        own / "few.csv",
        CONTRACT,
    )
    configure(own, "data", path="few.csv")

    done = decide("promote", train(own), *PRODUCTION)

    assert (done.returncode, evidence(own)["holdout"]) == (3, None)
    assert "4 records held out with the rarer outcome; 5 are needed" in done.stderr


def test_the_version_tells_who_was_held_out_and_the_baseline_is_kept_with_the_evidence(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    configure(own, "data", holdout_fraction=0.6, holdout_salt="edited since")

    done = decide("promote", "newest", *PRODUCTION)

    facts = last(own).evidence[2].facts
    assert done.returncode == 0, done.stderr
    assert (
        facts["rows"]
        == Registry(own / "models").load(versions["good"]).metadata.holdout.rows
    )
    assert facts["baseline"]["probabilities"] == [0.5] * len(
        facts["baseline"]["probabilities"]
    )


def test_who_decides_records_the_commit_of_the_code_that_decided(
    own: Path, decide: Callable[..., Done]
):
    decide("promote", "newest", *PRODUCTION)

    assert (last(own).kind, last(own).checkout) == ("promote", read_checkout(own))
    assert last(own).checkout.state == "clean"


@pytest.mark.parametrize(
    "reason", ["fine\n   9  promote production", "\x1b[2Jgone", "bad\udcff"]
)
def test_a_reason_that_could_pass_for_another_event_is_a_usage_error(
    own: Path, decide: Callable[..., Done], reason: str
):
    before = last(own)

    done = decide("promote", "newest", *PRODUCTION, "--force", "--reason", reason)

    assert (done.returncode, last(own)) == (2, before)
    assert "--reason is one line of printable text" in done.stderr


def test_a_version_that_was_split_otherwise_saw_customers_that_the_other_holds_out(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    put(own, versions["good"])

    done = decide("promote", versions["resplit"], *PRODUCTION)

    assert (done.returncode, evidence(own)["holdout"]) == (3, False)
    assert "train the candidate with production's" in done.stderr


@pytest.mark.slow
def test_a_group_that_is_another_by_now_is_missing_evidence(
    own: Path, decide: Callable[..., Done]
):
    table = pd.read_csv(own / TABLE, dtype="string", keep_default_na=False)
    households = pd.Series(range(len(table))) // 3
    table.assign(household=households).to_csv(own / TABLE, index=False)
    configure(own, "data", group="household")
    version = train(own)
    assert decide("promote", version, *PRODUCTION).returncode == 0

    again = train(own, model={"max_iter": 30})
    table.assign(household=households + 1).to_csv(own / TABLE, index=False)
    done = decide("promote", again, *PRODUCTION)

    assert (done.returncode, evidence(own)["holdout"]) == (3, None)
    assert "is household of the table what it was? Train on this one" in done.stderr


def test_a_table_without_anybody_held_out_is_missing_evidence(
    own: Path, decide: Callable[..., Done]
):
    data, table = (
        load_config(own / "config.yaml", PROJECT).data,
        read_table(own / TABLE, CONTRACT),
    )
    held_out = is_holdout(
        table[ID], fraction=data.holdout_fraction, salt=data.holdout_salt
    )
    write_table(table[~held_out], own / TABLE, CONTRACT)

    done = decide("promote", "newest", *PRODUCTION)

    assert (done.returncode, evidence(own)["holdout"]) == (3, None)


@pytest.mark.slow
def test_staging_asks_for_no_evidence(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    (own / TABLE).unlink()

    done = decide("promote", versions["worse"], "--to", "staging")
    by_alias = decide("promote", "staging", *PRODUCTION)

    assert (done.returncode, holder(own, "staging"), holder(own)) == (
        0,
        versions["worse"],
        None,
    )
    assert (by_alias.returncode, last(own).version) == (3, versions["worse"])


@pytest.mark.parametrize("name", ["0.1.0-00000000", "nonsense", "production"])
def test_what_is_no_version_is_refused_and_leaves_no_trace(
    own: Path, decide: Callable[..., Done], name: str
):
    before = last(own)

    done = decide("promote", name, *PRODUCTION, *FORCED)

    assert (done.returncode, last(own)) == (3, before)
    assert "registry" in done.stderr


def test_a_damaged_version_can_not_even_be_forced(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    (own / "models" / versions["good"] / ONNX).write_bytes(b"")
    before = last(own)

    done = decide("promote", versions["good"], *PRODUCTION, *FORCED)

    assert (done.returncode, ONNX in done.stderr, last(own)) == (3, True, before)


def test_a_damaged_production_cannot_be_compared_with_but_force_gets_past(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    put(own, versions["worse"])
    (own / "models" / versions["worse"] / ONNX).write_bytes(b"")

    refused = decide("promote", versions["good"], *PRODUCTION)
    kind = last(own).kind
    forced = decide("promote", versions["good"], *PRODUCTION, *FORCED)

    assert (refused.returncode, kind, forced.returncode) == (3, "reject", 0)
    assert "MISSING production: cannot be compared with: " in refused.stderr
    assert (evidence(own), holder(own)) == (
        {"production": None, "artefact": True, "proof": True, "baseline": True},
        versions["good"],
    )


def test_who_decides_after_somebody_else_did_ends_with_one_and_overwrites_nothing(
    own: Path,
    versions: dict[str, str],
    decide: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
):
    load = promotion.open_predictor

    def rival_is_faster(*words: object, **options: object) -> object:
        put(own, versions["worse"])
        return load(*words, **options)

    monkeypatch.setattr(promotion, "open_predictor", rival_is_faster)
    done = decide("promote", "newest", *PRODUCTION)

    assert (done.returncode, holder(own)) == (1, versions["worse"])
    assert (
        f"ada@host promoted {versions['worse']} in production meanwhile" in done.stderr
    )
    assert "registry history" in done.stderr


@pytest.mark.slow
def test_a_rollback_goes_back_and_a_second_one_further_until_there_is_nothing(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    for name in ("resplit", "worse", "worse", "good"):
        put(own, versions[name])

    done = [decide("rollback", "production") for _ in range(3)]

    assert [each.returncode for each in done] == [0, 0, 3]
    assert f"{versions['worse']} is in production again" in done[0].stdout
    assert f"{versions['resplit']} is in production again" in done[1].stdout
    assert "to go back to in production\n`registry history`" in done[2].stderr
    assert holder(own) == versions["resplit"]


def test_each_alias_is_taken_back_on_its_own(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    for alias in ("staging", "production"):
        put(own, versions["worse"], alias)
        put(own, versions["good"], alias)

    done = decide("rollback", "staging")

    assert (done.returncode, holder(own, "staging"), holder(own)) == (
        0,
        versions["worse"],
        versions["good"],
    )


@pytest.mark.slow
def test_after_a_rollback_the_version_that_was_taken_away_may_come_again(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    put(own, versions["worse"])
    put(own, versions["good"])
    decide("rollback")

    again = decide("promote", versions["good"], *PRODUCTION, *FORCED)
    decide("rollback")

    assert (again.returncode, holder(own)) == (0, versions["worse"])


def test_a_version_that_cannot_be_served_is_passed_over_and_named(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    for name in ("good", "resplit", "worse"):
        put(own, versions[name])
    (own / "models" / versions["resplit"] / ONNX).write_bytes(b"")

    done = decide("rollback")

    assert (done.returncode, holder(own)) == (0, versions["good"])
    assert (
        f"FAILED  {versions['resplit']}: {versions['resplit']}/{ONNX}: its SHA-256"
        in done.stdout
    )
    assert (last(own).before, evidence(own)) == (
        versions["worse"],
        {versions["resplit"]: False},
    )


def test_taking_back_to_a_damaged_version_is_refused_and_changes_nothing(
    own: Path, versions: dict[str, str], decide: Callable[..., Done]
):
    put(own, versions["worse"])
    put(own, versions["good"])
    (own / "models" / versions["worse"] / ONNX).write_bytes(b"")

    done = decide("rollback")

    assert (done.returncode, ONNX in done.stderr, holder(own)) == (
        3,
        True,
        versions["good"],
    )


@pytest.mark.slow
def test_a_rollback_to_what_this_code_cannot_serve_names_what_can(
    own: Path,
    tmp_path: Path,
    decide: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
):
    commit = read_checkout(own).commit
    old = train(own, model={"max_iter": 20})
    monkeypatch.setenv("CHURN_IMAGE_TAG", "registry.example/churn:6")
    decide("promote", old, *PRODUCTION, *FORCED)
    monkeypatch.setenv("CHURN_IMAGE_TAG", "registry.example/churn:7")
    decide("promote", old, *PRODUCTION, *FORCED)
    put(own, "0.1.0-00000001")  # which is whole and elsewhere
    code = Path(shutil.copytree(ROOT / "src", tmp_path / "src"))
    with (code / "churn_service/features.py").open("a") as features:
        features.write(LACKS_A_FEATURE)

    done = subprocess.run(
        [sys.executable, "-m", "churn_service", "registry", "rollback"],
        cwd=own,
        env=os.environ | {"PYTHONPATH": str(code)},  # noqa: TID251 - for the child
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, holder(own)) == (3, "0.1.0-00000001")
    assert f"{old} does not fit this code" in done.stderr
    assert f"The commit that can serve it: {commit}" in done.stderr
    assert "The image that can: registry.example/churn:7" in done.stderr


@pytest.mark.slow
def test_a_version_whose_features_came_to_depend_on_other_rows_is_refused(
    own: Path, decide: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
):
    def depends(*_: Any) -> int:
        msg = "features.py: made depends on other records"
        raise ConfigError(msg)

    monkeypatch.setattr(gathered, "prove_rows", depends)

    done = decide("promote", "newest", *PRODUCTION)

    assert (done.returncode, evidence(own)["proof"]) == (3, False)
    assert "features.py: made depends on other records" in done.stderr


def forget_the_proof(metadata: dict[str, Any]) -> None:
    del metadata["proof"]


def take_another_models(metadata: dict[str, Any]) -> None:
    metadata["proof"]["edges"]["probabilities"].reverse()


@pytest.mark.parametrize(
    ("change", "said"), [(forget_the_proof, "MISSING"), (take_another_models, "FAILED")]
)
@pytest.mark.slow
def test_a_version_that_is_not_proven_stays_out_of_production(
    own: Path,
    versions: dict[str, str],
    decide: Callable[..., Done],
    change: Callable[[dict[str, Any]], None],
    said: str,
):
    folder = own / "models" / versions["good"]
    metadata = json.loads((folder / METADATA).read_text())
    change(metadata)
    (folder / METADATA).write_text(json.dumps(metadata))
    write_manifest(folder)

    done = decide("promote", versions["good"], *PRODUCTION)

    assert (done.returncode, holder(own)) == (3, None)
    assert f"{said} proof: " in " ".join(done.stderr.split())
