"""When a version is trained again, and what holds that back.

Also what it learns from, and what is left to read.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from churn_service.train import training
from conftest import TABLE, Done, Run
from fields import field, movable, moved, two_records, wrong
from own import CONTRACT, ID, PROJECT, TARGET
from recorded import write_outcomes
from skewless.core.config_file import load_config
from skewless.core.errors import ConflictError, ParityError, SignatureError
from skewless.core.feature_matrix import feature_matrix
from skewless.core.workspace import open_workspace
from skewless.lifecycle import retrain as retraining
from skewless.lifecycle.promotion import Promotion
from skewless.models.artifact import Artifact, read_artifact
from skewless.models.predict import Predictor, load_predictor
from skewless.monitoring.drift import SCORE
from skewless.monitoring.learned import Growth, grow
from skewless.monitoring.place import Log
from skewless.monitoring.triggers import STAMP, judge
from skewless.registry.registry import Registry
from skewless.tables.faults import check_table
from skewless.tables.split import is_holdout
from skewless.tables.table import read_table
from skewless.training import pipeline
from steady import configure
from versions import holder, put
from windows import Values, customers, write_log

ROWS = 300
NOUN = CONTRACT.noun
MOVED = movable().name
OTHERS = [column.name for column in CONTRACT.columns if column.name != MOVED]
TIMES = 3
LONGEST_SECONDS = 8.0
NEVER = {
    "max_flip_share": 1.0,
    "max_psi": 10.0,
    "max_latency_ratio": 1000.0,
    "margin": 1.0,
}  # refuses, of these


@pytest.fixture(scope="module")
def predictor(version: Path) -> Predictor:
    return load_predictor(version, PROJECT)


@pytest.fixture
def own(trained: Path, version: Path, tmp_path: Path) -> Path:
    folder = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    configure(folder, "retrain", min_new_outcomes=100)
    put(folder, version.name)
    return folder


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def ask(
    own: Path, predictor: Predictor, now: datetime
) -> Callable[..., tuple[list[str], Values]]:
    """Log answers, some days old, to customers like the training table's.

    Some columns may be changed.
    """

    def asked(
        days: float, *, shifts: bool = False, ids: list[str] | None = None
    ) -> tuple[list[str], Values]:
        values = customers(ROWS, 5)
        if shifts:
            values[MOVED] = moved(values[MOVED], movable())
        values[SCORE] = predictor.probabilities(values)
        ids = ids or [f"c-{days}-{row}" for row in range(ROWS)]
        write_log(
            own / "predictions",
            predictor.version,
            values,
            time=now - timedelta(days=days),
            ids=ids,
        )
        return ids, values

    return asked


@pytest.fixture
def tell(own: Path, now: datetime) -> Callable[..., None]:
    """Record outcomes of customers as of now, as many as the probabilities say.

    That holds for high probabilities and for low ones.
    """

    def told(ids: list[str], chances: np.ndarray) -> None:
        order = np.argsort(chances)
        drawn = (
            np.diff(np.round(np.cumsum(chances[order])), prepend=0)
            .astype(int)[np.argsort(order)]
            .tolist()
        )
        moment = now.isoformat()
        lines = [
            {
                "recorded_at": moment,
                "record": name,
                "outcome": outcome,
                "observed_at": moment,
            }
            for name, outcome in zip(ids, drawn, strict=True)
        ]
        write_outcomes(own / "predictions", lines)

    return told


@pytest.fixture
def shifted(ask: Callable[..., Any], tell: Callable[..., None]) -> None:
    """Let a column drift in both windows; the older one's outcomes are known."""
    ids, values = ask(10, shifts=True)
    ask(2, shifts=True)
    tell(ids, values[SCORE])


@pytest.fixture
def retrain(own: Path, run: Run) -> Callable[..., tuple[Done, dict[str, Any]]]:
    def retrained(*words: str) -> tuple[Done, dict[str, Any]]:
        done = run(own, "retrain", "--json", *words)
        return done, json.loads(done.stdout)

    return retrained


