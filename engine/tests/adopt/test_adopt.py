"""One command makes the project that of another table.

The tests are about what it decides, what it writes and what it refuses.
"""

import csv
import datetime as dt
import json
import keyword
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from rename import template_only

import adopt
from conftest import NOBODY, ROOT
from git_that_fails import DUBIOUS, say
from own import ID, PROJECT
from skewless.adopt import naming, rendering
from skewless.adopt.asked import Asked
from skewless.adopt.config_yaml import (
    LEAF,
    ROWS_OF_A_LEAF,
    path_from,
    render_config_yaml,
    table_settings,
)
from skewless.adopt.decisions import Decisions, make_decisions
from skewless.adopt.fields import bounds
from skewless.adopt.naming import Names
from skewless.adopt.profile import Profile
from skewless.adopt.reading import open_foreign
from skewless.adopt.rendering import render_config, render_known_values, render_schema
from skewless.adopt.staging import formatted
from skewless.adopt.telling import next_steps, summary
from skewless.adopt.worth import own_auc, scorecard
from skewless.core.errors import SkewlessError, TableError

ROWS = 300
RANDOM = np.random.default_rng(3)
SIGNAL = RANDOM.normal(size=ROWS)
OUTCOME = (RANDOM.random(ROWS) < 1 / (1 + np.exp(-2 * SIGNAL))).astype(int)

identifier = partial(naming.identifier, id_field=ID)
render_features = partial(rendering.render_features, records=adopt.RECORDS)


def table(**columns: Any) -> pd.DataFrame:
    """Build a table with a column that predicts a little, whatever else it has."""
    return pd.DataFrame({"signal": SIGNAL.round(3), **columns, "left": OUTCOME})


def written(path: Path, found: pd.DataFrame, **how: Any) -> Path:
    found.to_csv(path, index=False, **how)
    return path


def decided(path: Path, scratch: Path, **asked: str) -> Decisions:
    scratch.mkdir(exist_ok=True)
    return make_decisions(
        open_foreign(path, scratch),
        Asked(**({"target": "left"} | asked)),
        PROJECT,
        say=lambda _: None,
    )


@pytest.fixture
def of(tmp_path: Path):
    """Decide about a table of columns, written as CSV."""

    def decide_about(
        found: pd.DataFrame, how: dict[str, Any] | None = None, **asked: str
    ) -> Decisions:
        return decided(
            written(tmp_path / "table.csv", found, **how or {}),
            tmp_path / "scratch",
            **asked,
        )

    return decide_about


def kinds(found: Decisions) -> dict[str, str]:
    return {each.field.profile.header: each.field.kind for each in found.judged}


def reasons(found: Decisions) -> dict[str, str]:
    return {each.header: each.why for each in found.left_out}


# --- names


@given(st.text(max_size=80), st.integers(1, 999))
@pytest.mark.slow
def test_any_header_becomes_an_identifier_that_python_and_pydantic_take(
    header: str, position: int
):
    name = identifier(header, position)

    assert name.isidentifier()
    assert name.isascii()
    assert name == name.lower()
    assert not keyword.iskeyword(name)
    assert identifier(name, position) == name
    types.new_class(
        "Record",
        (BaseModel,),
        exec_body=lambda body: body.update(__annotations__={name: int}),
    )


@given(
    st.lists(
        st.text(max_size=12) | st.sampled_from(["a", "A ", "a_2", "class", "Ä", "ae"]),
        max_size=30,
    )
)
def test_no_two_columns_get_one_name(headers: list[str]):
    names = Names(headers, target="target", header="Target")

    given_names = [
        names.name(identifier(header, place), header=header)
        for place, header in enumerate(headers)
    ]

    assert len({*given_names, names.target}) == len(given_names) + 1


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("MonthlyCharges", "monthly_charges"),
        ("customerID", "customer_id_value"),
        (" Größe der  Straße (m²) ", "groesse_der_strasse_m2"),
        ("Café", "cafe"),
        ("возраст", "column_7"),
        ("class", "class_value"),
        ("copy", "copy_value"),
        ("model_dump", "model_dump_value"),
        ("prediction_id", "prediction_id_value"),
        ("2 lines", "column_2_lines"),
        ("%", "percent"),
        ("", "column_7"),
    ],
)
def test_headers_of_real_tables_become_names_to_read(header: str, name: str):
    assert identifier(header, 7) == name


def test_a_columns_features_never_replace_those_of_another(of):
    found = of(
        table(
            plan=RANDOM.choice(["basic", "pro"], ROWS),
            plan_basic=RANDOM.integers(0, 9, ROWS),
        )
    )

    features = [name for each in found.judged for name in each.field.features]
    assert len(set(features)) == len(features)
    assert features == ["signal", "plan_basic", "plan_pro", "plan_basic_2"]


@pytest.mark.parametrize("asked", [{}, {"id": "customer_id"}])
def test_only_an_id_that_was_named_is_said_to_be(of, asked: dict[str, str]):
    found = of(table(customer_id=[f"c{row}" for row in range(ROWS)]), **asked)

    assert found.id is not None
    assert found.id.was_asked == bool(asked)


