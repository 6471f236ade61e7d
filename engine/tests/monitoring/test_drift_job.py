"""From the log to what drifted, and to what a person and a program are told.

Also who counts, and what is mapped back.
"""

import json
import math
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from conftest import Run
from fields import movable, moved
from own import CONTRACT, ID, PROJECT, service_of
from scraped import read
from skewless.cli.drift_commands import moment
from skewless.core.config_file import load_config
from skewless.core.errors import ConfigError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.artifact import read_artifact
from skewless.models.predict import Predictor, load_predictor
from skewless.models.reference import Reference, freeze, is_missing, psi
from skewless.monitoring.drift import SCORE
from skewless.monitoring.drift_figures import FILE, Figures, drift_gauges
from skewless.monitoring.drift_job import Scope, Span, find_drift
from skewless.monitoring.file_gauges import MOST_BYTES
from skewless.monitoring.impact import column_effects, map_back
from skewless.monitoring.place import Log
from skewless.monitoring.views import open_views
from skewless.serving.follow import find_models as models
from steady import configure
from versions import put
from windows import Values, customers, write_log

ROWS = 400
MOVED = movable().name
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def predictor(version: Path) -> Predictor:
    return load_predictor(version, PROJECT)


@pytest.fixture(scope="module")
def reference(version: Path) -> Reference:
    return read_artifact(version).metadata.reference


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )


@pytest.fixture
def ask(own: Path, predictor: Predictor) -> Callable[..., Values]:
    """Log answers to customers like the training table's.

    Some columns are changed; None leaves one out.
    """

    def asked(
        seed: int = 5,
        rows: int = ROWS,
        privacy: dict[str, str] | None = None,
        **changed: Any,
    ) -> Values:
        values = customers(rows, seed)
        answers = {
            name: each
            for name, each in changed.items()
            if each is not None and name not in (privacy or {})
        }
        values[SCORE] = predictor.probabilities({**values, **answers})
        values = {
            name: each for name, each in (values | changed).items() if each is not None
        }
        ids = [f"c-{seed}-{row}" for row in range(rows)]
        write_log(
            own / "predictions",
            predictor.version,
            values,
            time=NOW - timedelta(hours=2),
            ids=ids,
            privacy=privacy,
        )
        return values

    return asked


def states(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in found["findings"]}


def test_healthy_traffic_is_no_alarm_and_its_figures_are_kept(
    own: Path, ask: Callable[..., Values], run: Run
):
    ask()

    done = run(own, "drift", "--json")

    found = json.loads(done.stdout)
    assert (done.returncode, found["rows"], set(states(found).values())) == (
        0,
        ROWS,
        {"ok"},
    ), done.stderr
    assert json.loads((own / "predictions" / FILE).read_text()) == found


def test_a_shift_is_an_alarm_that_names_the_column_and_what_it_does(
    own: Path, ask: Callable[..., Values], run: Run
):
    ask(**{MOVED: moved(customers(ROWS, 5)[MOVED], movable())})

    done = run(own, "drift", "--json")

    found = json.loads(done.stdout)
    first = next(each for each in found["findings"] if each["kind"] == "column")
    assert (done.returncode, first["name"], first["state"]) == (3, MOVED, "drift"), (
        done.stderr
    )
    assert first["impact"] == pytest.approx(
        max(each["impact"] or 0 for each in found["findings"])
    )
    assert abs(first["mean_change"]) > 0.02


def test_a_person_reads_the_worst_first_and_what_to_do(
    own: Path, ask: Callable[..., Values], run: Run
):
    ask(**{MOVED: moved(customers(ROWS, 5)[MOVED], movable())})

    lines = run(own, "drift").stdout.splitlines()

    assert f"{ROWS} {CONTRACT.noun.many} in {ROWS} answers" in lines[0]
    rows = [line.split()[:2] for line in lines[2:-1]]
    assert rows == sorted(rows, key=lambda row: ["drift", "ok"].index(row[1]))
    assert [MOVED, "drift"] in rows
    assert lines[-1].startswith("what to do: look where the first of these")


def test_a_column_that_no_longer_comes_is_broken(
    own: Path, ask: Callable[..., Values], run: Run
):
    ask(**{MOVED: None})

    done = run(own, "drift", "--json")

    assert (done.returncode, states(json.loads(done.stdout))[MOVED]) == (3, "broken"), (
        done.stderr
    )


