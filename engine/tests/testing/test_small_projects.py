"""From any table's file to an answer, and on to what is known of it later.

Each project is an object in this process, see `small_projects`.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fields import as_records
from skewless import feature_matrix
from skewless.core.contract import Column
from skewless.core.workspace import Workspace, open_workspace
from skewless.models.artifact import read_artifact
from skewless.models.predict import Predictor, load_predictor
from skewless.tables.faults import check_table
from skewless.tables.split import read_split
from skewless.tables.table import read_table, typed
from skewless.testing import (
    as_columns,
    as_scalars,
    connect,
    payloads,
    records,
    run_command,
)
from skewless.testing.projects import Done
from small_projects import SMALL, NoKnobs, Small, plain_auc

# records that are asked: enough to call traffic healthy, and to find what is not
MANY = 300


@dataclass(frozen=True)
class AtWork:
    """A project with a version in production and a service that answers for it."""

    small: Small
    folder: Path
    work: Workspace
    client: TestClient

    @property
    def version(self) -> Path:
        (folder,) = (self.folder / "models").glob("*-*")
        return folder

    def run(self, *words: object) -> Done:
        done = run_command(self.small.project, self.folder, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def table(self) -> pd.DataFrame:
        data = self.work.config.data
        read = read_table(self.folder / data.path, self.work.contract, data.format)
        return check_table(read, self.work.contract)

    def asked(self, rows: int) -> list[dict[str, Any]]:
        """Return the first rows as a caller sends them."""
        table, contract = self.table().head(rows), self.work.contract
        wanted = [contract.id, *(column.name for column in contract.columns)]
        return as_records({name: table[name].to_numpy() for name in wanted}, contract)


QUICK = ("tiny", "dates")  # the others take longer
PARAMS = [
    pytest.param(
        each, id=each.name, marks=[] if each.name in QUICK else pytest.mark.slow
    )
    for each in SMALL
]


@pytest.fixture(scope="module", params=PARAMS)
def at_work(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AtWork]:
    small: Small = request.param
    folder = small.make(tmp_path_factory.mktemp(small.name) / "project")
    done = run_command(small.project, folder, "train")
    assert done.returncode == 0, done.stderr
    work = open_workspace(small.project, folder / "config.yaml")
    with connect(small.app(), work) as client:
        yield AtWork(small, folder, work, client)


@pytest.fixture(scope="module")
def predictor(at_work: AtWork) -> Predictor:
    return load_predictor(at_work.version, at_work.small.project)


def some(at_work: AtWork, strategy: Any) -> Any:
    """Ask for one to six of what a strategy draws."""
    return st.lists(strategy(at_work.work.contract), min_size=1, max_size=6)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_features_are_the_same_in_the_table_in_a_batch_and_alone(
    at_work: AtWork, data: st.DataObject
):
    project, contract = at_work.small.project, at_work.work.contract
    drawn = data.draw(some(at_work, records))
    table = pd.DataFrame([each.model_dump() for each in drawn]).assign(
        row_key=range(len(drawn))
    )

    in_table = feature_matrix(project, typed(table, contract), NoKnobs())
    in_batch = feature_matrix(project, as_columns(drawn, contract), NoKnobs())
    alone = [
        feature_matrix(project, as_scalars(each, contract), NoKnobs()) for each in drawn
    ]

    assert in_table.tobytes() == in_batch.tobytes() == np.vstack(alone).tobytes()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_contract_allows_is_answered_alike_on_every_path(
    at_work: AtWork, predictor: Predictor, data: st.DataObject
):
    drawn = data.draw(some(at_work, payloads))

    here = predictor.predict([at_work.small.project.record(**each) for each in drawn])
    alone = [at_work.client.post("/predict", json=each).json() for each in drawn]
    batch = at_work.client.post("/predict/batch", json=drawn).json()

    assert alone == batch
    assert [each["p"] for each in alone] == [each.probability for each in here]


def test_a_file_is_scored_as_the_service_answers(at_work: AtWork, tmp_path: Path):
    rows = at_work.asked(MANY)
    answers = [
        each["p"] for each in at_work.client.post("/predict/batch", json=rows).json()
    ]

    at_work.run("score", at_work.work.config.data.path, tmp_path / "scored.parquet")

    scored = pd.read_parquet(tmp_path / "scored.parquet")
    assert scored["probability"].head(len(rows)).tolist() == answers


def test_what_was_exported_is_what_was_fitted(at_work: AtWork, predictor: Predictor):
    table = at_work.table()
    matrix = feature_matrix(at_work.small.project, table, NoKnobs())

    fitted = joblib.load(at_work.version / "model.joblib").predict_proba(matrix)[:, 1]

    assert np.abs(predictor.probabilities(table) - fitted).max() <= 1e-5


def test_a_model_is_as_good_as_a_plain_one_of_the_same_rows(at_work: AtWork):
    found = read_artifact(at_work.version).metadata.metrics["model"]["roc_auc"]
    work = at_work.work
    data = work.config.data
    _, held_out = read_split(
        work.root / data.path, work.contract, data.format, split=data.split
    )

    plain = plain_auc(at_work.small.other, held_out)

    assert found == pytest.approx(plain, abs=0.02)


def test_a_value_that_the_contract_does_not_allow_is_refused_by_its_name(
    at_work: AtWork,
):
    example = at_work.work.contract.example()

    for column in at_work.work.contract.columns:
        wrong = at_work.client.post(
            "/predict", json=example | {column.name: not_allowed(column)}
        )
        absent = {name: value for name, value in example.items() if name != column.name}
        left_out = at_work.client.post("/predict", json=absent)

        assert [each["field"] for each in wrong.json()["errors"]] == [column.name]
        assert (left_out.status_code == 200) == column.nullable


def not_allowed(column: Column) -> Any:
    numbers = column.kind in {"integer", "number"}
    return (
        column.bounds[1] + max(1, abs(column.bounds[1])) if numbers else "no such value"
    )


def test_card_and_service_name_every_field(at_work: AtWork):
    names = [column.name for column in at_work.work.contract.columns]
    card = (at_work.version / "card.md").read_text()

    assert [
        each["name"] for each in at_work.client.get("/model").json()["fields"]
    ] == names
    assert [name for name in names if f"`{name}`" not in card] == []


def test_a_metric_of_the_projects_own_is_shown_with_the_others(at_work: AtWork):
    card = (at_work.version / "card.md").read_text()
    told = at_work.run("evaluate").stdout

    assert "| gap of the means |" in card
    assert "\ngap of the means" in told


def test_training_again_gives_the_same_version(at_work: AtWork):
    at_work.run("train")

    assert at_work.version.is_dir()  # still the only one


def test_simulated_rows_are_what_the_contract_allows(at_work: AtWork, tmp_path: Path):
    at_work.run("sample", tmp_path / "made.parquet", "--rows", 50)

    at_work.run("score", tmp_path / "made.parquet", tmp_path / "scored.parquet")

    assert len(pd.read_parquet(tmp_path / "scored.parquet")) == 50
    assert not list(tmp_path.glob("*rejects*"))


def test_a_row_with_a_wrong_cell_is_set_aside_and_named(
    at_work: AtWork, tmp_path: Path
):
    column = at_work.work.contract.columns[0]
    at_work.run("sample", tmp_path / "made.parquet", "--rows", 9)
    rows = pd.read_parquet(tmp_path / "made.parquet")
    cells = rows[column.name].astype(object)
    cells[4] = not_allowed(column)
    rows.assign(**{column.name: cells.astype(str)}).to_parquet(
        tmp_path / "made.parquet"
    )

    at_work.run("score", tmp_path / "made.parquet", tmp_path / "scored.parquet")

    (rejects,) = tmp_path.glob("*rejects*")
    assert column.name in rejects.read_bytes().decode("latin-1")
    assert len(pd.read_parquet(tmp_path / "scored.parquet")) == 8


def test_answers_are_watched_and_outcomes_find_them(at_work: AtWork, tmp_path: Path):
    folder = Path(
        shutil.copytree(
            at_work.folder,
            tmp_path / "own",
            ignore=shutil.ignore_patterns("predictions"),
        )
    )
    own = replace(at_work, folder=folder, work=replace(at_work.work, root=folder))
    rows = own.asked(MANY)
    with connect(own.small.app(), own.work) as client:
        client.post("/predict/batch", json=rows).raise_for_status()
    watched = json.loads(own.run("drift", "--json").stdout)
    known = own.table().head(len(rows))[["row_key", "event"]].astype({"event": int})
    later = known.rename(columns={"event": "outcome"}).assign(
        observed_at=pd.Timestamp.now(tz="UTC")
    )
    later.to_parquet(tmp_path / "outcomes.parquet")

    recorded = json.loads(
        own.run("outcomes", tmp_path / "outcomes.parquet", "--json").stdout
    )
    # Whether they agree with a model that was trained on some of them is another
    # question.
    performance = json.loads(
        run_command(own.small.project, folder, "performance", "--json").stdout
    )

    assert watched["rows"] == len(rows)
    enough = "ok" if len(rows) == MANY else "insufficient_data"
    assert {each["state"] for each in watched["findings"]} == {enough}
    assert (recorded["accepted"], recorded["unknown"]) == (len(rows), 0)
    assert performance["weeks"][-1]["labelled"] == len(rows)
