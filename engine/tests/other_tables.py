"""Tables of other shapes than the default's, written as owners do.

They are seeded, and each has a known signal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Other:
    """A table, and what a person has to know of it."""

    name: str
    make: Callable[[np.random.Generator], pd.DataFrame]
    write: Callable[[pd.DataFrame, Path], None]
    file: str
    target: str
    id: str | None = None
    """Header of the column that names a row."""
    positive: object = 1
    """What the target says of somebody who is to be found."""

    @property
    def words(self) -> list[str]:
        """Return what a person types behind `adopt`, the file left out."""
        named = ["--id", self.id] if self.id else []
        said = ["--positive", self.positive] if isinstance(self.positive, str) else []
        return ["--target", self.target, *named, *said]

    def rows(self) -> pd.DataFrame:
        """Make the table; the same at every call."""
        return self.make(np.random.default_rng(len(self.name)))


def drawn(random: np.random.Generator, log_odds: np.ndarray) -> np.ndarray:
    """Draw outcomes, bool (n,), of which a good third is true."""
    centred = log_odds - np.median(log_odds) - 0.7
    return random.random(len(log_odds)) < 1 / (1 + np.exp(-centred))


def with_gaps(
    random: np.random.Generator, values: np.ndarray, share: float
) -> pd.Series:
    """Leave out a share of the values; the others stay what they are."""
    whole = "Int64" if values.dtype.kind == "i" else None
    return pd.Series(values, dtype=whole).mask(random.random(len(values)) < share)


WORDS = (
    *(
        "model",
        "data",
        "threshold",
        "features",
        "version",
        "outcome",
        "score",
        "decision",
        "customers",
        "names",
    ),
    *(
        "values",
        "index",
        "columns",
        "count",
        "size",
        "items",
        "type",
        "path",
        "config",
        "target",
        "table",
    ),
    *("error", "format", "log", "np"),
)
"""What the project, pandas and Python call things of their own."""


def wide(random: np.random.Generator) -> pd.DataFrame:
    """Make 45 columns of all kinds under difficult headers.

    The headers have umlauts and signs, or are words of the project itself.

    Thirty of them no row leaves out.
    """
    rows = 2_000
    months, bill = random.integers(0, 72, rows), np.round(random.gamma(3, 25, rows), 2)
    ties = random.choice(
        ["monatlich", "ein Jahr", "zwei Jahre"], rows, p=[0.5, 0.3, 0.2]
    )
    calls, paperless = random.poisson(1.2, rows), random.choice(["ja", "nein"], rows)
    balance = np.round(random.normal(0, 400, rows), 2)
    log_odds = (
        1.6 * (ties == "monatlich")
        - 0.04 * months
        + 0.5 * calls
        + 0.01 * bill
        - 0.001 * balance
    )
    columns = {
        "Kunden-Nr.": [f"K{number:06}" for number in random.permutation(rows)],
        "Vertragsdauer (Monate)": months,
        "Rechnung Ø": with_gaps(random, bill, 0.1),
        "Saldo/Konto": with_gaps(random, balance, 0.2),
        "Laufzeit": ties,
        "Anrufe": with_gaps(random, calls, 0.05),
        "Papierlos?": paperless,
        "Straße geprüft": with_gaps(random, random.choice(["ja", "nein"], rows), 0.3),
        "2. Anschluss": random.choice(["kein Anschluss", "Kabel", "Öko-DSL"], rows),
        "class": random.choice(["A", "B"], rows),
        "immer gleich": ["x"] * rows,
        "immer leer": [None] * rows,
    }
    for place, word in enumerate(WORDS):
        levels = random.choice(["hoch", "mittel", "tief"], rows)
        columns[word] = (
            levels
            if place % 4 == 3
            else random.integers(0, 10 ** (place % 5 + 1), rows)
        )
    for place in range(3):
        columns[f"Messwert {place} [%]"] = with_gaps(
            random, np.round(random.normal(50, 15, rows), 1), 0.15
        )
        columns[f"Zähler_{place}"] = with_gaps(
            random, random.integers(0, 10 ** (place + 1), rows), 0.1
        )
        columns[f"Merkmal {place}"] = with_gaps(
            random, random.choice(["hoch", "tief"], rows), 0.1
        )
    return pd.DataFrame(
        columns | {"Gekündigt": np.where(drawn(random, log_odds), "Ja", "Nein")}
    )


def write_german(table: pd.DataFrame, path: Path) -> None:
    """Write a table as a German spreadsheet does.

    It has semicolons, decimal commas, Latin-1 and words for what is missing.
    """
    text = table.to_csv(
        index=False, sep=";", decimal=",", na_rep="k. A.", lineterminator="\r\n"
    )
    path.write_bytes(text.encode("latin-1"))


def texts(random: np.random.Generator) -> pd.DataFrame:
    """Make texts that resemble one another, with quotes, commas and blanks.

    A remark is never the same.
    """
    rows = 2_000
    cities = [
        "New York",
        "new york",
        "New York, NY",
        'the "Big Apple"',
        "O'Fallon",
        "San José",
        "NA",
        "None",
    ]
    city = random.choice(cities, rows)
    plans = [
        "Gold",
        "Gold ",
        "gold+",
        "Silver/Basic",
        "Silver\\Basic",
        "{Bronze}",
        "#1",
        "a: b",
    ]
    level = random.choice(plans, rows)
    source = random.choice(["e-mail", "E-Mail", "phone call", "true", "1", "-"], rows)
    mood = with_gaps(random, random.choice(["très bien", "bien", "mal"], rows), 0.2)
    log_odds = (
        1.5 * (city == "new york")
        - 1.5 * (city == "New York")
        + 1.2 * (level == "Gold ")
    )
    log_odds += 1.5 * (mood == "mal").to_numpy() + 1.0 * (source == "true")
    return pd.DataFrame(
        {
            "Client Ref": [f"{number:05}" for number in range(rows)],
            "Home City": city,
            "Level of Service": level,
            "Came By": source,
            "Mood": mood,
            "Remark": [
                f"said “{number}”, then left, or didn't"
                for number in random.permutation(rows)
            ],
            "Left": np.where(drawn(random, log_odds), "Yes", "No"),
        }
    )


def write_marked(table: pd.DataFrame, path: Path) -> None:
    """Write as Excel does: UTF-8 with a byte order mark."""
    table.to_csv(path, index=False, encoding="utf-8-sig")


def tiny(random: np.random.Generator) -> pd.DataFrame:
    """Make what somebody has who begins: 60 rows."""
    rows = 60
    visits, weight = (
        random.integers(0, 30, rows),
        np.round(random.normal(70, 9, rows), 1),
    )
    group = random.choice(["north", "south"], rows)
    gone = drawn(random, -0.25 * visits + 2.0 * (group == "south"))
    return pd.DataFrame(
        {
            "member": range(1, rows + 1),
            "visits": visits,
            "weight": weight,
            "region": group,
            "gone": gone * 1,
        }
    )


def dates(random: np.random.Generator) -> pd.DataFrame:
    """Make days, moments and truth values as a database has them.

    No column names a row.
    """
    rows = 2_000
    today = np.datetime64("2026-06-30")
    since = today - random.integers(0, 3_000, rows).astype("timedelta64[D]")
    last = today - random.exponential(60, rows).astype(np.int64).astype(
        "timedelta64[D]"
    )
    paid, member = random.random(rows) < 0.4, random.random(rows) < 0.7
    age = (today - since).astype(float)
    log_odds = (
        0.02 * (today - last).astype(float) - 0.0006 * age - 1.2 * member + 0.8 * paid
    )
    refund = with_gaps(random, np.round(random.gamma(2, 9, rows), 2), 0.4)
    return pd.DataFrame(
        {
            "member_since": pd.Series(since).astype("datetime64[s]"),
            "last_order_at": pd.Series(last)
            .astype("datetime64[us]")
            .where(random.random(rows) > 0.1),
            "paid_late": paid,
            "is_member": pd.array(
                np.where(random.random(rows) < 0.1, None, member), dtype="boolean"
            ),
            "refund": refund,
            "lapsed": drawn(random, log_odds),
        }
    )


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write as a database exports."""
    table.to_parquet(path, index=False)


def write_plain(table: pd.DataFrame, path: Path) -> None:
    """Write as a program does."""
    table.to_csv(path, index=False)


OTHERS = (
    Other(
        "wide",
        wide,
        write_german,
        "kunden 2026.csv",
        "Gekündigt",
        id="Kunden-Nr.",
        positive="Ja",
    ),
    Other(
        "texts",
        texts,
        write_marked,
        "clients.csv",
        "Left",
        id="Client Ref",
        positive="Yes",
    ),
    Other("tiny", tiny, write_plain, "members.csv", "gone", id="member"),
    Other("dates", dates, write_parquet, "orders.parquet", "lapsed", positive=True),
)