# --- columns


def test_numbers_with_a_sign_are_said_to_be_numbers(of):
    amounts, shares = RANDOM.random(ROWS) * 1_000, RANDOM.integers(0, 9, ROWS)
    signed = {
        "spend": [f"${each:,.2f}" for each in amounts],
        "lost": [f"({each:.2f})" if each > 500 else f"{each:.2f}" for each in amounts],
    }

    found = of(
        table(
            **signed,
            discount=[f"{each} %" for each in shares],
            plan=[f"A{each}" for each in shares],
        )
    )

    assert all("numbers with a sign" in reasons(found)[header] for header in signed)
    notes = {
        each.field.name: "".join(each.field.profile.notes) for each in found.judged
    }
    assert [name for name, note in notes.items() if "numbers with a sign" in note] == [
        "discount"
    ]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2", "30"], "integer"),
        # how pandas writes whole numbers when one misses
        (["1.0", "2.0", ""], "integer"),
        (["1.0", "2.0", "3.0"], "number"),
        (["1.5", " 2", "-3e4"], "number"),
        (["1", "2", " "], "integer"),
        (["Yes", "no", ""], "boolean"),
        (["T", "F", "T"], "boolean"),
        (["0", "1", "1"], "integer"),
        (["2024-01-31", "2024-02-29", ""], "date"),
        (["2024-01-31 10:00:00", "2024-02-29T11:30", "2024-03-01"], "date"),
        (["31.12.2024", "1.2.2024", "03.04.2024"], "date"),
        (["12/31/2024", "01/02/2024", "03/04/2024"], "date"),
        (["05/30/2018 12:00 AM", "1/2/2018 1:05 pm", ""], "date"),
        (["05/30/2018 12:00:00 AM", "01/02/2018 11:59:59 PM"], "date"),
        (["05/30/2018 13:00 PM", "01/02/2018 11:59 PM"], "category"),
        (["2024-01-31", "0000-00-00", "2024-02-29"], "date"),
        (["1.2.2024", "00.00.0000", "31.12.2024"], "date"),
        (["01067", "10115", "80331"], "category"),
        (["NA", "EU", "US"], "category"),
        (["a", "b", "b"], "category"),
        (["1", "2", "3+"], "category"),
        (["30.02.2024", "31.04.2024", "01.01.2024"], "category"),
    ],
)
@pytest.mark.slow
def test_a_columns_kind_is_read_off_its_cells(of, cells: list[str], kind: str):
    found = of(table(it=[cells[row % len(cells)] for row in range(ROWS)]))

    assert kinds(found)["it"] == kind


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([""] * ROWS, "no value in any row"),
        (["x"] * ROWS, "'x' in every row"),
        ([f"note {row}" for row in range(ROWS)], "no two values are alike"),
        (RANDOM.choice(["one line", "two\nlines"], ROWS), "hold control characters"),
        ([f"city {row % 120}" for row in range(ROWS)], "120 different texts"),
        (list(range(7, ROWS + 7)), "names the row"),
        ((RANDOM.random(ROWS) * 1e300).tolist(), "too large for the model"),
        (OUTCOME * 2 + 1, "tells the outcome"),
        (np.where(OUTCOME, "2024-01-01", ""), "tells the outcome"),
        (np.where(OUTCOME, "moved", "stays"), "tells the outcome"),
    ],
)
def test_a_column_that_cannot_help_is_left_out_and_why(of, cells: Any, why: str):
    found = of(table(it=cells))

    assert "it" not in kinds(found)
    assert why in reasons(found)["it"]


@pytest.mark.parametrize(
    ("how", "cells", "style"),
    [
        ({}, [f"{value:,.2f}" for value in np.linspace(900, 99_000, ROWS)], (".", ",")),
        (
            {"sep": ";"},
            [f"{value:.2f}".replace(".", ",") for value in np.linspace(1, 9, ROWS)],
            (",", None),
        ),
        (
            {"sep": "\t"},
            [f"{row // 9}.000,{row % 9}" for row in range(ROWS)],
            (",", "."),
        ),
        ({"sep": "|"}, [f"{row / 7}" for row in range(ROWS)], (".", None)),
    ],
)
def test_numbers_are_read_as_the_table_writes_them(
    of, how: dict[str, str], cells: list[str], style: Any
):
    found = of(table(it=cells, signal=RANDOM.integers(0, 9, ROWS)), how)

    assert kinds(found)["it"] == "number"
    assert (found.written.style.decimal, found.written.style.thousands) == style


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"]
)
def test_a_table_is_read_in_the_encoding_it_has(of, encoding: str):
    found = of(
        table(größe=RANDOM.choice(["groß", "süß"], ROWS)), {"encoding": encoding}
    )

    assert kinds(found) == {"signal": "number", "größe": "category"}
    assert found.judged[1].field.features == ("groesse_groß", "groesse_süß")


