"""POST /outcomes and `outcomes`: on disk before the answer, whole or not at all."""

import contextlib
import json
import os
import re
import shutil
import signal
import stat
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from conftest import ROOT, Run
from own import CONTRACT, ID, PROJECT, TARGET, service_of
from recorded import at, prediction, prediction_id, write
from remembered import told
from running import ask, serving
from skewless.core.config_file import load_config
from skewless.core.errors import LogStoreError
from skewless.core.sections import PLAIN
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.predict import Predictor, load_predictor
from skewless.monitoring import labels
from skewless.monitoring.outcomes import (
    OUTCOMES,
    OfPrediction,
    OutcomeFiles,
    Outcomes,
    outcome_models,
)
from skewless.serving.access import new_key
from skewless.serving.follow import Models
from skewless.tables.table import write_table
from steady import Load, configure, until

A, B = prediction_id(1), prediction_id(2)
Connect = Callable[..., contextlib.AbstractContextManager[TestClient]]


def written(folder: Path) -> list[dict]:
    paths = sorted((folder / OUTCOMES).glob("*.jsonl"))
    return [
        json.loads(line) for path in paths for line in path.read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def predictor(version: Path) -> Predictor:
    return load_predictor(version, PROJECT)


@pytest.fixture
def connect(predictor: Predictor, tmp_path: Path) -> Connect:
    """Return a client of a service, with other settings where a test names them."""

    @contextlib.contextmanager
    def client(
        environment: dict[str, Any] | None = None,
        serving: dict[str, Any] | None = None,
        **values: Any,
    ) -> Iterator[TestClient]:
        config = load_config(ROOT / "config.yaml", PROJECT)
        changed = {
            "monitoring": config.monitoring.model_copy(update=values),
            "serving": config.serving.model_copy(
                update={"drain_seconds": 0, **(serving or {})}
            ),
        }
        models = Models(lambda: predictor, lambda: None, lambda _: predictor, str)
        settings = Settings(_env_file=None, **environment or {})
        work = Workspace(PROJECT, config.model_copy(update=changed), tmp_path, settings)
        service = service_of(models, work)
        with TestClient(
            service.app, "http://127.0.0.1", client=("127.0.0.1", 50_000)
        ) as started:
            yield started

    return client


def post(client: TestClient, *outcomes: Any, **more: Any) -> Any:
    return client.post("/outcomes", json={"outcomes": list(outcomes)}, **more)


def test_outcomes_are_on_disk_before_they_are_accepted(
    connect: Connect, tmp_path: Path
):
    with connect() as client:
        answer = post(
            client,
            {"prediction_id": A, "outcome": 1},
            {ID: "c-7", "outcome": 0, "observed_at": "2026-03-01T12:00:00+02:00"},
        )

        first, second = written(tmp_path / "predictions")

    assert (answer.status_code, answer.json()) == (200, {"accepted": 2})
    assert {
        name: first[name] for name in ("prediction_id", "outcome", "observed_at")
    } == {
        "prediction_id": A,
        "outcome": 1,
        "observed_at": None,
    }
    assert (second["record"], second["outcome"]) == ("c-7", 0)
    assert datetime.fromisoformat(second["observed_at"]) == datetime.fromisoformat(
        "2026-03-01T10:00:00Z"
    )
    assert first["recorded_at"] == second["recorded_at"]
    (path,) = (tmp_path / "predictions" / OUTCOMES).iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "listed", [b"[]", b"1", b'[{"prediction_id": "%b", "outcome": 1}]' % A.encode()]
)
def test_fields_around_the_outcomes_are_counted_before_anything_is_validated(
    connect: Connect, tmp_path: Path, listed: bytes
):
    body = b'{"outcomes":%b,%b}' % (
        listed,
        b",".join(b'"%d":1' % number for number in range(50_000)),
    )

    with connect() as client:
        answer = client.post(
            "/outcomes", content=body, headers={"content-type": "application/json"}
        )

    assert (answer.status_code, answer.json()["errors"]) == (413, [])
    assert not (tmp_path / "predictions" / OUTCOMES).exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"outcome": 1}, ID),
        ({"prediction_id": A, ID: "c-7", "outcome": 1}, ID),
        ({"prediction_id": None, "outcome": 1}, "prediction_id"),
        ({"prediction_id": "c-7", "outcome": 1}, "prediction_id"),
        ({ID: "", "outcome": 1}, ID),
        ({ID: "\0", "outcome": 1}, ID),
        ({ID: "c-7\x1b[31m", "outcome": 1}, ID),
        ({"prediction_id": A}, "outcome"),
        ({"prediction_id": A, "outcome": None}, "outcome"),
        ({"prediction_id": A, "outcome": True}, "outcome"),
        ({"prediction_id": A, "outcome": "1"}, "outcome"),
        ({"prediction_id": A, "outcome": 2}, "outcome"),
        ({"prediction_id": A, "outcome": 0.5}, "outcome"),
        (
            {"prediction_id": A, "outcome": 1, "observed_at": "2026-03-01T12:00:00"},
            "observed_at",
        ),
        ({"prediction_id": A, "outcome": 1, "observed_at": "yesterday"}, "observed_at"),
        (
            {"prediction_id": A, "outcome": 1, "observed_at": 1_750_000_000},
            "observed_at",
        ),
        ({"prediction_id": A, "outcome": 1, "note": ""}, "note"),
        (7, "outcomes.1"),
    ],
    ids=str,
)
@pytest.mark.slow
def test_one_wrong_outcome_refuses_all_and_is_named(
    connect: Connect, tmp_path: Path, wrong: Any, field: str
):
    with connect() as client:
        answer = post(client, {"prediction_id": B, "outcome": 0}, wrong)

    assert answer.status_code == 422
    assert any(
        error["field"].startswith("outcomes.1") for error in answer.json()["errors"]
    )
    assert (
        any(error["field"].endswith(field) for error in answer.json()["errors"])
        or wrong == 7
    )
    assert written(tmp_path / "predictions") == []


