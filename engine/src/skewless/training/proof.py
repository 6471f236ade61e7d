"""What is proven of features and model before a version is made of them.

The features of a record depend on nothing but the record: not on who stands beside it,
nor on whether it comes as a row of a table, in a batch or alone. Whatever the contract
allows comes out as a number or as missing. And the model that will be served answers as
the one that was trained.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from skewless.core.arrays import as_columns, as_scalars, to_json
from skewless.core.code_faults import fault_in_code
from skewless.core.contract import Column, Columns, Contract
from skewless.core.errors import ConfigError, TableError
from skewless.core.feature_matrix import feature_matrix, features_of
from skewless.core.project import Project
from skewless.models.export import check_parity, probabilities_of
from skewless.models.metadata import Golden, Proof
from skewless.models.predict import Scorer
from skewless.tables.edges import edge_records

PROVEN_ROWS = 200
"""Rows of the table whose features are computed again, in another order and alone."""
PARITY_ROWS = 10_000
WHOLE_IN_FLOAT32: Final = 2**24
ALONE: Final = (
    "Compute it from the record alone; what needs other rows belongs into the table: "
    "docs/features-of-other-rows.md"
)
GUARD: Final = ". schema.py allows such records: guard it, as np.maximum(x, 1) does"


@dataclass(frozen=True)
class Features:
    """What computes a version's features: the code, its knobs and which are wanted."""

    project: Project[Any, Any]
    config: Any
    names: tuple[str, ...]

    def matrix(self, records: Any) -> np.ndarray:
        """Compute the features of records, float32 (n, k).

        NumPy's warnings are left to the proof, which tells what to do.
        """
        with np.errstate(all="ignore"):
            return feature_matrix(self.project, records, self.config, names=self.names)

    def alone(self, records: Sequence[BaseModel]) -> np.ndarray:
        """Compute the features of each record as of a request of its own."""
        contract = self.project.contract
        return np.concatenate(
            [self.matrix(as_scalars(record, contract)) for record in records]
        )


class Proven(NamedTuple):
    """Features that were proven, and of what."""

    rows: int
    """Of the table."""
    edges: dict[str, list[Any]]
    """Records at the contract's edges, as JSON values by column."""
    matrix: np.ndarray
    """The features of those records, float32 (m, k)."""


def prove_features(
    features: Features, table: pd.DataFrame, matrix: np.ndarray
) -> Proven:
    """Prove the features of a table and of the contract's edges.

    See `prove_rows` for the parameters.

    Raises
    ------
    ConfigError
        See `prove_rows` and `prove_edges`.
    """
    rows = prove_rows(features, table, matrix)
    edges, at_edges = prove_edges(features)
    return Proven(rows, edges, at_edges)


def prove_rows(features: Features, table: pd.DataFrame, matrix: np.ndarray) -> int:
    """Prove that the features of a row are the same in another order and alone.

    Parameters
    ----------
    features
        What computes them.
    table
        Checked, n rows, at least one; `PROVEN_ROWS` of them, evenly spread, are tried.
    matrix
        Its features, float32 (n, k).

    Returns
    -------
    int
        Rows that were tried.

    Raises
    ------
    ConfigError
        A feature depends on other rows, or is infinite; the message names it, the first
        record and what to do.
    TableError
        The record class refuses a row.
    """
    contract = features.project.contract
    names = features.names
    places = np.linspace(0, len(table) - 1, min(len(table), PROVEN_ROWS)).astype(int)
    some = table.iloc[places]
    backwards = features.matrix(some[::-1])[::-1]
    _refuse_chance(backwards, features.matrix(some[::-1])[::-1], names)
    _refuse_another(matrix[places], backwards, names, how="in another order")
    alone = features.alone(_requests(some, contract))
    _refuse_another(matrix[places], alone, names, how="alone")
    _refuse_infinite(matrix, names, table, contract=contract)
    return len(some)


def prove_edges(features: Features) -> tuple[dict[str, list[Any]], np.ndarray]:
    """Prove the features of records at the contract's edges, see `edge_records`.

    The records, as JSON values by column, and their features are returned.

    Raises
    ------
    ConfigError
        As `prove_rows`, or a feature makes NumPy warn; the message names its line.
    """
    contract = features.project.contract
    names = features.names
    records = edge_records(contract)
    columns = as_columns(records, contract)
    _refuse_warnings(features, columns)
    for column in contract.columns:
        _refuse_lost_digits(features, columns, column)
    matrix = features.matrix(columns)
    _refuse_another(matrix, features.alone(records), names, how="alone")
    _refuse_infinite(matrix, names, columns, contract=contract)
    return _as_json(columns, contract), matrix


def prove_model(
    fitted: Any,
    score: Scorer,
    matrix: np.ndarray,
    *,
    names: Sequence[str],
    proven: Proven,
) -> Proof:
    """Prove that what will be served answers as the trained model.

    They are compared on rows of the table, on the records at the contract's edges, and
    beside the splits of trees.

    Parameters
    ----------
    fitted, score, names
        See `check_parity`.
    matrix
        The features of the table, float32 (n, k); the first `PARITY_ROWS` are compared.
    proven
        What `prove_features` returned.

    Raises
    ------
    ParityError
        They differ.
    """
    compared = np.concatenate([matrix[:PARITY_ROWS], proven.matrix])
    parity = check_parity(fitted, score, compared, names=names)
    probabilities = probabilities_of(fitted, proven.matrix, names)
    return Proof(
        rows=proven.rows,
        edges=Golden(records=proven.edges, probabilities=probabilities.tolist()),
        compared=parity.rows,
        difference=parity.difference,
        splits=parity.splits,
        splits_checked=parity.splits_checked,
    )


