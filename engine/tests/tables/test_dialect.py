"""An owner's table is read as it is, or it is said what to set.

That is about headers, signs, words and dates.
"""

import datetime as dt
import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from own import ID, TARGET
from skewless.core.arrays import EPOCH, as_dates
from skewless.core.contract import Contract
from skewless.core.errors import TableError
from skewless.core.sections import PLAIN
from skewless.tables.cells import read_cells
from skewless.tables.faults import check_table, find_faults
from skewless.tables.table import data_hash, read_parts, read_table, write_table
from subscriber import CLEAN, FORM, GERMAN, MESSY, TABLE, Subscriber, write_both


def test_a_messy_table_is_the_same_typed_table_as_the_clean_one(tmp_path: Path):
    clean, messy = (
        check_table(read_table(path, GERMAN, FORM), GERMAN)
        for path in write_both(tmp_path)
    )

    pd.testing.assert_frame_equal(clean, messy)
    assert data_hash(clean) == data_hash(messy)
    assert messy["signed_up"].tolist() == [18033.0, -1.0, 19782.0, 18033.0, 18033.0]
    assert messy["last_call"].isna().tolist() == [False, True, True, False, False]


def test_a_typed_table_written_and_read_again_is_the_same(tmp_path: Path):
    _, messy = write_both(tmp_path)
    before = check_table(read_table(messy, GERMAN, FORM), GERMAN)

    for name in ("again.csv", "again.parquet"):
        write_table(before, tmp_path / name, GERMAN, form=FORM)
        again = check_table(read_table(tmp_path / name, GERMAN, FORM), GERMAN)

        pd.testing.assert_frame_equal(again, before)


def test_a_category_may_be_called_na_and_only_what_is_listed_is_missing(tmp_path: Path):
    _, messy = write_both(tmp_path)

    city = read_table(messy, GERMAN, FORM)["city"]

    assert city.isna().tolist() == [False, False, True, False, False]
    assert city[2] == "NA"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_number_that_means_missing_is_missing_by_its_value(
    suffix: str, tmp_path: Path
):
    form = PLAIN.model_copy(update={"missing": ("", "-999")})
    clean = CLEAN.assign(visits=[5.0, -999.0, None, 1.0, 2.0])
    path = tmp_path / f"t{suffix}"
    clean.to_csv(path, index=False) if suffix == ".csv" else clean.to_parquet(
        path, index=False
    )

    visits = read_table(path, GERMAN, form)["visits"]

    assert visits.isna().tolist() == [False, True, True, False, False]


def shuffled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    return table.sample(frac=1, random_state=seed, ignore_index=True)