@pytest.mark.parametrize(
    "body",
    [{}, {"outcomes": []}, {"outcomes": {}}, [], {"outcomes": [], "x": 1}],
    ids=str,
)
def test_a_body_of_another_shape_is_refused(connect: Connect, body: Any):
    with connect() as client:
        assert client.post("/outcomes", json=body).status_code == 422


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "application/json; charset=utf-8"}]
)
def test_too_many_outcomes_are_refused_by_either_road(connect: Connect, headers: dict):
    body = json.dumps({"outcomes": [{"prediction_id": A, "outcome": 1}] * 3})
    json_headers = {"Content-Type": "application/json"} | headers

    with connect(serving={"max_batch_rows": 2}) as client:
        assert (
            client.post("/outcomes", content=body, headers=json_headers).status_code
            == 413
        )


def test_a_key_that_may_predict_may_record(connect: Connect):
    key, line = new_key("crm", "predict")
    with connect({"api_keys": line}) as client:
        codes = [
            post(
                client, {"prediction_id": A, "outcome": 1}, headers=headers
            ).status_code
            for headers in ({}, {"X-API-Key": key})
        ]

    assert codes == [401, 200]


def test_a_service_without_a_log_says_so(connect: Connect):
    with connect(prediction_log=None) as client:
        answer = post(client, {"prediction_id": A, "outcome": 1})

    assert (answer.status_code, "prediction log" in answer.json()["detail"]) == (
        404,
        True,
    )


def test_a_customers_id_is_kept_as_the_prediction_log_keeps_it(
    connect: Connect, tmp_path: Path
):
    key = SecretStr("k" * 32)
    with connect({"hash_key": key}, privacy={ID: "hash"}) as client:
        client.post("/predict", json=CONTRACT.example() | {ID: "c-7"})
        post(client, {ID: "c-7", "outcome": 1})

    (line,) = written(tmp_path / "predictions")
    (logged,) = (tmp_path / "predictions").glob("*.jsonl")
    assert line["record"] == json.loads(logged.read_text())["record"][ID] != "c-7"


def test_where_customers_are_dropped_only_predictions_are_known(
    connect: Connect, tmp_path: Path
):
    with connect(privacy={ID: "drop"}) as client:
        by_record = post(
            client, {"prediction_id": A, "outcome": 1}, {ID: "c-7", "outcome": 1}
        )
        by_prediction = post(client, {"prediction_id": A, "outcome": 1})

    assert (by_record.status_code, by_prediction.status_code) == (422, 200)
    assert "prediction_id" in by_record.json()["detail"]
    assert len(written(tmp_path / "predictions")) == 1


@pytest.mark.fault
@pytest.mark.posix
def test_a_disk_that_fills_up_takes_none_and_the_next_that_fit_are_taken(
    connect: Connect, tmp_path: Path
):
    few, many = ([{"prediction_id": A, "outcome": 1}] * count for count in (2, 500))
    with connect() as client:
        assert post(client, *few).status_code == 200
        with largest_file(10_000):
            refused = post(client, *many)
            taken = post(client, *few)
        again = post(client, *many)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert str(tmp_path) not in refused.text
    assert (taken.status_code, again.status_code) == (200, 200)
    assert len(written(tmp_path / "predictions")) == 2 + 2 + 500


