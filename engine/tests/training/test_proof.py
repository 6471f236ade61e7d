"""Features that could differ between training and serving never reach a version."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
import pytest
from pydantic import Field, create_model, model_validator

from fields import NUMBERS, field
from own import CONTRACT, ID, PROJECT
from skewless.core.errors import ConfigError, TableError
from skewless.core.record import NO_CONTROLS, WHOLE, Record
from skewless.core.sections import Section
from skewless.tables.faults import check_table
from skewless.tables.simulate import simulate
from skewless.training.proof import (
    PROVEN_ROWS,
    Features,
    prove_edges,
    prove_features,
)

NUMBER = field(*NUMBERS).name
LOW, HIGH = field(*NUMBERS).bounds
SPAN = HIGH - LOW
TABLE = check_table(pd.DataFrame(simulate(500, 3, CONTRACT)), CONTRACT)


class NoKnobs(Section):
    """Features without any."""


def proven(slip: Callable[[Any], Any], table: pd.DataFrame = TABLE) -> Any:
    """Prove the feature `slip`, and one more that is fine."""

    def add_features(records: Any, _: NoKnobs) -> dict[str, Any]:
        return {"plain": records[NUMBER], "slip": slip(records[NUMBER])}

    project = replace(PROJECT, features=add_features)
    features = Features(project, NoKnobs(), ("plain", "slip"))
    return prove_features(features, table, features.matrix(table))


def refusal(slip: Callable[[Any], Any], table: pd.DataFrame = TABLE) -> str:
    with pytest.raises(ConfigError) as refused:
        proven(slip, table)
    return str(refused.value)


def test_features_of_the_record_alone_are_proven_on_table_and_edges():
    found = proven(lambda values: values / (HIGH + 1))

    assert found.rows == PROVEN_ROWS
    assert found.matrix.shape == (len(found.edges[NUMBER]), 2)
    assert {LOW, HIGH} <= set(found.edges[NUMBER])


def test_a_small_table_is_proven_whole():
    assert proven(lambda values: values * 2, TABLE[:7]).rows == 7


def test_a_row_that_no_caller_could_send_is_refused_with_its_number():
    class Picky(PROJECT.record):
        @model_validator(mode="after")
        def _low(self) -> Self:
            if getattr(self, NUMBER) > LOW:
                msg = "it must be low"
                raise ValueError(msg)
            return self

    project = replace(
        PROJECT,
        record=Picky,
        features=lambda records, _: {"plain": records[NUMBER]},
    )
    features = Features(project, NoKnobs(), ("plain",))
    matrix = features.matrix(TABLE)

    with pytest.raises(TableError, match=r"row \d+ of the table .*: .* must be low"):
        prove_features(features, TABLE, matrix)


@pytest.mark.parametrize(
    "slip",
    [
        lambda values: values - np.mean(values),
        lambda values: values - np.max(values),
        lambda values: np.cumsum(values) if np.ndim(values) else values,
        lambda values: np.diff(values, prepend=0) if np.ndim(values) else values,
        lambda values: values * (np.size(values) > 1),
    ],
    ids=["mean", "rank", "running sum", "difference to the row before", "company"],
)
def test_a_feature_that_depends_on_other_rows_is_refused_with_what_to_do(
    slip: Callable[[Any], Any],
):
    said = refusal(slip)

    assert said.startswith("features.py: slip depends on other records. Of ")
    assert "get another value" in said
    assert said.endswith("docs/features-of-other-rows.md")


def test_a_feature_of_chance_is_called_that():
    random = np.random.default_rng(1)

    said = refusal(lambda values: values * random.random())

    assert said.startswith("features.py: slip is another value each time")


def test_a_feature_that_rounds_otherwise_alone_is_refused():
    def circled(values: Any) -> Any:
        if np.ndim(values):
            return values * np.pi
        return np.float32(values) * np.float32(np.pi)

    assert "slip depends on other records" in refusal(circled)


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        (lambda values: values / (values - LOW), "divide"),
        (lambda values: np.log(values - LOW), "divide by zero encountered in log"),
        (lambda values: np.sqrt(LOW - values), "invalid value encountered in sqrt"),
        (
            lambda values: np.exp((values - LOW) / SPAN * 720),
            "overflow encountered in exp",
        ),
    ],
)
def test_a_feature_that_makes_numpy_warn_at_an_edge_is_named_by_its_line(
    slip: Callable[[Any], Any], told: str
):
    inside = TABLE[(TABLE[NUMBER] > LOW) & (TABLE[NUMBER] < LOW + SPAN / 10)]

    said = refusal(slip, inside)

    assert told in said
    assert "line" in said
    assert said.endswith("guard it, as np.maximum(x, 1) does")


def test_a_feature_too_large_for_float32_is_refused_with_its_record():
    said = refusal(lambda values: values + 1e39)

    assert said.startswith("features.py: slip is infinite for 500 of 500 records, ")
    assert f"{NUMBER} " in said


KEY = Annotated[
    str | None, Field(min_length=1, max_length=64, description="Key"), NO_CONTROLS
]


def account(most: int) -> Any:
    """Declare a whole number up to so many."""
    return Annotated[
        int, Field(ge=0, le=most, description="Number", examples=[7]), WHOLE
    ]


def record_of(most: int) -> type[Record]:
    """Make a record with a number that float32 cannot hold."""
    fields: Any = {ID: (KEY, None), "account": (account(most), ...)}
    return create_model("Billed", __base__=Record, **fields)


def billed(feature: Callable[[Any], Any]) -> Any:
    project = replace(
        PROJECT,
        record=record_of(10**10),
        features=lambda records, _: {"made": feature(records["account"])},
    )
    return prove_edges(Features(project, NoKnobs(), ("made",)))


@pytest.mark.parametrize(
    "feature", [lambda values: values, lambda values: values - 3], ids=["plain", "less"]
)
def test_a_whole_number_beyond_what_float32_holds_is_no_plain_feature(
    feature: Callable[[Any], Any],
):
    with pytest.raises(ConfigError) as refused:
        billed(feature)

    said = str(refused.value)
    assert said.startswith("features.py: made would lose digits.")
    assert "up to 16,777,216, and schema.py allows account 10,000,000,000" in said


@pytest.mark.parametrize("most", [10**8, 10**17])
def test_however_large_it_is(most: int):
    project = replace(
        PROJECT,
        record=record_of(most),
        features=lambda records, _: {"made": records["account"]},
    )

    with pytest.raises(ConfigError, match="made would lose digits"):
        prove_edges(Features(project, NoKnobs(), ("made",)))


def test_a_feature_that_fails_at_an_edge_is_told_with_its_line():
    def looked_up(values: Any) -> Any:
        if np.max(values) == HIGH:
            msg = "no such band"
            raise ValueError(msg)
        return values

    inside = TABLE[TABLE[NUMBER] < HIGH]

    said = refusal(looked_up, inside)

    assert "ValueError: no such band; line " in said


@pytest.mark.parametrize(
    "feature",
    [np.log1p, lambda values: values % 1000, lambda values: values > 10**9],
    ids=["logarithm", "rest", "comparison"],
)
def test_what_keeps_its_digits_is_a_feature(feature: Callable[[Any], Any]):
    records, _ = billed(feature)

    assert max(records["account"]) == 10**10