def named(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    table.to_parquet(path, index=False)
    return check_table(read_table(path, GERMAN, FORM), GERMAN)


def test_ids_of_rows_are_unique_and_stay_when_rows_move_or_come(tmp_path: Path):
    before = named(CLEAN, tmp_path / "before.parquet")

    more = CLEAN.assign(revenue=CLEAN["revenue"] - 1)
    after = named(
        shuffled(pd.concat([CLEAN, more, CLEAN[:1]]), 3), tmp_path / "after.parquet"
    )

    assert before[ID].is_unique
    assert after[ID].is_unique
    known = (
        after[after[ID].isin(before[ID])]
        .set_index(ID)
        .loc[before[ID]]
        .reset_index()
        .set_index(before.index)
    )
    pd.testing.assert_frame_equal(known[list(before)], before)


def test_an_id_that_the_table_has_is_kept_and_scoring_needs_none(tmp_path: Path):
    CLEAN.assign(**{ID: list("abcde")}).to_parquet(tmp_path / "t.parquet", index=False)
    _, messy = write_both(tmp_path)

    kept = read_table(tmp_path / "t.parquet", GERMAN, FORM)

    assert kept[ID].tolist() == list("abcde")
    assert all(ID not in part for part in read_parts(messy, 2, GERMAN, form=FORM))


def messy_with(old: str, new: str, folder: Path, encoding: str = "latin-1") -> Path:
    assert old in MESSY
    path = folder / "changed.csv"
    path.write_bytes(MESSY.replace(old, new).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("old", "new", "row", "column", "found"),
    [
        ("1.234,50", "1,234.50", 1, "revenue", "'1,234.50'"),
        ("-0,25", "1.5", 2, "revenue", "'1.5'"),
        (";12.000;", ";12.00;", 1, "visits", "'12.00'"),
        ("31.12.1969", "31.02.1969", 2, "signed_up", "31.02.1969"),
        ("2019-05-17;01", "20190517;01", 5, "signed_up", "20190517"),
        ("2019-05-17;01", "2019-05;01", 5, "signed_up", "2019-05"),
        (" YES ", "Ja", 1, "newsletter", "Ja"),
        ("; Ja", ";ja", 4, TARGET, "'ja'"),
        ("; Ja", ";1", 4, TARGET, "'1'"),
    ],
)
@pytest.mark.slow
def test_a_cell_that_is_written_otherwise_is_named(
    old: str, new: str, row: int, column: str, found: str, tmp_path: Path
):
    table = read_table(messy_with(old, new, tmp_path), GERMAN, FORM)

    faults = find_faults(table, GERMAN, training=True)

    assert [
        tuple(fault) for fault in faults[["row", "column", "found"]].to_numpy()
    ] == [(row, column, found)]


def test_a_date_out_of_range_is_told_in_dates(tmp_path: Path):
    table = read_table(messy_with("31.12.1969", "31.12.1949", tmp_path), GERMAN, FORM)

    (rule,) = find_faults(table, GERMAN, training=True)["rule"]

    assert rule == "date, 1965-01-01 to 2030-12-31"


@pytest.mark.parametrize(("delimiter", "said"), list(permutations(",;\t|", 2)))
def test_a_wrong_delimiter_is_told_with_the_one_it_seems_to_be(
    delimiter: str, said: str, tmp_path: Path
):
    path = messy_with(";", delimiter, tmp_path)
    form = FORM.model_copy(update={"delimiter": said})

    with pytest.raises(
        TableError, match=re.escape(f"set data.format.delimiter to {delimiter!r}")
    ):
        read_table(path, GERMAN, form)


@pytest.mark.parametrize(
    ("said", "written", "guess"),
    [
        ("utf-8", "latin-1", "cp1252"),
        ("utf-8", "utf-16", "utf-16"),
        ("utf-16", "utf-8", "utf-8"),
        ("ascii", "utf-8", "utf-8"),
    ],
)
def test_a_wrong_encoding_is_told_with_the_one_it_seems_to_be(
    said: str, written: str, guess: str, tmp_path: Path
):
    path = messy_with(";", ";", tmp_path, written)

    with pytest.raises(
        TableError, match=f"seems to be {guess}: set data.format.encoding"
    ):
        read_table(path, GERMAN, FORM.model_copy(update={"encoding": said}))


def test_an_unknown_encoding_is_named(tmp_path: Path):
    with pytest.raises(TableError, match="unknown encoding: klingon"):
        read_table(
            write_both(tmp_path)[1],
            GERMAN,
            FORM.model_copy(update={"encoding": "klingon"}),
        )


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_byte_order_mark_belongs_to_no_header(quote: str, tmp_path: Path):
    path = messy_with("Ort;", f"{quote}Ort{quote};", tmp_path, "utf-8-sig")

    table = read_table(path, GERMAN, FORM.model_copy(update={"encoding": "utf-8"}))

    assert check_table(table, GERMAN)["city"].tolist()[:2] == ["Köln", "NA"]


def test_a_column_under_both_its_names_is_refused(tmp_path: Path):
    path = messy_with(";Nr;", ";city;", tmp_path)

    with pytest.raises(
        TableError,
        match="the column city stands twice, as Ort and city; see the headers of TABLE",
    ):
        read_table(path, GERMAN, FORM)


def test_headers_that_are_another_fields_name_are_not_taken_for_it(tmp_path: Path):
    headers = TABLE.headers | {"revenue": "visits", "visits": "revenue"}
    crossed = Contract(Subscriber, TABLE.model_copy(update={"headers": headers}))
    path = messy_with("Umsatz (EUR);Besuche", "visits;revenue", tmp_path)

    table = check_table(read_table(path, crossed, FORM), crossed)

    assert table["revenue"].tolist()[:2] == [1234.5, -0.25]
    assert table["visits"][1] == 12_000


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.bool_()])
def test_a_parquet_column_of_numbers_is_no_date(kind: pa.DataType, tmp_path: Path):
    pq.write_table(
        pa.table({"signed_up": pa.array([1], pa.int64()).cast(kind)}),
        tmp_path / "t.parquet",
    )

    with pytest.raises(
        TableError,
        match=r"the column signed_up is of type .*; allowed are dates and text",
    ):
        read_table(tmp_path / "t.parquet", GERMAN)


@pytest.mark.parametrize(
    "kind", ["date32", "timestamp[s]", "timestamp[ns, tz=Europe/Berlin]", "string"]
)
def test_a_parquet_column_of_dates_or_text_is_a_date(kind: str, tmp_path: Path):
    texts = pa.array(["2026-01-31", None])
    zoned = pa.timestamp("ns", "Europe/Berlin")
    made = {
        "date32": lambda: texts.cast(pa.date32()),
        "timestamp[s]": lambda: texts.cast(pa.timestamp("s")),
        "timestamp[ns, tz=Europe/Berlin]": lambda: pa.array(
            [pd.Timestamp("2026-01-31 00:30", tz="Europe/Berlin"), None], zoned
        ),
        "string": lambda: texts,
    }[kind]()
    pq.write_table(pa.table({"signed_up": made}), tmp_path / "t.parquet")

    cells = read_table(tmp_path / "t.parquet", GERMAN)["signed_up"]

    days = read_cells(cells, GERMAN.columns[0], TABLE)
    assert days.tolist()[0] == (dt.date(2026, 1, 31) - dt.date(1970, 1, 1)).days
    assert np.isnan(days.tolist()[1])


@settings(deadline=None)
@given(day=st.dates())
def test_every_date_is_the_same_day_however_it_is_written(day: dt.date):
    cells = pd.Series(
        [f"{day:%d.%m.}{day.year:04}", str(day), f"{day}T23:59:59", f" {day} 00:00"],
        dtype="str",
    )

    days = read_cells(cells, GERMAN.columns[0], TABLE)

    assert set(days) == {day.toordinal() - EPOCH}
    assert as_dates(days.to_numpy()).tolist() == [day] * 4