@pytest.mark.fault
@pytest.mark.parametrize("lie", ["a file", "a dangling link"])
def test_a_folder_that_cannot_be_made_is_503_until_it_can(
    connect: Connect, tmp_path: Path, lie: str
):
    (tmp_path / "predictions").mkdir()
    place = tmp_path / "predictions" / OUTCOMES
    place.write_text("") if lie == "a file" else place.symlink_to(
        tmp_path / "gone" / "away"
    )
    with connect() as client:
        refused = post(client, {"prediction_id": A, "outcome": 1})
        place.unlink()
        taken = post(client, {"prediction_id": A, "outcome": 1})

    assert (refused.status_code, taken.status_code) == (503, 200)


@pytest.mark.fault
def test_what_could_not_be_taken_back_is_ended_before_the_next(tmp_path: Path):
    files = OutcomeFiles(tmp_path / OUTCOMES)
    sink = Outcomes(
        files.append, ID, {}, settings=Settings(_env_file=None), clock=lambda: at(0)
    )
    sink.add([OfPrediction(prediction_id=A, outcome=1)])
    (path,) = (tmp_path / OUTCOMES).iterdir()
    with path.open("ab") as file:
        file.write(b'{"recorded_at":"2026')

    sink.add([OfPrediction(prediction_id=B, outcome=0)])

    assert len(told(tmp_path, before=at(1))) == 2


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to write beyond a size, as a full disk does.

    Some bytes are taken, then none.
    """
    import resource  # not everywhere

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_a_killed_server_keeps_every_outcome_that_it_accepted(
    trained: Path, tmp_path: Path
):
    own = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    configure(own, "serving", max_batch_rows=500)
    body = {
        "outcomes": [
            {"prediction_id": prediction_id(n), "outcome": n % 2} for n in range(500)
        ]
    }
    with serving(own) as (url, server), Load(url, path="/outcomes", body=body) as load:
        load.reach(40)
        os.kill(server.pid, signal.SIGKILL)
        server.wait(20)
        load.join()

    accepted = sum(answer.body["accepted"] for answer in load.answers)
    known = told(
        own / "predictions", before=datetime.fromisoformat("9999-01-01T00:00:00Z")
    )
    assert accepted >= 40 * 500
    assert len(known) >= accepted


@pytest.mark.slow
def test_a_real_server_takes_outcomes_of_what_it_answered(
    trained: Path, tmp_path: Path, run: Run
):
    own = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    with serving(own) as (url, _):
        answers = [
            ask(f"{url}/predict", CONTRACT.example() | {ID: f"c-{number}"})
            for number in range(3)
        ]
        said = [
            {"prediction_id": answers[0]["prediction_id"], "outcome": 1},
            {ID: "c-1", "outcome": 0},
        ]
        accepted = ask(f"{url}/v1/outcomes", {"outcomes": said})
        until(
            lambda: len(list((own / "predictions").glob("*.jsonl"))),
            "the predictions are logged",
        )
    table = own / "more.csv"
    write_table(
        pd.DataFrame({ID: ["c-1", "c-2", "c-99"], TARGET: [1, 0, 0]}), table, CONTRACT
    )

    done = run(own, "outcomes", table, "--json")

    assert accepted == {"accepted": 2}
    found = json.loads(done.stdout)
    assert {
        name: found[name]
        for name in ("accepted", "duplicates", "corrections", "unknown")
    } == {
        "accepted": 3,
        "duplicates": 0,
        "corrections": 1,
        "unknown": 1,
    }


@pytest.fixture
def asked(project: Path) -> Path:
    """Return a project whose log holds two predictions."""
    lines = [prediction(1, 0, "c-1"), prediction(2, 1, "c-2")]
    write(project / "predictions", lines)
    return project


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".CSV.gz", ".parquet"])
@pytest.mark.slow
def test_a_file_is_recorded_and_what_it_says_again_or_of_nobody_is_counted(
    asked: Path, run: Run, suffix: str
):
    path = asked / f"outcomes{suffix}"
    table = pd.DataFrame(
        {
            "prediction_id": [A, None, None, A],
            ID: ["c-9", "c-2", "c-3", None],
            "outcome": [1, 0, 0, 1],
            "observed_at": [
                "2026-02-01",
                "2026-02-01T10:00:00+01:00",
                None,
                "2026-02-01",
            ],
            "anything": [1, 2, 3, 4],
        }
    )
    if suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")

    first, second = (
        json.loads(run(asked, "outcomes", path, "--json").stdout) for _ in range(2)
    )

    names = ("accepted", "duplicates", "corrections", "unknown")
    assert [first[name] for name in names] == [4, 1, 0, 1]
    assert [second[name] for name in names] == [4, 3, 0, 1]
    assert len(written(asked / "predictions")) == 8


@pytest.mark.fault
def test_what_is_recorded_is_said_even_if_nobody_can_say_what_is_new(
    asked: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    (asked / "outcomes.csv").write_text(f"{ID},outcome\nc-1,1\n")

    def away(*_: object) -> None:
        message = "the database does not answer"
        raise LogStoreError(message)

    monkeypatch.setattr(labels, "review", away)
    told, as_json = (
        run(asked, "outcomes", "outcomes.csv", *more) for more in ([], ["--json"])
    )

    assert (told.returncode, told.stdout) == (0, "outcomes.csv: 1 outcomes recorded\n")
    assert "warning: recorded" in told.stderr
    assert "the database does not answer" in told.stderr
    found = json.loads(as_json.stdout)
    assert found["accepted"] == 1
    assert {found[name] for name in ("duplicates", "corrections", "unknown")} == {None}
    assert as_json.returncode == 0
    assert len(written(asked / "predictions")) == 2


@pytest.mark.posix
def test_the_log_is_private_also_if_outcomes_are_its_first(project: Path, run: Run):
    (project / "outcomes.csv").write_text(f"{ID},outcome\nc-1,1\n")

    assert run(project, "outcomes", "outcomes.csv").returncode == 0
    folders = (project / "predictions", project / "predictions" / OUTCOMES)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700, 0o700]


def test_every_fault_of_a_file_is_named_at_once_and_nothing_is_recorded(
    asked: Path, run: Run
):
    path = asked / "outcomes.csv"
    path.write_text(
        f"prediction_id,{ID},outcome,observed_at\n"
        f"x,,1,\n{A},,2,\n,,1,\n,c-1,,\n,c-2,1,soon\n{B},,1,\n"
    )

    done = run(asked, "outcomes", path)

    assert done.returncode == 3
    assert "rules broken: 5, cells: 5" in done.stderr
    for said in ("rows 1 (x)", "rows 2 (2", "row", ID, "rows 4 ()", "rows 5 (soon)"):
        assert said in done.stderr
    assert written(asked / "predictions") == []


def test_a_file_with_a_control_character_in_an_id_is_refused_by_its_row(
    asked: Path, run: Run
):
    (asked / "outcomes.csv").write_text(f"{ID},outcome\nc-1,1\nc-2\x1b[31m,1\n")

    done = run(asked, "outcomes", "outcomes.csv")

    assert done.returncode == 3
    assert (
        f"{ID}: must be text without control characters; "
        "cells: 1, rows 2 (c-2\\x1b[31m)" in done.stderr
    )
    assert written(asked / "predictions") == []


@pytest.mark.parametrize(
    "text", [f"{ID},other\nc-1,1\n", "outcome\n1\n", f"{ID},outcome\n"]
)
def test_a_file_without_what_is_needed_is_refused(asked: Path, run: Run, text: str):
    path = asked / "outcomes.csv"
    path.write_text(text)

    done = run(asked, "outcomes", path)

    assert (done.returncode, "has no" in done.stderr) == (3, True)


@pytest.mark.parametrize("name", ["prediction_id", ID])
def test_a_file_cut_otherwise_than_the_table_is_to_be_written_as_that_is(
    asked: Path, run: Run, name: str
):
    form = PLAIN.model_copy(update={"delimiter": ";"})
    configure(asked, "data", format=form.model_dump(mode="json"))
    (asked / "outcomes.csv").write_text(f"{name},outcome\nc-1,1\n")

    done = run(asked, "outcomes", "outcomes.csv")

    assert done.returncode == 3
    assert re.search(
        r"then write this file so|separated as those of data.path are, by ';'",
        done.stderr,
    )


def test_without_a_log_there_is_nothing_that_outcomes_could_belong_to(
    asked: Path, run: Run
):
    configure(asked, "monitoring", prediction_log=None)
    (asked / "outcomes.csv").write_text(f"{ID},outcome\nc-1,1\n")

    assert run(asked, "outcomes", asked / "outcomes.csv").returncode == 2


def test_a_file_of_customers_is_refused_where_they_are_dropped(asked: Path, run: Run):
    configure(asked, "monitoring", privacy={ID: "drop"})
    (asked / "outcomes.csv").write_text(f"{ID},outcome\nc-1,1\n")

    assert run(asked, "outcomes", asked / "outcomes.csv").returncode == 3


def test_the_example_on_the_page_is_accepted(connect: Connect):
    page = (ROOT / "docs/monitoring/outcomes.md").read_text()
    body = (
        re.search(r"--json '(.*?)'", page, re.DOTALL)[1]
        .replace("0c8f…", A)
        .replace("f31b…", B)
    )

    with connect() as client:
        assert client.post("/outcomes", json=json.loads(body)).json() == {"accepted": 2}


def test_a_customer_is_one_by_the_name_of_the_contract():
    assert (
        outcome_models(CONTRACT).of_record(**{ID: "c-1", "outcome": 1}).record == "c-1"
    )