def applying(found: dict[str, Any], kind: str) -> list[str]:
    return [reason["name"] for reason in found["verdict"][kind] if reason["applies"]]


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def records(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(path.read_text())
        for path in sorted((folder / "predictions/retrain").glob("2*.json"))
    ]


@pytest.mark.slow
def test_without_a_reason_nothing_is_done_and_the_figures_are_told(
    own: Path, ask: Callable[..., Any], tell: Callable[..., None], run: Run
):
    for days in (10, 2):
        ids, values = ask(days)
        tell(ids, values[SCORE])

    done = run(own, "retrain")

    said = done.stdout
    assert (done.returncode, said.splitlines()[-1], records(own)) == (
        0,
        "nothing to do",
        [],
    ), done.stderr
    assert (
        "trigger  no  drift: nothing in both windows "
        f"(PSI: nothing in {ROWS} {NOUN.many}, then nothing in {ROWS}" in said
    )
    assert "trigger  no  outcomes: as expected in" in said
    assert f"brake    no  too few outcomes: {2 * ROWS} {NOUN.many} with" in said
    assert "cool-down: never retrained" in said


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_drift_in_two_windows_trains_a_version_and_then_comes_the_cool_down(
    own: Path, version: Path, retrain: Callable[..., Any]
):
    before = read_table(own / TABLE, CONTRACT)
    done, found = retrain()
    again, held = retrain()

    new = holder(own, "staging")
    events = Registry(own / "models").events()
    assert (done.returncode, found["result"], found["trained"]) == (
        0,
        "staging",
        new,
    ), done.stderr
    assert (applying(found, "triggers"), applying(found, "brakes")) == (["drift"], [])
    assert MOVED in found["verdict"]["triggers"][0]["said"]
    assert (holder(own), new == version.name) == (version.name, False)
    assert (
        events[-1].reason
        == f"retrain: drift: {found['verdict']['triggers'][0]['said']}"
    )
    assert records(own) == [found]
    assert {check["name"] for check in found["evidence"]} >= {
        "artefact",
        "baseline",
        "production",
        "replay",
    }
    table = check_table(read_table(own / found["table"], CONTRACT), CONTRACT)
    assert (len(table), found["growth"]["added"]) == (len(before) + ROWS, ROWS)
    assert Registry(own / "models").load(
        new
    ).metadata.identity.data_sha256 == pipeline.data_hash(table)
    assert (again.returncode, held["result"], applying(held, "brakes")) == (
        0,
        "held back",
        ["cool-down"],
    )
    assert len(records(own)) == 1


def test_drift_in_one_window_could_be_a_campaign_and_is_no_reason(
    ask: Callable[..., Any], retrain: Callable[..., Any]
):
    ask(10)
    ask(2, shifts=True)

    done, found = retrain()

    assert (done.returncode, found["result"], applying(found, "triggers")) == (
        0,
        "nothing to do",
        [],
    )
    said = found["verdict"]["triggers"][0]["said"]
    assert said.startswith("nothing in both windows (PSI: nothing in ")
    assert f"{MOVED} " in said.partition(", then ")[2]
    assert said.endswith(f" in {ROWS} {NOUN.many})")


def test_outcomes_that_contradict_the_probabilities_are_a_reason(
    ask: Callable[..., Any], tell: Callable[..., None], retrain: Callable[..., Any]
):
    ids, values = ask(0.05)
    tell(ids, 1 - values[SCORE])

    done, found = retrain("--dry-run")

    assert (done.returncode, found["result"], applying(found, "triggers")) == (
        0,
        "would train",
        ["outcomes"],
    )
    assert "log loss" in found["verdict"]["triggers"][1]["said"]


def test_age_is_a_reason_and_too_few_new_outcomes_hold_it_back(
    own: Path, retrain: Callable[..., Any]
):
    configure(own, "retrain", max_age_days=1e-9)

    done, found = retrain()

    assert (done.returncode, found["result"], applying(found, "triggers")) == (
        0,
        "held back",
        ["age"],
    )
    assert applying(found, "brakes") == ["too few outcomes"]
    assert found["verdict"]["brakes"][0]["said"].startswith(f"0 {NOUN.many} ")


