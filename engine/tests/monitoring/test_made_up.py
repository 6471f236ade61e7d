"""While a log holds no answer, answers are made up beside it, and never in it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from own import CONTRACT, PROJECT
from recorded import outcome, write_outcomes
from remembered import line, log_file
from skewless.core.errors import LogStoreError
from skewless.core.workspace import Workspace, open_workspace
from skewless.monitoring import connect
from skewless.monitoring.made_up import DAYS, log_or_simulate
from skewless.tables.faults import find_faults
from small_projects import SMALL, Small
from steady import configure

ASKED = "SELECT * EXCLUDE time FROM predictions ORDER BY time, prediction_id"
TOLD = """
    SELECT outcome, prediction_id, record_id FROM outcomes
    ORDER BY prediction_id, record_id
"""
BY_WEEK = """
    SELECT time < (SELECT max(time) FROM predictions) - INTERVAL 7 DAYS AS is_first,
        count(*) AS answers, avg(record."{column}") AS mean
    FROM predictions GROUP BY is_first ORDER BY is_first DESC
"""


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Workspace:
    """Return a project with a table, a version, and no answer yet."""
    folder = shutil.copytree(trained, tmp_path / "own")
    return open_workspace(PROJECT, folder / "config.yaml")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ask(work: Workspace, sql: str) -> pd.DataFrame:
    log = connect(work)
    try:
        return log.sql(sql).df()
    finally:
        log.close()


def test_a_log_with_an_answer_is_the_projects_own(own: Workspace, tmp_path: Path):
    log_file(own.root / "predictions", line(1))
    said: list[str] = []

    assert log_or_simulate(own, tmp_path / "made", say=said.append) is own
    assert said == []
    assert not (tmp_path / "made").exists()


def test_without_one_answers_are_made_up_in_both_shapes_and_it_says_so(
    own: Workspace, tmp_path: Path
):
    before = contents(own.root)
    said: list[str] = []

    work = log_or_simulate(own, tmp_path / "made", say=said.append)

    assert contents(own.root) == before
    answers, outcomes = ask(work, ASKED), ask(work, TOLD)
    assert said[-1] == (
        f"the log holds no answer yet; these are {len(answers):,} made-up answers, "
        "and made-up outcomes, instead"
    )
    lines = b"".join(contents(tmp_path / "made" / "predictions").values()).splitlines()
    assert any(b'"records":' in each for each in lines)
    assert any(b'"record":' in each and b'"answer":' in each for each in lines)
    known = outcomes.merge(answers, on="prediction_id")
    assert 0 < len(known) < len(answers)
    asked = {record[CONTRACT.id] for record in answers["record"]}
    assert set(outcomes["record_id"].dropna()) < asked


def test_they_are_spread_over_two_weeks_and_the_second_differs(
    own: Workspace, tmp_path: Path
):
    work = log_or_simulate(own, tmp_path, say=lambda _: None)
    column = next(each for each in CONTRACT.columns if each.kind == "number")

    span = ask(work, "SELECT count(DISTINCT time::DATE) AS days FROM predictions")
    weeks = ask(work, BY_WEEK.format(column=column.name))

    assert DAYS <= span["days"][0] <= DAYS + 1
    assert weeks["answers"].min() > 0
    assert weeks["mean"][1] > weeks["mean"][0]


def test_without_a_version_or_a_table_both_are_made_up_in_the_folder(
    project: Path, tmp_path: Path
):
    before = contents(project)
    fresh = open_workspace(PROJECT, project / "config.yaml")

    work = log_or_simulate(fresh, tmp_path / "made", say=lambda _: None)

    assert contents(project) == before
    assert len(ask(work, ASKED))
    assert list((tmp_path / "made" / "models").glob("*-*"))


@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.name)
def test_for_any_table_the_records_keep_the_contract(small: Small, tmp_path: Path):
    folder = small.make(tmp_path / "own")
    own = open_workspace(small.project, folder / "config.yaml")

    work = log_or_simulate(own, tmp_path / "made", say=lambda _: None)

    asked = ask(work, "SELECT unnest(record) FROM predictions")
    assert len(asked)
    assert find_faults(asked, small.project.contract).empty


def test_a_seed_makes_the_same_answers_and_outcomes_again(
    own: Workspace, tmp_path: Path
):
    first, second = (
        log_or_simulate(own, tmp_path / name, say=lambda _: None)
        for name in ("first", "second")
    )

    pd.testing.assert_frame_equal(
        *(ask(each, ASKED).drop(columns="trained_at") for each in (first, second))
    )
    pd.testing.assert_frame_equal(ask(first, TOLD), ask(second, TOLD))


def test_what_the_log_may_not_hold_of_people_needs_no_key_for_made_up_answers(
    own: Workspace, tmp_path: Path
):
    configure(own.root, "monitoring", privacy={CONTRACT.id: "hash"})
    hashed = open_workspace(PROJECT, own.root / "config.yaml")

    work = log_or_simulate(hashed, tmp_path / "made", say=lambda _: None)

    assert len(ask(work, ASKED))


def test_where_no_log_is_kept_answers_are_made_up_too(own: Workspace, tmp_path: Path):
    configure(own.root, "monitoring", prediction_log=None)
    silent = open_workspace(PROJECT, own.root / "config.yaml")

    assert len(ask(log_or_simulate(silent, tmp_path, say=lambda _: None), ASKED))


def test_outcomes_alone_are_no_answers(own: Workspace, tmp_path: Path):
    write_outcomes(own.root / "predictions", [outcome(80, 1, record="c-1")])

    assert log_or_simulate(own, tmp_path / "made", say=lambda _: None) is not own


@pytest.mark.posix
@pytest.mark.fault
def test_a_folder_that_takes_no_answers_is_an_error(own: Workspace, tmp_path: Path):
    (tmp_path / "predictions").write_text("a file, where a folder has to be")

    with pytest.raises(LogStoreError, match="cannot be written"):
        log_or_simulate(own, tmp_path, say=lambda _: None)
