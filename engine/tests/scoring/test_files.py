"""File → file scoring: the same answers, bad rows aside, nothing half-written."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_service.schema import Customer
from fields import field, required, wrong
from own import CONTRACT, ID, PROJECT, TARGET
from skewless.core.answer import decide
from skewless.core.arrays import as_columns, to_json
from skewless.core.errors import PredictionError, TableError
from skewless.models.predict import Predictor, load_predictor
from skewless.scoring import score as score_module
from skewless.scoring.score import ANSWER, How, score_file
from skewless.tables.simulate import simulate
from skewless.tables.table import read_table, typed, write_table

SUFFIXES = [".csv", ".parquet"]


@pytest.fixture(scope="module")
def predictor(version: Path) -> Predictor:
    return load_predictor(version, PROJECT)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(simulate(1000, 8, CONTRACT)).drop(columns=TARGET)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(score_module, "PART_ROWS", 300)


def scored(source: Path, output: Path, predictor: Predictor):
    return score_file(source, output, predictor, how=How(threads=2))


@pytest.mark.parametrize("read", SUFFIXES)
@pytest.mark.parametrize("write", SUFFIXES)
@pytest.mark.slow
def test_a_file_scores_like_the_table_in_a_notebook(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path, read: str, write: str
):
    write_table(table, tmp_path / f"in{read}", CONTRACT)
    expected = predictor.probabilities(typed(table, CONTRACT))

    result = scored(tmp_path / f"in{read}", tmp_path / f"out{write}", predictor)

    reader = pd.read_csv if write == ".csv" else pd.read_parquet
    answers = reader(tmp_path / f"out{write}")
    assert (result, (tmp_path / "out.rejects.csv").exists()) == ((1000, 0), False)
    assert np.array_equal(answers["probability"], expected)
    assert list(answers["row"]) == list(range(1, 1001))
    assert list(answers[ID]) == list(table[ID])
    assert set(answers["model_version"]) == {predictor.version}
    decisions, tiers = decide(expected, predictor.source)
    assert list(answers["tier"]) == list(tiers)
    assert list(answers["decision"]) == list(decisions)


def test_bad_rows_go_to_the_rejects_with_every_reason_and_good_rows_are_scored(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path
):
    (first, *others) = CONTRACT.columns
    for column in CONTRACT.columns:
        table[column.name] = pd.Series(
            to_json(table[column.name].to_numpy(), column), dtype=object
        )
    table.loc[[9, 609], first.name] = wrong(first)
    for column in others:
        table.loc[609, column.name] = wrong(column)
    write_table(table, tmp_path / "in.csv", CONTRACT)

    result = scored(tmp_path / "in.csv", tmp_path / "out.csv", predictor)

    rejects = pd.read_csv(tmp_path / "out.rejects.csv")
    good = pd.read_csv(tmp_path / "out.csv")
    assert (result.rows, result.rejected) == (1000, 2)
    assert list(rejects["row"]) == [10, *[610] * len(CONTRACT.columns)]
    assert set(rejects["column"]) == {column.name for column in CONTRACT.columns}
    assert sorted({*good["row"], *rejects["row"]}) == list(range(1, 1001))


def test_rejects_of_an_earlier_run_do_not_stay_beside_a_clean_one(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path
):
    write_table(table, tmp_path / "in.csv", CONTRACT)
    (tmp_path / "out.rejects.csv").write_text("row\n1\n")

    scored(tmp_path / "in.csv", tmp_path / "out.csv", predictor)

    assert not (tmp_path / "out.rejects.csv").exists()


def test_many_threads_write_what_one_writes(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path
):
    column = field("integer", "number", "category")
    table.loc[::7, column.name] = wrong(column)
    write_table(table, tmp_path / "in.parquet", CONTRACT)

    for threads in (1, 5):
        (tmp_path / str(threads)).mkdir()
        score_file(
            tmp_path / "in.parquet",
            tmp_path / f"{threads}/out.parquet",
            predictor,
            how=How(threads=threads),
        )

    for name in ("out.parquet", "out.rejects.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (
            tmp_path / "5" / name
        ).read_bytes()


@pytest.mark.parametrize("answer", [float("nan"), -0.1, 1.5])
def test_an_answer_that_is_no_probability_is_written_nowhere(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path, answer: float
):
    write_table(table, tmp_path / "in.csv", CONTRACT)
    broken = Predictor(
        predictor.source, CONTRACT, lambda customers: np.full(len(customers), answer)
    )

    with pytest.raises(PredictionError, match="no probability"):
        scored(tmp_path / "in.csv", tmp_path / "out.csv", broken)

    assert list(tmp_path.iterdir()) == [tmp_path / "in.csv"]


@pytest.mark.posix
def test_scored_customers_are_as_private_as_the_person_wants(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path
):
    write_table(table, tmp_path / "in.csv", CONTRACT)
    usual = os.umask(0o077)
    try:
        scored(tmp_path / "in.csv", tmp_path / "out.csv", predictor)
    finally:
        os.umask(usual)

    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600


def test_no_file_is_scored_onto_itself_even_if_asked(
    trained: Path, tmp_path: Path, run
):
    source = Path(shutil.copy(trained / "data/table.csv", tmp_path / "x.rejects.csv"))
    before = source.read_bytes()

    done = [
        run(trained, "score", source, tmp_path / name, "--overwrite")
        for name in ("x.csv", source.name)
    ]

    assert [each.returncode for each in done] == [2, 2]
    assert source.read_bytes() == before


def test_a_part_with_only_bad_rows_is_no_obstacle(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path
):
    column = field("integer", "number", "category")
    table.loc[:299, column.name] = wrong(column)
    write_table(table, tmp_path / "in.parquet", CONTRACT)

    result = scored(tmp_path / "in.parquet", tmp_path / "out.parquet", predictor)

    assert (result.rows, result.rejected) == (1000, 300)
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 700


def test_an_id_and_columns_that_may_be_missing_can_be_left_out(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path
):
    optional = [column.name for column in CONTRACT.columns if column.nullable]
    table = table.drop(columns=[ID, *optional])
    write_table(table, tmp_path / "in.csv", CONTRACT)
    cells = {
        column.name: to_json(table[column.name].to_numpy()[:20], column)
        for column in CONTRACT.columns
        if not column.nullable
    }
    records = [
        Customer(**dict(zip(cells, row, strict=True)))
        for row in zip(*cells.values(), strict=True)
    ]

    scored(tmp_path / "in.csv", tmp_path / "out.csv", predictor)

    answers = pd.read_csv(tmp_path / "out.csv")
    assert np.array_equal(
        answers["probability"][:20],
        predictor.probabilities(as_columns(records, CONTRACT)),
    )
    assert answers[ID].isna().all()


@pytest.mark.parametrize("damage", ["no column", "no column and no rows", "no table"])
def test_a_file_that_cannot_be_scored_leaves_nothing_behind(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path, damage: str
):
    source = tmp_path / "in.csv"
    if "no column" in damage:
        table = table.drop(columns=required())
    write_table(table[:0] if "no rows" in damage else table, source, CONTRACT)
    if damage == "no table":
        text = source.read_bytes()
        source.write_bytes(
            text[: len(text) // 2]
            + b"\n"
            + b"1," * (len(CONTRACT.columns) + 9)
            + b"1\n"
        )

    with pytest.raises(TableError, match=r"in\.csv"):
        scored(source, tmp_path / "out.csv", predictor)

    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("write", SUFFIXES)
@pytest.mark.parametrize("read", SUFFIXES)
def test_a_file_with_only_a_header_is_scored_to_one_without_answers(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path, read: str, write: str
):
    write_table(table[:0], tmp_path / f"in{read}", CONTRACT)

    result = scored(tmp_path / f"in{read}", tmp_path / f"out{write}", predictor)

    reader = pd.read_csv if write == ".csv" else pd.read_parquet
    answers = reader(tmp_path / f"out{write}")
    assert result == (0, 0)
    assert (len(answers), list(answers)) == (0, ["row", ID, *ANSWER])


@pytest.mark.parametrize("read", SUFFIXES)
def test_the_header_of_a_file_without_rows_is_checked_too(
    table: pd.DataFrame, predictor: Predictor, tmp_path: Path, read: str
):
    write_table(table[:0].drop(columns=required()), tmp_path / f"in{read}", CONTRACT)

    with pytest.raises(TableError, match=f"{required()} must be present as a column"):
        scored(tmp_path / f"in{read}", tmp_path / "out.csv", predictor)


@pytest.mark.slow
def test_the_command_says_what_it_did_and_replaces_nothing_unasked(
    trained: Path, tmp_path: Path, run
):
    first = run(trained, "score", "data/table.csv", tmp_path / "out.parquet", "--json")
    again = run(trained, "score", "data/table.csv", tmp_path / "out.parquet")
    asked = run(
        trained, "score", "data/table.csv", tmp_path / "out.parquet", "--overwrite"
    )

    assert (
        json.loads(first.stdout)["rows"]
        == len(read_table(tmp_path / "out.parquet", CONTRACT))
        == 3000
    )
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)
    assert (asked.returncode, "3,000 of 3,000 rows" in asked.stdout) == (0, True)