def test_words_among_numbers_mean_missing_and_elsewhere_stay_what_they_are(of):
    ages = np.where(
        np.arange(ROWS) % 20 == 0, "unknown", RANDOM.integers(18, 80, ROWS).astype(str)
    )

    found = of(table(age=ages, region=RANDOM.choice(["NA", "EU"], ROWS)))

    assert found.written.missing == ("", "unknown")
    assert kinds(found) == {"signal": "number", "age": "integer", "region": "category"}


def test_a_parquet_table_gives_what_the_csv_of_it_gives(tmp_path: Path):
    both = table(
        flag=RANDOM.choice([True, False], ROWS),
        day=pd.date_range("2020-01-01", periods=ROWS),
        count=pd.array(
            np.where(np.arange(ROWS) % 9, RANDOM.integers(0, 9, ROWS), None),
            dtype="Int64",
        ),
        plan=pd.Categorical(RANDOM.choice(["a", "b"], ROWS)),
    )
    both.to_parquet(tmp_path / "table.parquet")
    written(tmp_path / "table.csv", both)

    first, second = (
        decided(tmp_path / f"table.{kind}", tmp_path / kind)
        for kind in ("parquet", "csv")
    )

    assert kinds(first) == kinds(second)
    assert [each.field.low for each in first.judged] == [
        each.field.low for each in second.judged
    ]


def test_what_parquet_alone_can_hold_is_left_out(tmp_path: Path):
    table(tags=[["a"]] * ROWS, raw=[b"x"] * ROWS).to_parquet(tmp_path / "table.parquet")

    found = decided(tmp_path / "table.parquet", tmp_path)

    assert reasons(found).keys() == {"tags", "raw"}


@given(st.lists(st.floats(-1e37, 1e37), min_size=2))
def test_every_number_that_was_seen_lies_well_inside_its_range(values: list[float]):
    found = Profile("it", "number", 9, 0, 9, minimum=min(values), maximum=max(values))

    low, high = bounds(found)

    assert low <= min(values) <= max(values) <= high
    assert low == 0 or min(values) < 0
    assert high >= min(9.99 * max(values), 1e38)


def test_every_column_is_accounted_for_and_told(of):
    found = of(
        table(
            ClientID=[f"c{row}" for row in range(ROWS)],
            always="x",
            plan=RANDOM.choice(["a", "b"], ROWS),
        )
    )

    told = "\n".join(summary(found, "data/table.csv"))

    fields = {each.field.profile.header for each in found.judged}
    assert fields | reasons(found).keys() | {found.id.header, "left"} == set(
        found.foreign.headers
    )
    assert all(header in told for header in found.foreign.headers)


def test_an_id_is_found_by_its_name_and_its_values(of):
    found = of(table(ClientID=[f"c{row}" for row in range(ROWS)]))

    assert found.id is not None
    assert found.id.header == "ClientID"


def test_a_table_without_an_id_gets_ids_of_its_rows(of):
    assert of(table()).id is None