def test_outcomes_that_were_known_before_the_version_was_trained_are_not_new(
    own: Path, ask: Callable[..., Any], now: datetime, retrain: Callable[..., Any]
):
    ids, _ = ask(10)
    moment = (now - timedelta(days=1)).isoformat()
    row = {"recorded_at": moment, "outcome": 1, "observed_at": moment}
    write_outcomes(own / "predictions", [row | {"record": name} for name in ids])

    _, found = retrain()

    assert found["verdict"]["brakes"][0]["said"].startswith(f"0 {NOUN.many} ")


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_while_nothing_is_in_production_nothing_is_trained(
    own: Path, retrain: Callable[..., Any]
):
    max((own / "models/events").glob("*.json")).unlink()  # the promotion
    before = Registry(own / "models").versions()

    done, found = retrain()

    assert (done.returncode, found["result"]) == (0, "held back")
    assert applying(found, "brakes") == ["production"]
    assert Registry(own / "models").versions() == before


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_a_file_of_the_log_that_is_there_twice_adds_nobody_twice(
    own: Path, retrain: Callable[..., Any]
):
    for path in list((own / "predictions").glob("*.jsonl")):
        shutil.copy(path, path.with_name(f"{path.name[:10]}.restored.000.jsonl"))

    done, found = retrain()

    assert (done.returncode, found["growth"]["added"]) == (0, ROWS), done.stderr


