"""Reading, writing, fingerprint and holdout of a table."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from own import CONTRACT, ID
from skewless.core.errors import TableError
from skewless.core.sections import PLAIN
from skewless.tables.faults import check_table
from skewless.tables.simulate import simulate
from skewless.tables.split import is_holdout
from skewless.tables.table import data_hash, read_parts, read_table, write_table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame(simulate(500, 3, CONTRACT))


def test_the_fingerprint_is_the_same_for_csv_and_parquet(
    table: pd.DataFrame, tmp_path: Path
):
    for name in ("t.csv", "t.parquet"):
        write_table(table, tmp_path / name, CONTRACT)

    hashes = {
        data_hash(check_table(read_table(tmp_path / name, CONTRACT), CONTRACT))
        for name in ("t.csv", "t.parquet")
    }

    assert len(hashes) == 1


def test_any_changed_cell_changes_the_fingerprint(table: pd.DataFrame):
    checked = check_table(table, CONTRACT)
    before = data_hash(checked)

    for name in checked:
        (*others,) = checked.loc[checked[name] != checked.loc[17, name], name].dropna()
        if others:  # a category may have one value
            changed = checked.copy()
            changed.loc[17, name] = others[0]
            assert data_hash(changed) != before, name


def test_parts_together_are_the_whole_table(table: pd.DataFrame, tmp_path: Path):
    for name in ("t.csv", "t.parquet"):
        write_table(table, tmp_path / name, CONTRACT)

        parts = list(read_parts(tmp_path / name, 120, CONTRACT))

        assert [len(part) for part in parts] == [120, 120, 120, 120, 20]
        pd.testing.assert_frame_equal(
            pd.concat(parts), read_table(tmp_path / name, CONTRACT)
        )


def test_of_parquet_no_column_is_read_that_nobody_asks_for(
    table: pd.DataFrame, tmp_path: Path
):
    write_table(
        table.assign(other=1.0, observed_at="2026-01-01"),
        tmp_path / "wide.parquet",
        CONTRACT,
    )

    read = read_table(tmp_path / "wide.parquet", CONTRACT)

    assert {*read} == {*table, "observed_at"}


@given(
    old=st.lists(st.text(min_size=1), unique=True),
    new=st.lists(st.text(min_size=1), unique=True),
)
def test_adding_customers_moves_nobody_into_or_out_of_the_holdout(
    old: list[str], new: list[str]
):
    before = is_holdout(pd.Series(old, dtype="str"), fraction=0.3, salt="s")

    after = is_holdout(pd.Series(old + new, dtype="str"), fraction=0.3, salt="s")

    assert np.array_equal(after[: len(old)], before)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
def test_the_holdout_has_the_wanted_share(fraction: float):
    ids = pd.Series([f"c-{number}" for number in range(20_000)])

    share = is_holdout(ids, fraction=fraction, salt="salt").mean()

    assert abs(share - fraction) < 5 * np.sqrt(fraction * (1 - fraction) / len(ids))


def test_another_salt_is_another_holdout(table: pd.DataFrame):
    one = is_holdout(table[ID], fraction=0.5, salt="one")
    two = is_holdout(table[ID], fraction=0.5, salt="two")

    assert 0.3 < (one == two).mean() < 0.7


@pytest.mark.parametrize("name", ["t.tsv", "T.TSV", "t.tsv.gz"])
@pytest.mark.parametrize(
    ("delimiter", "written"),
    [(",", "\t"), (";", "\t"), (";", ";"), ("\t", "\t"), (",", ",")],
)
@pytest.mark.slow
def test_tabs_separate_a_tsv_unless_its_header_says_otherwise(
    table: pd.DataFrame, tmp_path: Path, name: str, delimiter: str, written: str
):
    form = PLAIN.model_copy(update={"delimiter": delimiter})
    write_table(table, tmp_path / "t.csv", CONTRACT)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    text = io.StringIO()
    csv.writer(text, delimiter=written).writerows(rows)
    content = text.getvalue().encode()
    (tmp_path / name).write_bytes(
        gzip.compress(content) if name.endswith(".gz") else content
    )

    assert data_hash(
        check_table(read_table(tmp_path / name, CONTRACT, form), CONTRACT)
    ) == data_hash(check_table(read_table(tmp_path / "t.csv", CONTRACT), CONTRACT))


def test_a_tsv_with_another_separator_says_what_to_set(
    table: pd.DataFrame, tmp_path: Path
):
    (tmp_path / "t.tsv").write_text(table.to_csv(index=False, sep=";"))

    with pytest.raises(
        TableError, match=r"separated by ';': set data\.format\.delimiter"
    ):
        read_table(tmp_path / "t.tsv", CONTRACT)


@pytest.mark.parametrize("name", ["t.orc", "t", "t.parquet.gz", "t.csv.bz2", "t.csv~"])
def test_a_file_of_no_known_format_is_refused_with_what_is_read(
    tmp_path: Path, name: str
):
    (tmp_path / name).write_text("")

    with pytest.raises(
        TableError,
        match=r"allowed are \.csv, \.tsv, \.txt .* \.parquet and \.pq, in any case",
    ):
        read_table(tmp_path / name, CONTRACT)


TORN = gzip.compress(b"a,b\n" * 9999, mtime=0)[:40]


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", b"not gzip", TORN],
    ids=["empty", "begun", "text", "torn"],
)
def test_a_damaged_gzip_file_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "t.csv.gz").write_bytes(content)

    with pytest.raises(TableError, match=r"t\.csv\.gz: cannot be read as a table"):
        read_table(tmp_path / "t.csv.gz", CONTRACT)


def test_the_encoding_of_a_gzipped_file_is_guessed_too(tmp_path: Path):
    names = ",".join(column.name for column in CONTRACT.columns)
    text = f"{ID},{names}\nM\u00fcller{',' * len(CONTRACT.columns)}\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode("cp1252")))

    with pytest.raises(TableError, match="it seems to be cp1252"):
        read_table(tmp_path / "t.csv.gz", CONTRACT)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    table: pd.DataFrame, tmp_path: Path
):
    path = tmp_path / "t.parquet"
    write_table(table, path, CONTRACT)
    before = path.read_bytes()

    with pytest.raises(ValueError, match="uplicate"):
        write_table(
            pd.concat([table, *[table[ID].rename("extra")] * 2], axis=1), path, CONTRACT
        )

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