@pytest.mark.parametrize(
    "header", ["id", "uid", "kunden_id", "Kunden Nr.", "userid", "order_id"]
)
@pytest.mark.parametrize("written_as", ["{}", "k{}"])
@pytest.mark.slow
def test_an_id_that_repeats_is_refused_and_without_an_id_left_out_and_told(
    of, header: str, written_as: str
):
    repeated = table(**{header: [written_as.format(row // 2) for row in range(ROWS)]})

    with pytest.raises(
        TableError, match=r"repeats \(150 different values in 300 rows\).*say ID=none"
    ):
        of(repeated)
    found = of(repeated, id="none")

    assert "looks like an id and repeats, 150 values" in reasons(found)[header]
    told = "\n".join(summary(found, "data/table.csv"))
    assert f"both sides of the holdout: {header} repeats" in told


def test_beside_another_id_one_that_repeats_is_left_out_and_told(of):
    found = of(
        table(row_id=[f"r{row}" for row in range(ROWS)], user_id=np.arange(ROWS) // 12)
    )

    assert found.id is not None
    assert found.repeated == ("user_id",)
    assert kinds(found).keys() == {"signal"}


@pytest.mark.parametrize(
    ("header", "values"), [("plan_id", 30), ("country_id", 60), ("member_no", 9)]
)
def test_a_categorys_code_is_no_id_that_repeats(of, header: str, values: int):
    found = of(table(**{header: np.arange(ROWS) % values}))

    assert kinds(found).keys() == {"signal", header}
    assert found.id is None


# --- worth


def test_a_columns_own_auc_sees_what_no_order_shows():
    target = np.tile([0, 1], 500)

    assert own_auc(target.astype(float), target) == 1
    assert own_auc(np.where(target, np.nan, 3.0), target) == 1
    assert (
        own_auc(np.where(target, 5.0, np.tile([1.0, 1.0, 9.0, 9.0], 250)), target)
        > 0.99
    )
    assert own_auc(np.zeros(1000), target) == pytest.approx(0.5)
    assert own_auc(np.random.default_rng(1).random(1000), target) < 0.6


def test_the_baseline_has_a_probability_for_every_interval_and_for_missing():
    values = np.append(np.arange(999.0), np.nan)

    card = scorecard("it", values, (values > 500).astype(int))

    assert card.cuts == (250, 500, 700)
    assert len(card.probabilities) == 5
    assert [round(each) for each in card.probabilities[:4]] == [0, 0, 1, 1]


# --- the target


@pytest.mark.parametrize(
    ("words", "positive", "ones"),
    [
        (("0", "1"), None, {"1"}),
        (("0.0", "1.0"), None, {"1.0"}),
        (("False", "True"), None, {"True"}),
        (("no", "YES"), None, {"YES"}),
        (("-1", "1"), None, {"1"}),
        (("stayed", "left"), None, {"left"}),
        (("0", "Yes", "False", "1", "No", "True"), None, {"1", "Yes", "True"}),
        (("bleibt", "Kündigt"), "kündigt", {"Kündigt"}),
        (("0", "1"), "0", {"0"}),
        (("a", "b", "c"), "b", {"b"}),
    ],
)
def test_the_words_of_the_target_become_0_and_1(
    of, words: Sequence[str], positive: str | None, ones: set[str]
):
    apart = len(words) // 2 if len(words) != 3 else 1
    told = [
        words[apart + row % (len(words) - apart)]
        if OUTCOME[row]
        else words[row % apart]
        for row in range(ROWS)
    ]
    asked = {} if positive is None else {"positive": positive}

    found = of(table().assign(left=told), **asked)

    assert {word for word, outcome in found.target.meanings.items() if outcome} == ones
    assert set(found.target.meanings) == set(words)


# --- refusals


@pytest.mark.parametrize(
    ("found", "words", "code", "said"),
    [
        (table(), ["--target", "signal"], 3, "a quantity, not an outcome"),
        (
            table().assign(left=RANDOM.choice(["a", "b", "c"], ROWS)),
            ["--target", "left"],
            3,
            "POSITIVE=a",
        ),
        (
            table().assign(left=RANDOM.choice(["a", "b"], ROWS)),
            ["--target", "left"],
            2,
            "POSITIVE=a",
        ),
        (table().assign(left=1), ["--target", "left"], 3, "both outcomes must occur"),
        (
            table().assign(left=np.where(OUTCOME, "1", "")),
            ["--target", "left"],
            3,
            "both outcomes",
        ),
        (
            table().assign(left=np.where(np.arange(ROWS) < 7, "", OUTCOME.astype(str))),
            ["--target", "left"],
            3,
            "7 of 300 rows have no target (first in rows 1, 2, 3)",
        ),
        (table(), ["--target", "churn"], 2, "no such column"),
        (table(), ["--target", "left", "--id", "key"], 2, "no such column"),
        (table(), ["--target", "left", "--positive", "2"], 2, "no such value"),
        (
            table(k=np.arange(ROWS) // 2),
            ["--target", "left", "--id", "k"],
            3,
            "150 ids stand in several rows",
        ),
        (table(customer_id=1), ["--target", "left"], 3, "rename customer_id"),
        (
            table(leak=OUTCOME)[["leak", "left"]],
            ["--target", "left"],
            3,
            "no column is left",
        ),
        (table()[["left"]], ["--target", "left"], 3, "cut into columns"),
        (table()[:0], ["--target", "left"], 3, "no rows"),
        (
            pd.DataFrame(columns=["1", "2"], data=[[0, 1]] * 9),
            ["--target", "2"],
            3,
            "first line holds numbers",
        ),
    ],
)
def test_a_table_or_a_word_that_does_not_fit_is_refused_and_what_to_do_is_said(
    tmp_path: Path,
    capsys,
    monkeypatch,
    found: pd.DataFrame,
    words: list[str],
    code: int,
    said: str,
):
    monkeypatch.setattr(adopt, "refuse_uncommitted", lambda *_: None)
    path = written(tmp_path / "table.csv", found)

    assert adopt.main([str(path), *words]) == code

    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "a.csv is empty; a table has"),
        ("a.csv", b"\xef\xbb\xbf \r\n\r\n", "a.csv is empty; a table has"),
        ("a.csv", b"left\n1\n", "cut into columns"),
        ("a.csv", b"PK\x03\x04rest", "Excel"),
        ("a.csv", bytes(range(256)) * 9, "zero bytes"),
        (
            "a.csv",
            b"a,left\n" + b"1,0\n" * 50 + b"1,0,3\n",
            "line 52, saw 3); every line",
        ),
        ("a.txt", b"a,left\n1,0\n", "rename or export"),
        ("a.parquet", b"a,left\n1,0\n", "Parquet"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, capsys, monkeypatch, name: str, content: bytes, said: str
):
    monkeypatch.setattr(adopt, "refuse_uncommitted", lambda *_: None)
    (tmp_path / name).write_bytes(content)

    assert adopt.main([str(tmp_path / name), "--target", "left"]) == 3

    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_a_wrong_command(tmp_path: Path, capsys):
    assert (
        adopt.main([str(tmp_path / "absent.csv"), "--target", "left", "--dry-run"]) == 2
    )

    assert "no such file" in capsys.readouterr().err


# --- what is written

CELLS = st.sampled_from(
    [
        st.integers(-(10**9), 10**9).map(str),
        st.floats(allow_nan=False, allow_infinity=False, width=32).map(str),
        st.sampled_from(["Yes", "No"]),
        st.dates(dt.date(1900, 1, 1)).map(str),
        st.dates(dt.date(1900, 1, 1)).map(lambda day: f"{day:%d.%m.}{day.year:04}"),
        st.dates(dt.date(1900, 1, 1)).map(
            lambda day: f"{day:%m/%d/}{day.year:04} 12:00 AM"
        ),
        st.sampled_from(
            [
                'a "q"',
                "it's",
                "back\\slash",
                "new\nline",
                "{brace}",
                "\u2013",
                "\u202e",
                " lead",
                "#",
            ]
        ),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5),
    ]
)


@st.composite
def columns_of_cells(draw: st.DrawFn) -> dict[str, list[str]]:
    headers = draw(
        st.lists(
            st.text(
                st.characters(codec="utf-8", exclude_characters="\0\r"),
                min_size=1,
                max_size=9,
            ),
            unique=True,
            max_size=4,
        )
    )
    cells = {header: draw(CELLS) for header in headers}
    return {
        header: draw(
            st.lists(
                each | st.just("") if draw(st.booleans()) else each,
                min_size=24,
                max_size=24,
            )
        )
        for header, each in cells.items()
    }


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=25)
@given(columns=columns_of_cells())
@pytest.mark.slow
def test_the_rendered_schema_takes_every_row_of_its_table(
    tmp_path: Path, columns: dict[str, list[str]]
):
    assume(
        not {"left", "signal", "customer_id"}
        & {header.strip().casefold() for header in columns}
    )
    path = tmp_path / "table.csv"
    everything = columns | {
        "signal": SIGNAL[:24].round(2).tolist(),
        "left": [0, 1] * 12,
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [
                list(everything),
                *zip(*[everything[header] for header in everything], strict=True),
            ]
        )
    found = decided(path, tmp_path, id="none")

    module = types.ModuleType("schema")
    schema = render_schema(found, (ROOT / adopt.SCHEMA).read_text())
    exec(schema, module.__dict__)  # noqa: S102 - what is tested

    for row in range(24):
        record = {
            each.field.name: as_json(
                each.field, everything[each.field.profile.header][row], found
            )
            for each in found.judged
        }
        module.Customer.model_validate_json(json.dumps(record))
    assert [each.field.name for each in found.judged] == list(
        module.Customer.model_fields
    )[1:]


def as_json(field: Any, cell: Any, found: Decisions) -> Any:
    """Write a cell as a caller of the service would."""
    text = str(cell)
    if text in found.written.missing or not text.strip():
        return None
    if field.kind == "category":
        return text
    if field.kind == "boolean":
        return text.strip().lower() in {"yes", "true", "y", "t"}
    if field.kind == "date":
        form = field.profile.date_format
        iso = form is None or text.strip()[4:5] == "-"
        if iso:
            return text.strip()[:10]
        day = dt.datetime.strptime(text.strip(), form)  # noqa: DTZ007 - a day
        return f"{day.date()}"
    number = (
        text.strip()
        .replace(found.written.style.thousands or "\0", "")
        .replace(found.written.style.decimal, ".")
    )
    return float(number)


def test_a_second_adoption_leaves_nothing_of_the_first(of):
    first, second = (
        of(table(only_here=RANDOM.choice(["a", "b"], ROWS))),
        of(table(day=["2024-01-31", "2023-01-01"] * 150)),
    )

    for name, render in (
        (adopt.SCHEMA, render_schema),
        (adopt.FEATURES, render_features),
        (adopt.KNOWN_VALUES, render_known_values),
    ):
        old = (ROOT / name).read_text()
        assert render(second, render(first, old)) == render(second, old)


@pytest.mark.parametrize(
    "body",
    [
        (
            'made = {"spend": customers["spend"]}\n'
            '    made["log"] = np.log1p(made["spend"])\n'
            "    return made"
        ),
        'if features.old:\n        return {}\n    return {"a": 1}',
        "raise NotImplementedError",  # what an owner may have left there
    ],
)
@pytest.mark.parametrize("said", ['"""Say."""\n    # of the old table\n    ', ""])
def test_a_body_of_add_features_that_a_person_wrote_is_replaced_whole(
    of, body: str, said: str
):
    old = (
        f"def add_features(customers, features):\n    {said}{body}\n\n\n"
        "def below():\n    return {}\n"
    )

    found = of(table())
    module = types.ModuleType("features")
    exec(render_features(found, old), module.__dict__)  # noqa: S102 - what is tested

    assert module.add_features({"signal": 7}, None) == {"signal": 7}
    assert "old" not in render_features(found, old)


@pytest.mark.parametrize(
    ("written_before", "written_by_owner", "said"),
    [
        (
            "def add_features(customers: Columns,",
            "def add_features(rows: Columns,",
            r"takes \(rows, features\), not",
        ),
        ("def add_features(", "def all_features(", "does not define add_features"),
        ("return {", "return {{", "never closed"),
    ],
)
def test_what_of_features_cannot_be_replaced_is_said(
    of, written_before: str, written_by_owner: str, said: str
):
    old = (ROOT / adopt.FEATURES).read_text()
    assert written_before in old
    found = of(table(plan=RANDOM.choice(["a", "b"], ROWS)))

    with pytest.raises(SkewlessError, match=said):
        render_features(found, old.replace(written_before, written_by_owner, 1))


def test_the_knobs_of_the_old_features_go_and_an_owner_who_renamed_them_is_told():
    old = (ROOT / adopt.KNOBS).read_text()
    own = old.replace(
        "class FeaturesConfig(Section):",
        "class FeaturesConfig(Section):\n    old: int",
        1,
    )

    assert "old: int" in own
    assert render_config(own) == render_config(old)
    with pytest.raises(SkewlessError, match="does not define FeaturesConfig"):
        render_config(old.replace("class FeaturesConfig(", "class Knobs(", 1))


def test_the_rendered_features_pass_the_linter_before_and_after_the_first_knob(of):
    """Without a `noqa` that the first knob would make a fault."""
    none_yet = formatted(
        render_features(of(table()), (ROOT / adopt.FEATURES).read_text()),
        adopt.FEATURES,
        ROOT,
    )
    one = re.sub(r"\n    del features .*", "", none_yet).replace(
        '"signal": customers["signal"]', '"signal": customers["signal"] > features.knob'
    )

    for source in (none_yet, one):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                "check",
                "-q",
                "--stdin-filename",
                adopt.FEATURES,
                "-",
            ],
            cwd=ROOT,
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
    assert none_yet.count("del features") == 1
    assert "del features" not in one
    assert "noqa" not in none_yet


@pytest.mark.parametrize(
    ("model", "leaf"),
    [
        ({"estimator": "hist_gradient_boosting"}, {"min_samples_leaf": 15}),
        ({"estimator": "random_forest"}, {"min_samples_leaf": 15}),
        ({"estimator": "lightgbm"}, {"min_child_samples": 15}),
        ({"estimator": "lightgbm", "min_child_samples": 90}, {"min_child_samples": 15}),
        ({"estimator": "random_forest", "min_samples_leaf": 3}, {}),
        ({"estimator": "xgboost"}, {}),
    ],
)
def test_a_leaf_of_few_rows_is_lowered_and_none_raised(
    of, model: dict[str, Any], leaf: dict[str, int]
):
    found = table_settings(of(table()), ROOT, {"model": model, "data": {}})

    assert {name[6:]: found[name] for name in found if name[:6] == "model."} == leaf


def test_a_key_that_config_yaml_did_not_have_comes_with_a_comment(of):
    text = (ROOT / "config.yaml").read_text()
    assert "min_samples_leaf" not in text

    written = render_config_yaml(of(table()), text, ROOT)

    (line,) = [each for each in written.splitlines() if "min_samples_leaf" in each]
    assert re.fullmatch(rf"  min_samples_leaf: 15 +# {ROWS_OF_A_LEAF}", line)


def test_a_forest_keeps_its_own_default_where_the_rows_are_enough(of):
    found = of(pd.concat([table()] * 2))  # 600 rows, so a leaf may hold 30
    named = {"estimator": "random_forest"}

    settings = table_settings(found, ROOT, {"model": named, "data": {}})

    assert "model.min_samples_leaf" not in settings


@pytest.mark.parametrize("estimator", LEAF)
def test_the_default_of_a_leaf_is_the_one_that_the_project_has(estimator: str):
    document = yaml.safe_load((ROOT / "config.yaml").read_text())
    model = {"version": "1.0.0", "estimator": estimator}
    model |= {"random_state": 0, "calibration": "none"}
    key, default = LEAF[estimator]

    config = PROJECT.config.model_validate_json(
        json.dumps(document | {"model": model}), context=PROJECT.contract
    )

    assert getattr(config.model, key) == default


def test_a_table_inside_the_project_is_named_from_its_root(tmp_path: Path):
    assert path_from(tmp_path, tmp_path / "data" / "t.csv") == "data/t.csv"
    assert (
        path_from(tmp_path / "project", tmp_path / "t.csv")
        == (tmp_path / "t.csv").as_posix()
    )


# --- the whole command


@pytest.fixture
def clone(tmp_path: Path, monkeypatch) -> Path:
    """Return a copy of the project under git, which adoption writes to."""
    folder = tmp_path / "clone"
    for name in subprocess.check_output(
        ["git", "ls-files"], cwd=ROOT, text=True
    ).splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "as it was"]):
        git(folder, "-c", "user.name=t", "-c", "user.email=t@example.org", *words)
    monkeypatch.setattr(adopt, "ROOT", folder)
    return folder