def _requests(table: pd.DataFrame, contract: Contract) -> list[BaseModel]:
    """Turn rows into the requests that ask for them.

    Raises
    ------
    TableError
        A validator of the record class refuses one, so that nobody could ask for it.
    """
    columns = _as_json(table, contract)
    requests = []
    for number, row in zip(
        table.index, zip(*columns.values(), strict=True), strict=True
    ):
        record = dict(zip(columns, row, strict=True))
        try:
            requests.append(contract.record.model_validate(record))
        except ValidationError as error:
            said = "; ".join(fault["msg"] for fault in error.errors())
            msg = (
                f"row {number} of the table is nothing that a caller could send, as "
                f"schema.py says of it: {said}. Take such rows out, or allow them"
            )
            raise TableError(msg) from error
    return requests


def _as_json(columns: Columns, contract: Contract) -> dict[str, list[Any]]:
    return {
        column.name: to_json(np.asarray(columns[column.name]), column)
        for column in contract.columns
    }


def _refuse_chance(first: np.ndarray, second: np.ndarray, names: Sequence[str]) -> None:
    """Refuse features that differ when the same rows are computed again."""
    is_same = (first == second) | (np.isnan(first) & np.isnan(second))
    if not is_same.all():
        msg = (
            f"features.py: {names[int(np.argmin(is_same.all(axis=0)))]} is another "
            "value each time that it is computed. Compute it from the record alone, "
            "without chance, and without what was computed before"
        )
        raise ConfigError(msg)


def _refuse_another(
    expected: np.ndarray, found: np.ndarray, names: Sequence[str], *, how: str
) -> None:
    """Refuse features that differ in a bit; missing equals missing."""
    is_same = expected.view(np.uint32) == found.view(np.uint32)
    is_same |= np.isnan(expected) & np.isnan(found)
    wrong = ~is_same
    if not wrong.any():
        return
    feature = int(np.argmax(wrong.any(axis=0)))
    (rows,) = np.nonzero(wrong[:, feature])
    first = rows[0]
    msg = (
        f"features.py: {names[feature]} depends on other records. Of "
        f"{len(expected):,} records {len(rows):,} get another value {how}; the first "
        f"{expected[first, feature]:.9g} among the others, "
        f"{found[first, feature]:.9g} {how}. {ALONE}"
    )
    raise ConfigError(msg)


def _refuse_warnings(features: Features, columns: Mapping[str, np.ndarray]) -> None:
    """Refuse a division by zero and the like, with its line."""
    function = features.project.features
    features.matrix(columns)  # any other error is told first
    with (
        np.errstate(divide="raise", over="raise", invalid="raise"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", RuntimeWarning)
        try:
            function(columns, features.config)
        except (FloatingPointError, RuntimeWarning) as error:
            raise fault_in_code(error, function, GUARD) from error


def _refuse_lost_digits(
    features: Features, columns: Mapping[str, np.ndarray], column: Column
) -> None:
    """Refuse a whole number that float32 would round: it has no odd ones from 2^24."""
    bound = max(column.bounds, key=abs)
    if column.kind != "integer" or abs(bound) <= WHOLE_IN_FLOAT32:
        return
    pair = {name: np.repeat(values[:1], 2) for name, values in columns.items()}
    beside = min(bound - np.sign(bound), math.nextafter(bound, 0), key=abs)
    pair[column.name] = np.array([bound, beside], dtype=column.dtype)
    made = features_of(features.project, pair, features.config)
    for name in features.names:
        first, second = np.asarray(made[name], dtype=np.float64)
        is_whole = first.is_integer() and second.is_integer()
        if is_whole and first != second and np.float32(first) == np.float32(second):
            msg = (
                f"features.py: {name} would lose digits. The model reads float32, "
                f"which tells whole numbers apart up to {WHOLE_IN_FLOAT32:,}, and "
                f"schema.py allows {column.name} {int(bound):,}. Make it a category, a "
                "difference or a logarithm (np.log1p), or narrow its range"
            )
            raise ConfigError(msg)


def _refuse_infinite(
    matrix: np.ndarray, names: Sequence[str], records: Columns, *, contract: Contract
) -> None:
    """Refuse an infinite feature of a table or of arrays."""
    is_infinite = np.isinf(matrix)
    if not is_infinite.any():
        return
    feature = int(np.argmax(is_infinite.any(axis=0)))
    (rows,) = np.nonzero(is_infinite[:, feature])
    first = {
        column.name: np.asarray(records[column.name])[rows[:1]]
        for column in contract.columns
    }
    shown = ", ".join(
        f"{name} {value}" for name, (value,) in _as_json(first, contract).items()
    )
    msg = (
        f"features.py: {names[feature]} is infinite for {len(rows):,} of "
        f"{len(matrix):,} records, the first with {shown}{GUARD}"
    )
    raise ConfigError(msg)