def test_what_privacy_hides_is_not_judged_and_that_is_said(
    own: Path, ask: Callable[..., Values], run: Run
):
    configure(own, "monitoring", privacy={MOVED: "drop", ID: "drop"})
    ask(**{MOVED: None})

    done, said = run(own, "drift", "--json"), run(own, "drift").stdout

    found = json.loads(done.stdout)
    assert (done.returncode, found["hidden"], MOVED in states(found)) == (
        0,
        [MOVED],
        False,
    )
    assert {each["mean_change"] for each in found["findings"]} == {None}
    assert f"not judged, as monitoring.privacy hides it: {MOVED}" in said


def test_a_column_that_privacy_hid_for_a_while_is_judged_by_the_other_rows_alone(
    own: Path, ask: Callable[..., Values], run: Run
):
    ask()
    text = np.array(["0a1b"] * (ROWS // 2), dtype=object)
    ask(seed=6, rows=ROWS // 2, privacy={MOVED: "hash"}, **{MOVED: text})

    done, said = run(own, "drift", "--json"), run(own, "drift").stdout

    found = json.loads(done.stdout)
    assert (done.returncode, found["rows"]) == (0, ROWS * 3 // 2), done.stderr
    assert (found["hidden"], found["left_out"]) == ([], {MOVED: ROWS // 2})
    assert states(found)[MOVED] == "ok"
    assert {each["mean_change"] for each in found["findings"]} == {None}
    assert f"privacy hid {MOVED} in {ROWS // 2} of {ROWS * 3 // 2} " in said
    assert ": judged without them" in said


@pytest.mark.parametrize(
    "time", ['"x"', "5", "null", '["2026"]', '"2026-02-30T00:00:00Z"', '"infinity"']
)
def test_an_odd_time_in_a_line_is_counted_and_ends_nothing_in_a_traceback(
    own: Path, ask: Callable[..., Values], run: Run, time: str
):
    ask()
    (path,) = (own / "predictions").glob("*.jsonl")
    line, *_ = path.read_text().splitlines()
    known = json.loads(line)["time"]
    with path.open("a") as file:
        file.write(line.replace(json.dumps(known), time) + "\n")

    done = run(own, "drift", "--json")

    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert json.loads(done.stdout)["rows_unreadable"] == 1


def test_few_customers_are_no_alarm_and_the_number_that_is_needed_is_said(
    own: Path, ask: Callable[..., Values], run: Run
):
    ask(rows=20)

    done = run(own, "drift", "--json")

    found = json.loads(done.stdout)
    assert (done.returncode, states(found)[MOVED]) == (0, "insufficient_data"), (
        done.stderr
    )
    assert all(each["rows_needed"] > 20 for each in found["findings"])


@pytest.mark.parametrize(
    "words",
    [
        ["--since", "1h"],
        ["--until", "3h"],
        ["--since", "2020-01-01", "--until", "2020-01-02"],
    ],
)
def test_only_the_span_that_is_asked_for_counts(
    own: Path, ask: Callable[..., Values], run: Run, words: list[str]
):
    ask()

    done = run(own, "drift", "--json", *words)

    found = json.loads(done.stdout)
    assert (done.returncode, found["rows"], set(states(found).values())) == (
        0,
        0,
        {"insufficient_data"},
    )


def test_what_another_version_answered_does_not_count(
    own: Path, ask: Callable[..., Values], run: Run
):
    values = ask()
    write_log(
        own / "predictions",
        "0.0.9-00000000",
        values,
        time=NOW - timedelta(hours=1),
        ids=range(ROWS),
    )

    found = json.loads(run(own, "drift", "--json").stdout)

    assert (found["rows"], found["rows_logged"]) == (ROWS, ROWS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "yesterday"], "'yesterday' is no time; allowed are 7d, 12h"),
        (["--since", "1h", "--until", "2h"], "--since 1h is not before --until 2h"),
        (["--until", "2999-01-01"], "2999-01-01 is in the future"),
        (["--since", "0001-01-01"], "0001-01-01 is before 2000, when no log was kept"),
        (["--until", "0001-01-02"], "0001-01-02 is before 2000"),
        (["--since", "0001-01-01T00:00+05:00"], "is no time"),
        (["--since", "1e300d"], "is no time"),
        (["--since", "nand"], "is no time"),
    ],
)
def test_a_wrong_span_is_refused_with_what_is_allowed(
    own: Path, run: Run, words: list[str], said: str
):
    done = run(own, "drift", *words)

    assert (done.returncode, said in done.stderr) == (2, True)


def test_without_a_log_there_is_nothing_to_read(own: Path, run: Run):
    configure(own, "monitoring", prediction_log=None)

    done = run(own, "drift")

    assert (
        done.returncode,
        "monitoring.prediction_log: found null" in done.stderr,
    ) == (2, True)


def test_moments_are_utc_unless_they_say_otherwise():
    assert moment("2026-01-31", NOW) == datetime(2026, 1, 31, tzinfo=UTC)
    assert moment("2026-01-31T08:00+01:00", NOW) == datetime(2026, 1, 31, 7, tzinfo=UTC)
    assert moment("7d", NOW) == NOW - timedelta(days=7)


@pytest.mark.parametrize(("seed", "factor"), [(1, 1.0), (2, 1.5), (3, 0.1)])
def test_a_column_that_is_mapped_back_lies_as_in_training(
    reference: Reference, seed: int, factor: float
):
    for name, trained in reference.columns.items():
        values = customers(ROWS, seed)[name]
        values = values[np.random.default_rng(seed).permutation(ROWS)]
        changed = values * factor if values.dtype.kind in "if" else values

        back = map_back(changed, trained)

        assert psi(np.array(trained.counts), trained.count(back)) < 0.05, name
        if trained.edges:
            known = ~(is_missing(changed) | is_missing(back))
            order = np.argsort(changed[known], kind="stable")
            assert (np.diff(back[known][order]) >= 0).all()


def test_no_more_rows_move_than_must():
    trained = freeze(np.array(["a"] * 50 + ["b"] * 30 + [None] * 20, dtype=object))
    values = np.array(["a"] * 40 + ["z"] * 10 + ["b"] * 50, dtype=object)

    back = map_back(values, trained)

    moved = np.array(
        [before is not after for before, after in zip(values, back, strict=True)]
    )
    assert moved.sum() == 30  # all ten unknown, twenty of fifty b
    assert trained.count(back).tolist() == [50, 30, 0, 0, 20]


def test_a_number_that_is_missing_too_often_is_filled_and_one_too_seldom_emptied():
    trained = freeze(np.append(np.arange(100.0), np.full(100, math.nan)))

    for missing in (0, 60, 100):
        values = np.append(np.arange(100.0 - missing), np.full(missing, math.nan))
        assert is_missing(map_back(values, trained)).sum() == 50


def test_each_column_alone_is_mapped_back_and_what_it_raised_is_above_zero():
    random = np.random.default_rng(7)
    trained = {
        name: random.normal(0, 1, 20_000) for name in ("raised", "lowered", "same")
    }
    reference = Reference(
        columns={name: freeze(values) for name, values in trained.items()},
        score=freeze(np.linspace(0, 1, 99)),
    )
    moved = {"raised": 0.5, "lowered": -0.25, "same": 0.0}
    window = {name: random.normal(mean, 1, 5_000) for name, mean in moved.items()}

    found = column_effects(
        window,
        reference,
        lambda each: 0.5 + sum(0.1 * values for values in each.values()),
        bounds=(0.5, 0.6),
    )

    assert {name: each.mean_change for name, each in found.items()} == pytest.approx(
        {"raised": 0.05, "lowered": -0.025, "same": 0}, abs=0.004
    )
    assert found["same"].tier_change < 0.02 < found["lowered"].tier_change
    assert found["lowered"].tier_change < found["raised"].tier_change


@pytest.mark.posix
@pytest.mark.fault
@pytest.mark.parametrize("kind", ["pipe", "large", "link", "folder"])
def test_what_is_no_small_file_is_not_read_as_figures_and_nobody_waits_for_it(
    tmp_path: Path, kind: str
):
    gauges, path, aside = drift_gauges(tmp_path), tmp_path / FILE, tmp_path / "aside"
    figures = Figures(
        version="v",
        since=NOW,
        until=NOW,
        checked_at=NOW,
        hidden=(),
        findings=(),
        rows=1,
        rows_without_id=0,
        rows_logged=1,
        rows_unreadable=0,
    )
    figures.write(tmp_path)
    before = len(list(gauges.collect()))
    whole = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(whole + b" " * MOST_BYTES)
    elif kind == "link":
        aside.write_bytes(whole)
        path.symlink_to(aside)
    else:
        path.mkdir()

    assert (before, list(gauges.collect()), list(gauges.collect())) == (5, [], [])


@pytest.mark.posix
@pytest.mark.fault
def test_a_file_that_becomes_a_pipe_while_it_is_looked_at_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    aside, path = tmp_path / "aside", tmp_path / FILE
    aside.write_text("{}")
    os.mkfifo(path)
    monkeypatch.setattr(Path, "lstat", lambda _: aside.stat())

    assert list(drift_gauges(tmp_path).collect()) == []


@pytest.mark.parametrize("words", [["--version", "newest"], ["--until", "0h"]])
def test_figures_of_a_chosen_version_or_span_are_not_shown_as_those_of_now(
    own: Path, ask: Callable[..., Values], run: Run, words: list[str]
):
    ask()

    assert run(own, "drift", *words).returncode == 0
    assert not (own / "predictions" / FILE).exists()


def test_a_version_that_nobody_asks_yet_does_not_take_the_place_of_the_figures(
    own: Path, predictor: Predictor, run: Run
):
    done = run(own, "drift")
    missing = not (own / "predictions" / FILE).exists()
    put(own, predictor.version)
    run(own, "drift")

    shown = Figures.model_validate_json((own / "predictions" / FILE).read_bytes())
    assert (done.returncode, missing, shown.version, shown.rows) == (
        0,
        True,
        predictor.version,
        0,
    )
    assert stat.S_IMODE((own / "predictions").stat().st_mode) == 0o700


def test_the_service_shows_what_the_job_found(
    own: Path, ask: Callable[..., Values], run: Run
):
    ask()
    run(own, "drift")
    settings = Settings(_env_file=None, log_level="warning")
    work = Workspace(PROJECT, load_config(own / "config.yaml", PROJECT), own, settings)
    service = service_of(models(work), work)

    with TestClient(
        service.app, base_url="http://localhost", client=("127.0.0.1", 1)
    ) as client:
        counted, stats = read(client.get("/metrics").text), client.get("/stats").json()

    (version,) = (own / "models").glob("*-*")
    assert counted["drift_rows"] == {(version.name,): ROWS}
    assert counted["drift_state"][MOVED, "ok", version.name] == 1
    assert not [name for name in stats["counts"] if name.startswith("drift")]


def test_the_command_has_help_with_an_example(own: Path, run: Run):
    assert "Example: " in run(own, "drift", "--help").stdout


def test_a_version_without_a_reference_cannot_be_compared(
    version: Path, tmp_path: Path, predictor: Predictor
):
    old = read_artifact(version).metadata.model_copy(update={"reference": None})

    with (
        open_views(Log(tmp_path), CONTRACT) as views,
        pytest.raises(ConfigError, match="holds no reference; train again"),
    ):
        find_drift(views, old, predictor, scope=Scope(()), span=Span(NOW, NOW, NOW))


def test_the_gauges_follow_the_file_and_a_damaged_one_is_no_error(
    own: Path, ask: Callable[..., Values], run: Run
):
    ask()
    gauges, path = drift_gauges(own / "predictions"), own / "predictions" / FILE
    before = list(gauges.collect())
    run(own, "drift")
    shown = {family.name: family.samples for family in gauges.collect()}
    figures = Figures.model_validate_json(path.read_bytes())
    path.write_text("{")
    os.utime(path, ns=(1, 1))
    damaged = list(gauges.collect())
    figures.model_copy(update={"rows": 7}).write(path.parent)
    after = {family.name: family.samples for family in gauges.collect()}
    path.unlink()

    assert before == damaged == list(gauges.collect()) == []
    assert shown["drift_rows"][0].value == ROWS
    assert after["drift_rows"][0].value == 7
    assert (
        shown["drift_checked_timestamp_seconds"][0].value
        == figures.checked_at.timestamp()
    )
    assert {sample.labels["column"]: sample.value for sample in shown["drift_psi"]} == {
        each.name: each.psi for each in figures.findings
    }
    present = [sample.labels for sample in shown["drift_state"] if sample.value]
    named = {"version": figures.version}
    assert present == [
        {**named, "column": each.name, "state": each.state} for each in figures.findings
    ]