def git(folder: Path, *words: str) -> str:
    return subprocess.check_output(["git", *words], cwd=folder, text=True)


TYPOS = Path(sys.executable).with_name("typos")
MESSY = {
    "Kunden-Nr.": [f"k{row}" for row in range(ROWS)],
    "Größe (m²)": [
        f"{value:.1f}".replace(".", ",") for value in np.linspace(20, 90, ROWS)
    ],
    "class": RANDOM.choice(['a "b"', "c\\nd", "\u2013"], ROWS),
    "Kunde seit": [
        f"{row % 28 + 1:02}.{row % 12 + 1:02}.20{row % 20:02}" for row in range(ROWS)
    ],
    "zuletzt": [
        f"{row % 12 + 1:02}/{row % 28 + 1}/2025 {row % 12 + 1}:00 PM"
        if row % 40
        else "0000-00-00"
        for row in range(ROWS)
    ],
    "PLZ": [f"0{row % 30 + 1000}" for row in range(ROWS)],
    "Newsletter": RANDOM.choice(["Yes", "No", ""], ROWS),
    "Rückruf": np.where(
        np.arange(ROWS) % 11 == 0, "k.A.", RANDOM.integers(0, 40, ROWS).astype(str)
    ),
    "Grund": np.where(OUTCOME, "weg", ""),
}


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    found = table(
        **MESSY, signal=[f"{value:.3f}".replace(".", ",") for value in SIGNAL]
    )
    found = found.assign(left=np.where(OUTCOME, "Ja", "Nein"))
    return written(tmp_path / "messy.csv", found, sep=";", encoding="cp1252")