@pytest.mark.fault
@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_a_disk_that_fails_leaves_a_record_with_the_reason_and_no_table(
    own: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(retraining, "train_version", fail)

    done = run(own, "retrain")

    (record,) = records(own)
    assert (done.returncode, record["result"], record["exit_code"]) == (1, "failed", 1)
    assert "No space left on device" in record["said"]
    assert not list((own / "data").glob("*.retrain-*"))


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_a_dry_run_says_what_would_be_done_and_writes_nothing(own: Path, run: Run):
    before = files(own)

    done = run(own, "retrain", "--dry-run")

    assert (done.returncode, files(own)) == (0, before), done.stderr
    assert done.stdout.splitlines()[-1] == "would train"
    assert f"{ROWS} added and 0 replaced by the log" in done.stdout


@pytest.mark.usefixtures("shifted")
@pytest.mark.parametrize(
    ("left", "said"),
    [("ada@host, since noon,", "ada@host, since noon,"), (None, "another process")],
)
def test_of_two_at_once_the_second_does_nothing_and_says_who_is_about_it(
    own: Path, retrain: Callable[..., Any], left: str | None, said: str
):
    folder = own / "predictions/retrain"
    folder.mkdir()
    if left is not None:
        (folder / ".running").write_text(left)

    with FileLock(folder / ".lock"):
        done, found = retrain()

    assert (done.returncode, found["result"]) == (0, "busy")
    assert found["said"] == f"{said} is about it; nothing was done"
    assert holder(own, "staging") is None


@pytest.mark.usefixtures("shifted")
@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_killed_at_any_moment_it_loses_nothing_and_the_next_run_goes_on(
    own: Path, version: Path, run: Run, tmp_path: Path
):
    random = np.random.default_rng(1)
    lines = {path: path.read_bytes() for path in own.glob("predictions/*.jsonl")}

    for attempt in range(TIMES):
        place = Path(shutil.copytree(own, tmp_path / f"{attempt}"))
        killed = subprocess.Popen(
            [sys.executable, "-m", "churn_service", "retrain"],
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with suppress(subprocess.TimeoutExpired):
            killed.wait(random.uniform(0, LONGEST_SECONDS))
        killed.kill()
        killed.wait()

        verified = run(place, "registry", "verify")
        again = run(place, "retrain", "--json")

        assert verified.returncode == 0, verified.stderr
        assert again.returncode == 0, again.stderr
        result = json.loads(again.stdout)["result"]
        assert result == "staging" or holder(place, "staging")
        assert holder(place) == version.name
        assert run(place, "registry", "verify").returncode == 0
        for path, written in lines.items():
            assert (place / path.relative_to(own)).read_bytes() == written
        shutil.rmtree(place)


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_the_gate_stands_before_production_and_its_refusal_is_kept(
    own: Path, version: Path, run: Run, tmp_path: Path
):
    configure(own, "retrain", promote="production")
    configure(own, "gate", **NEVER, replay_requests=10_000)

    done = run(own, "retrain")

    (record,) = records(own)
    assert (done.returncode, record["result"], record["exit_code"]) == (
        3,
        "refused",
        3,
    ), done.stderr
    assert (holder(own), holder(own, "staging")) == (version.name, record["trained"])
    assert "MISSING replay: the log here holds" in done.stdout
    assert record["said"] == f"{record['trained']} stays out of production"
    assert [check["name"] for check in record["evidence"] if not check["passed"]] == [
        "replay"
    ]
    assert not [
        path for path in tmp_path.rglob(".*") if path.name not in {".lock", ".git"}
    ]


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_into_production_if_that_is_configured_and_the_evidence_holds(
    own: Path, retrain: Callable[..., Any]
):
    configure(own, "retrain", promote="production")
    configure(own, "gate", **NEVER, replay_requests=ROWS)

    done, found = retrain()

    assert (done.returncode, found["result"], holder(own)) == (
        0,
        "production",
        found["trained"],
    ), done.stderr
    assert all(check["passed"] for check in found["evidence"])
    assert records(own) == [found]


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_a_table_that_is_refused_leaves_a_record_that_names_no_customer(
    own: Path, run: Run
):
    table = (own / TABLE).read_text()
    (own / TABLE).write_text(table + table.splitlines()[1] + "\n")

    done = run(own, "retrain")

    (record,) = records(own)
    twice = table.splitlines()[1].split(",")[0]
    assert (done.returncode, record["result"], record["trained"]) == (
        3,
        "refused",
        None,
    )
    assert record["said"] == f"rules broken: 1, cells: 1: {ID} must be unique"
    assert (twice in done.stderr, twice in json.dumps(record)) == (True, False)


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_what_was_logged_has_no_group_so_a_grouped_table_does_not_grow(
    own: Path, run: Run
):
    configure(own, "data", group="household")

    done = run(own, "retrain")

    (record,) = records(own)
    assert (done.returncode, record["trained"]) == (2, None)
    assert "what was logged has no household" in record["said"]
    assert "train, or leave data.group out" in done.stderr
    assert files(own / "data") == {(own / TABLE).relative_to(own / "data")}


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_whatever_fails_in_between_leaves_a_record(
    own: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any, **__: Any) -> None:
        msg = "0.1 apart"
        raise ParityError(msg)

    monkeypatch.setattr(pipeline, "prove_model", fail)

    done = run(own, "retrain")

    (record,) = records(own)
    assert (done.returncode, record["result"], record["said"]) == (
        3,
        "refused",
        "0.1 apart",
    )
    assert (record["growth"]["added"], holder(own, "staging")) == (ROWS, None)


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_somebody_who_decides_meanwhile_is_no_refusal_but_a_failure_and_leaves_a_record(
    own: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    def come_first(*_: Any, **__: Any) -> None:
        msg = "ada@host promoted another meanwhile"
        raise ConflictError(msg)

    monkeypatch.setattr(Promotion, "promote", come_first)

    done = run(own, "retrain")

    (record,) = records(own)
    assert (done.returncode, record["result"], record["exit_code"]) == (1, "failed", 1)
    assert record["trained"] is not None
    assert done.stdout.splitlines()[-2:] == [
        f"failed: {record['said']}",
        f"record: {record['file']}",
    ]


@pytest.mark.usefixtures("shifted")
def test_a_version_from_before_there_were_references_can_still_be_too_old(
    own: Path, now: datetime
):
    class Old(Registry):
        def load(self, name: str | None = None) -> Artifact:
            found = super().load(name)
            metadata = found.metadata.model_copy(update={"reference": None})
            return found.model_copy(update={"metadata": metadata})

    configure(own, "retrain", max_age_days=1e-9)

    work = open_workspace(PROJECT, own / "config.yaml")
    verdict = judge(work, Old(own / "models"), now=now + timedelta(seconds=1))

    assert [reason.name for reason in verdict.triggered] == ["age"]
    assert verdict.triggers[0].said == "the version holds no reference to compare with"


@pytest.mark.usefixtures("shifted")
@pytest.mark.parametrize("hidden", [*OTHERS[-1:], ID])
@pytest.mark.slow
def test_what_privacy_hides_holds_back_until_the_table_is_another(
    own: Path, retrain: Callable[..., Any], hidden: str
):
    configure(own, "monitoring", privacy={hidden: "drop"})

    done, found = retrain()
    table = (own / TABLE).read_text().splitlines()
    (own / TABLE).write_text("\n".join(table[:-1]) + "\n")
    renewed = retrain("--dry-run")[1]

    said = found["verdict"]["brakes"][-1]["said"]
    assert (done.returncode, found["result"], applying(found, "brakes")) == (
        0,
        "held back",
        ["privacy"],
    )
    assert said.startswith(
        f"monitoring.privacy hides {hidden}, so the log adds nothing"
    )
    assert (renewed["result"], renewed["growth"]["added"]) == ("would train", 0)


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_privacy_holds_back_if_a_version_of_the_table_cannot_be_read(
    own: Path, version: Path, retrain: Callable[..., Any]
):
    configure(own, "monitoring", privacy={OTHERS[-1]: "drop"})
    table = (own / TABLE).read_text().splitlines()
    (own / TABLE).write_text("\n".join(table[:-1]) + "\n")
    shutil.copytree(version, own / "models/0.0.1-00000000")

    done, found = retrain()

    said = found["verdict"]["brakes"][-1]["said"]
    assert (done.returncode, found["result"], applying(found, "brakes")) == (
        0,
        "held back",
        ["privacy"],
    )
    assert (
        f"nobody can tell whether a version was trained on {TABLE} before: "
        "0.0.1-00000000: " in said
    )


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_a_try_whose_record_is_damaged_counts_for_the_cool_down(
    own: Path, now: datetime, retrain: Callable[..., Any]
):
    records = own / "predictions/retrain"
    records.mkdir()
    (records / f"{now - timedelta(days=1):{STAMP}}.json").write_text('{"result": "refu')
    (records / "notes.json").write_text("no record")

    done, found = retrain()

    said = found["verdict"]["brakes"][1]["said"]
    assert (done.returncode, found["result"], applying(found, "brakes")) == (
        0,
        "held back",
        ["cool-down"],
    )
    assert re.match(r"tried, with a record that cannot be read, 1.0 days ago", said)


ODD = ["", "x", "2026-02-30T00:00:00Z", "2026-01-01", "infinity", 5, None]
ODD += ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", ["2026"]]


@pytest.mark.parametrize("time", ODD, ids=str)
@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_an_odd_time_in_the_log_or_in_a_record_of_a_try_ends_nothing_in_a_traceback(
    own: Path, run: Run, now: datetime, time: Any
):
    for path in (own / "predictions").rglob("*.jsonl"):
        entry = json.loads(path.read_text().splitlines()[0])
        name = "time" if "time" in entry else "recorded_at"
        with path.open("a") as file:
            file.write(json.dumps(entry | {name: time}) + "\n")
    tries = own / "predictions/retrain"
    tries.mkdir()
    record = json.dumps({"result": "refused", "time": time})
    (tries / f"{now - timedelta(days=100):{STAMP}}.json").write_text(record)

    drift, dry = run(own, "drift"), run(own, "retrain", "--dry-run")

    assert (drift.returncode, "Traceback" in drift.stderr) == (3, False), drift.stderr
    assert (dry.returncode, "Traceback" in dry.stderr) == (0, False), dry.stderr


@pytest.mark.parametrize("time", ODD, ids=str)
def test_an_odd_time_in_an_event_is_named_and_ends_nothing_in_a_traceback(
    own: Path, run: Run, time: Any
):
    path = max((own / "models/events").glob("*.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"time": time}))

    for words in (["drift"], ["retrain", "--dry-run"]):
        done = run(own, *words)
        assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
        assert f"events/{path.name}" in done.stderr


def log_of_nobody(own: Path, ask: Callable[..., Any], now: datetime) -> None:
    """Let a column drift in both windows, with answers that name nobody.

    Outcomes of these answers are known.
    """
    ask(10, shifts=True, ids=[None] * ROWS)
    ask(2, shifts=True)
    lines = (
        next((own / "predictions").glob(f"{(now - timedelta(days=10)).date()}*"))
        .read_text()
        .splitlines()
    )
    known = [json.loads(line)["answer"]["prediction_id"] for line in lines]
    said = {"recorded_at": now.isoformat(), "observed_at": now.isoformat()}
    told = [
        said | {"prediction_id": each, "outcome": row % 2}
        for row, each in enumerate(known)
    ]
    write_outcomes(own / "predictions", told)


@pytest.mark.slow
def test_the_same_version_again_is_refused_once_and_not_every_night(
    own: Path, ask: Callable[..., Any], now: datetime, retrain: Callable[..., Any]
):
    log_of_nobody(own, ask, now)

    done, found = retrain()
    # cut short by a power cut
    (own / "predictions/retrain/2026-01-01T000000Z.json").write_text('{"result": "refu')
    again, held = retrain()
    (own / "predictions/retrain" / Path(found["file"]).name).unlink()
    mended = retrain("--dry-run")[1]

    assert (done.returncode, found["result"], found["table"]) == (
        3,
        "refused",
        TABLE,
    ), done.stderr
    assert f"{TABLE} holds nothing that it did not know" in found["said"]
    assert found["trained"] is None
    assert (again.returncode, held["result"], applying(held, "brakes")) == (
        0,
        "held back",
        ["cool-down"],
    )
    assert re.match(
        r"refused \S+ days ago; retrain.cool_down_days is 7$",
        held["verdict"]["brakes"][1]["said"],
    )
    assert mended["result"] == "would train"


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_a_table_that_came_out_as_the_version_that_answers_does_not_stay(
    own: Path,
    version: Path,
    retrain: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
):
    trained = read_artifact(version)
    monkeypatch.setattr(retraining, "train_version", lambda *_, **__: trained)

    done, found = retrain()

    assert (done.returncode, found["result"], found["growth"]["added"]) == (
        3,
        "refused",
        ROWS,
    )
    assert not list((own / "data").glob("*.retrain-*"))


@pytest.mark.usefixtures("shifted")
@pytest.mark.slow
def test_a_version_that_staging_refuses_is_not_trained_again_each_night(
    own: Path, retrain: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: Any, **__: Any) -> None:
        msg = "it is not signed"
        raise SignatureError(msg)

    monkeypatch.setattr(Promotion, "promote", refuse)

    done, found = retrain()
    again, held = retrain()

    assert (done.returncode, found["result"], again.returncode) == (3, "refused", 0)
    assert applying(held, "brakes") == ["cool-down"]
    # only that of a version that is registered
    assert len(list((own / "data").glob("*.retrain-*"))) == 1


@pytest.mark.slow
def test_who_was_held_out_stays_held_out(
    own: Path,
    ask: Callable[..., Any],
    tell: Callable[..., None],
    retrain: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
):
    config = load_config(own / "config.yaml", PROJECT)
    split = {"fraction": config.data.holdout_fraction, "salt": config.data.holdout_salt}
    before = check_table(read_table(own / TABLE, CONTRACT), CONTRACT)
    ids, values = ask(10, shifts=True, ids=before[ID].head(ROWS).tolist())
    ask(2, shifts=True)
    tell(ids, values[SCORE])
    fit, seen = training.train, []
    watched = replace(
        training, train=lambda matrix, *rest: seen.append(matrix) or fit(matrix, *rest)
    )
    monkeypatch.setattr("churn_service.train.training", watched)

    done, found = retrain()

    table = check_table(read_table(own / found["table"], CONTRACT), CONTRACT)
    held_out = is_holdout(table[ID], **split)
    assert (done.returncode, found["growth"]["replaced"], len(table)) == (
        0,
        ROWS,
        len(before),
    ), done.stderr
    assert set(table[ID][held_out]) == set(before[ID][is_holdout(before[ID], **split)])
    assert np.array_equal(
        seen[0],
        feature_matrix(PROJECT, table[~held_out], config.features),
        equal_nan=True,
    )


@pytest.fixture
def known(own: Path, predictor: Predictor, now: datetime) -> Callable[..., None]:
    """Log one customer's record and its outcome."""

    def log(name: str | None, days: float, outcome: int, **changed: Any) -> None:
        values = {each: cells[:1] for each, cells in customers(1, 5).items()}
        values |= {
            each: np.array([cell], dtype=object) for each, cell in changed.items()
        }
        write_log(
            own / "predictions",
            predictor.version,
            values,
            time=now - timedelta(days=days),
            ids=[name],
        )
        written = max(
            (own / "predictions").glob("*.jsonl"),
            key=lambda path: path.stat().st_mtime_ns,
        )
        prediction = json.loads(written.read_text())["answer"]["prediction_id"]
        line = {
            "recorded_at": now.isoformat(),
            "prediction_id": prediction,
            "outcome": outcome,
        }
        write_outcomes(own / "predictions", [line | {"observed_at": None}])

    return log


def grown(folder: Path, now: datetime) -> tuple[pd.DataFrame, Growth]:
    table = check_table(read_table(folder / TABLE, CONTRACT), CONTRACT).head(3)
    work = open_workspace(PROJECT, folder / "config.yaml")
    return grow(
        table, Log(folder / "predictions"), work, now=now + timedelta(seconds=1)
    )


def test_of_each_customer_the_latest_record_counts_with_its_own_label(
    own: Path, known: Callable[..., None], now: datetime
):
    first = check_table(read_table(own / TABLE, CONTRACT), CONTRACT)[ID].iloc[0]
    before, latest = (record[MOVED] for record in two_records())
    for days, outcome, value in ((3, 1, before), (1, 0, latest), (2, 1, before)):
        known("c-1", days, outcome, **{MOVED: value})
    known(first, 1, 1, **{MOVED: before})

    table, growth = grown(own, now)

    rows = table.set_index(ID)
    assert (len(table), growth.added, growth.replaced) == (4, 1, 1)
    assert rows.loc["c-1", [MOVED, TARGET]].tolist() == [latest, 0]
    assert rows.loc[first, [MOVED, TARGET]].tolist() == [before, 1]
    assert check_table(table, CONTRACT).equals(table)


def test_who_has_no_id_or_breaks_the_contract_is_left_out_and_counted(
    own: Path, known: Callable[..., None], now: datetime
):
    known(None, 1, 1)
    known("c-1", 1, 1, **{MOVED: wrong(movable())})
    known(
        "c-2",
        1,
        1,
        **{
            field("integer", "number", "boolean", "category", nullable=False).name: None
        },
    )

    table, growth = grown(own, now)

    assert growth == Growth(rows=3, without_id=1, broken=2)
    assert len(table) == 3


def test_an_outcome_that_is_not_known_yet_adds_nobody(
    own: Path, known: Callable[..., None], now: datetime
):
    known("c-1", 1, 1)

    assert grown(own, now - timedelta(hours=1))[1] == Growth(rows=3)


def test_without_a_log_there_is_nothing_to_learn_from(own: Path, run: Run):
    configure(own, "monitoring", prediction_log=None)

    done = run(own, "retrain")

    assert (
        done.returncode,
        "monitoring.prediction_log: found null" in done.stderr,
    ) == (2, True)


def test_the_command_has_help_with_an_example(own: Path, run: Run):
    assert "Example: " in run(own, "retrain", "--help").stdout
