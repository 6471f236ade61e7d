"""An owner's contract and table with everything in them that a clean one has not."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, create_model

from own import ID, TARGET
from skewless.core.contract import Contract, TableFormat
from skewless.core.record import DAY, NO_CONTROLS, WHOLE
from skewless.core.sections import FormatConfig

TABLE = TableFormat(
    id=ID,
    target=TARGET,
    outcomes={"Nein": 0, "Ja": 1},
    headers={
        TARGET: "Gekündigt?",
        "signed_up": "Kunde seit",
        "last_call": "Letzter Anruf",
        "revenue": "Umsatz (EUR)",
        "visits": "Besuche",
        "newsletter": "Newsletter",
        "city": "Ort",
    },
    dates={"signed_up": "%d.%m.%Y", "last_call": "%d.%m.%y"},
)
FORM = FormatConfig(
    delimiter=";",
    encoding="latin-1",
    decimal=",",
    thousands=".",
    missing=("", "k. A."),
    row_ids=True,
)
FIRST, LAST = dt.date(1965, 1, 1), dt.date(2030, 12, 31)


class Nameless(BaseModel):
    """A record with dates, one of which may be missing."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )

    signed_up: Annotated[
        dt.date,
        Field(ge=FIRST, le=LAST, description="First contract", examples=["2019-05-17"]),
        DAY,
    ]
    last_call: Annotated[
        dt.date | None, Field(ge=FIRST, le=LAST, examples=[dt.date(2026, 1, 31)]), DAY
    ] = None
    revenue: Annotated[
        float, Field(ge=-1e6, le=1e6, description="EUR", examples=[1234.5])
    ]
    visits: Annotated[int | None, Field(ge=0, le=1_000_000, examples=[3]), WHOLE] = None
    newsletter: Annotated[bool, Field(examples=[True])]
    city: Annotated[
        Literal["Köln", "NA", "Bad Tölz"] | None, Field(examples=["Köln"])
    ] = None


Subscriber = create_model(
    "Subscriber",
    __base__=Nameless,
    **{
        ID: (
            Annotated[str | None, Field(min_length=1, max_length=64), NO_CONTROLS],
            None,
        )
    },
)
GERMAN = Contract(Subscriber, TABLE)


CLEAN = pd.DataFrame(
    {
        "signed_up": pd.to_datetime(
            ["2019-05-17", "1969-12-31", "2024-02-29", "2019-05-17", "2019-05-17"]
        ),
        "last_call": pd.to_datetime(
            ["2026-01-31", None, None, "1999-12-01", "1999-12-01"]
        ),
        "revenue": [1234.5, -0.25, 0.0, 1_000_000.0, 1_000_000.0],
        "visits": [12_000, None, 3, 4, 4],
        "newsletter": [True, False, True, False, False],
        "city": ["Köln", "NA", None, "Bad Tölz", "Bad Tölz"],
        TARGET: ["Ja", "Nein", "Nein", "Ja", "Ja"],
    }
)
MESSY = """Ort;Nr;Kunde seit;Letzter Anruf;Umsatz (EUR);Besuche;Newsletter;Gekündigt?
Köln;1;17.05.2019;31.01.26;1.234,50;12.000; YES ;Ja
NA;2;31.12.1969; ;-0,25; ;no;Nein
k. A.;3; 29.02.2024;k. A.;0;3;Y;Nein
Bad Tölz;4;17.05.2019;1999-12-01 08:15:00;1000000;4;0; Ja
Bad Tölz;5;2019-05-17;01.12.99;1.000.000,0; 4 ;F;Ja
"""


def write_both(folder: Path) -> tuple[Path, Path]:
    """Write the same rows twice, as clean Parquet and as a person's spreadsheet."""
    clean, messy = folder / "clean.parquet", folder / "messy.csv"
    CLEAN.to_parquet(clean, index=False)
    messy.write_bytes(MESSY.encode("latin-1"))
    return clean, messy