LOST = f"uncommitted changes would be lost in {adopt.SCHEMA}"


def test_uncommitted_changes_are_not_written_over(clone: Path, messy: Path, capsys):
    with (clone / adopt.SCHEMA).open("a") as file:
        file.write("# mine\n")

    code = adopt.main([str(messy), "--target", "left", "--positive", "Ja"])

    assert (code, LOST in capsys.readouterr().err) == (SkewlessError.exit_code, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noun", "said"),
    [
        ("class", "Python has that word"),
        ("churn", "a noun each"),
        ("signal", "the project uses that name already"),  # a column of the table
    ],
)
@pytest.mark.parametrize("trial", [[], ["--dry-run"]])
def test_a_noun_that_will_not_do_is_refused_before_anything_is_written(
    clone: Path, messy: Path, capsys, noun: str, said: str, trial: list[str]
):
    words = [str(messy), "--target", "left", "--positive", "Ja", "--record", noun]

    code = adopt.main([*words, *trial])

    assert (code, said in capsys.readouterr().err) == (2, True)
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_file_that_git_ignores_is_not_written_over(clone: Path, messy: Path, capsys):
    for words in (
        ["rm", "-q", "--cached", adopt.SCHEMA],
        ["commit", "-q", "-m", "Forget it"],
    ):
        subprocess.run(["git", *NOBODY, *words], cwd=clone, check=True)
    (clone / ".git/info/exclude").write_text(f"{adopt.SCHEMA}\n")

    code = adopt.main([str(messy), "--target", "left", "--positive", "Ja"])

    assert (code, LOST in capsys.readouterr().err) == (SkewlessError.exit_code, True)


@pytest.mark.posix
@pytest.mark.slow
def test_where_git_cannot_tell_nothing_is_written_over_unless_told(
    clone: Path, messy: Path, tmp_path: Path, monkeypatch, capsys
):
    before = (clone / adopt.SCHEMA).read_bytes()
    say(monkeypatch, tmp_path / "bin", DUBIOUS)
    words = [str(messy), "--target", "left", "--positive", "Ja"]

    refused = adopt.main(words)
    said, unchanged = (
        capsys.readouterr().err,
        (clone / adopt.SCHEMA).read_bytes() == before,
    )
    done = adopt.main([*words, "--uncommitted"])

    assert (refused, unchanged) == (SkewlessError.exit_code, True)
    assert "detected dubious ownership in repository at '/srv/churn'" in said
    assert "--uncommitted (FORCE=1 behind make)" in said
    assert (done, (clone / adopt.SCHEMA).read_bytes() == before) == (0, False), (
        capsys.readouterr().err
    )


def test_the_next_step_is_one_that_the_project_has():
    with_service, without = (
        list(next_steps(["a.py"], [], text, in_git=True))
        for text in ("run: train\n", "train:\n")
    )

    assert "make run;" in with_service[-1]
    assert "make train;" in without[-1]


def test_without_git_no_way_back_is_promised(tmp_path: Path):
    names = {"a.py": None}
    (tmp_path / "a.py").touch()

    assert not adopt.in_git(tmp_path, names)
    assert "git restore" not in "".join(next_steps(["a.py"], [], "", in_git=False))
    git(tmp_path, "init", "-q")
    assert not adopt.in_git(tmp_path, names)
    git(tmp_path, "add", "a.py")
    assert adopt.in_git(tmp_path, names)


def test_a_table_outside_data_is_moved_without_a_second_adoption(of):
    told = "\n".join(summary(of(table()), "table.csv"))

    assert "move the table there, and name its new place as data.path" in told
    assert "adopt it again" not in told


@pytest.mark.posix
@pytest.mark.slow
def test_a_dry_run_shows_every_change_and_makes_none(clone: Path, messy: Path, capsys):
    assert (
        adopt.main([str(messy), "--target", "left", "--positive", "Ja", "--dry-run"])
        == 0
    )

    said = capsys.readouterr().out
    assert all(f"+++ b/{name}\n" in said for name in adopt.FILES)
    assert "nothing was written" in said
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.posix
@pytest.mark.needs("make")
@pytest.mark.parametrize(
    ("words", "environment", "given"),
    [
        (
            ["TABLE=a b.csv", "TARGET=Cost $$x"],
            {},
            ["--target=Cost $x", "--", "a b.csv"],
        ),
        (
            ["TABLE=t.csv", 'TARGET=it\'s "it"', "ID="],
            {},
            ['--target=it\'s "it"', "--", "t.csv"],
        ),
        (
            ["TABLE=t.csv", "ID=none", "POSITIVE=a,b"],
            {},
            ["--id=none", "--positive=a,b", "--", "t.csv"],
        ),
        (
            ["TABLE=t.csv"],
            dict.fromkeys(["ID", "TARGET", "POSITIVE", "TABLE"], "mine"),
            ["--", "t.csv"],
        ),
        ([], {"TABLE": "mine.csv"}, []),
    ],
)
def test_make_hands_on_the_words_of_its_command_line_and_none_of_the_environment(
    tmp_path: Path, words: list[str], environment: dict[str, str], given: list[str]
):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nshift\nfor word; do echo "$word"; done\n')
    python.chmod(0o755)
    (tmp_path / "installed").touch()
    ours = [f"BIN={tmp_path}", f"INSTALLED={tmp_path / 'installed'}"]

    done = subprocess.run(
        ["make", "--old-file", str(tmp_path / "installed"), "adopt", *ours, *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == given


@pytest.mark.posix
@pytest.mark.needs("make")
@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["run", "PORT=1; touch it"], "serve --port 1; touch it"),
        (
            ["report", "VERSION=a b", 'REPORT=it\'s "it"'],
            'report it\'s "it" --version a b',
        ),
    ],
)
def test_make_hands_words_on_as_one_each(tmp_path: Path, words: list[str], given: str):
    command = tmp_path / "churn-service"
    command.write_text('#!/bin/sh\necho "$@" $#\n')
    command.chmod(0o755)
    installed = tmp_path / "installed"
    installed.touch()

    done = subprocess.run(
        [
            "make",
            "--no-print-directory",
            "--old-file",
            str(installed),
            f"BIN={tmp_path}",
            f"INSTALLED={installed}",
            *words,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == f"{given} {3 if words[0] == 'run' else 4}"
    assert not (ROOT / "it").exists()


@pytest.mark.slow
@pytest.mark.posix
def test_an_adopted_project_passes_its_checks_and_answers(clone: Path, messy: Path):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        sources = f"{clone / 'src'}:{clone / 'engine/src'}"
        env = {"PYTHONPATH": sources, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=clone, env=env, capture_output=True, text=True, check=False
        )

    for words in (
        ["scripts/adopt.py", str(messy), "--target", "left", "--positive", "Ja"],
        ["-m", "ruff", "check"],
        ["-m", "ruff", "format", "--check"],
        ["-c", f"import os; os.execv({str(TYPOS)!r}, [{str(TYPOS)!r}])"],
        ["-m", "churn_service", "train"],
        ["-m", "churn_service", "train", "--reproduce", "newest"],
        ["-m", "churn_service", "score", str(messy), "scored.csv"],
    ):
        done = run(*words)
        assert done.returncode == 0, (
            f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )

    scored = pd.read_csv(clone / "scored.csv")
    assert len(scored) == ROWS
    status = git(clone, "status", "--porcelain").splitlines()
    assert sorted(line[3:] for line in status if line[:2] != " D") == sorted(
        [*adopt.FILES, "scored.csv"]
    )
    assert template_only(ROOT) != [] == template_only(clone)


@pytest.mark.slow
def test_what_only_makes_projects_goes_unless_it_was_worked_on(
    clone: Path, messy: Path, capsys
):
    (clone / "engine/docs/mine.md").write_text("# Mine\n")

    assert adopt.main([str(messy), "--target", "left", "--positive", "Ja"]) == 0

    removed = {
        line[3:]
        for line in git(clone, "status", "--porcelain").splitlines()
        if line[:2] == " D"
    }
    assert "engine/tests/conftest.py" in removed
    assert "make/template.mk" in removed
    assert (clone / "engine/docs/mine.md").exists()
    assert (
        "removed, as it only makes projects: .ci, copier.yml, make/template.mk"
        in capsys.readouterr().out
    )
