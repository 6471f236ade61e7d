"""Draw a seeded table for a contract, by a known event process.

So the best possible score is known. Nothing here knows a column's name, so it works for
any contract: a number is spread around its field's example, a category is drawn with
falling frequency, and the true probability of the event is a function of the record
alone (`true_probability`), which is what no model can beat.
"""

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from skewless.core.contract import Column, Columns, Contract, as_number

ID_PREFIX = "simulated-"
MISSING_SHARE = 0.1
BASE_LOG_ODDS = -1.6
PROCESS = 13  # decides each column's direction; this one suits the default table
EFFECT = 2.0  # log-odds between a low and a high value of a column


def simulate(rows: int, seed: int, contract: Contract) -> dict[str, np.ndarray]:
    """Draw a training table: id, the contract's columns, target.

    Each is an array of shape (rows,).
    """
    drawn = {
        column.name: _draw(column, rows, seed=seed, contract=contract)
        for column in contract.columns
    }
    uniform = np.random.default_rng([seed, 0]).random(rows)
    numbers = np.char.zfill(np.arange(rows).astype(str), 8)
    ids = np.char.add(ID_PREFIX, numbers).astype(object)
    target = (uniform < true_probability(drawn, contract)).astype(np.int64)
    return {contract.id: ids, **drawn, contract.target: target}


def is_simulated(ids: Iterable[str]) -> bool:
    """Tell whether every id is the simulator's: then true probabilities are known."""
    return all(str(name).startswith(ID_PREFIX) for name in ids)


def true_probability(records: Columns, contract: Contract) -> np.ndarray:
    """Return the probability that each target was drawn with, float64 of shape (n,)."""
    effects = [
        _effect(np.asarray(records[column.name]), column, contract)
        for column in contract.columns
    ]
    pairs = [first * second for first, second in pairwise(effects)]
    log_odds = BASE_LOG_ODDS + np.sum(effects, axis=0) + 0.5 * np.sum(pairs, axis=0)
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def _draw(column: Column, rows: int, *, seed: int, contract: Contract) -> np.ndarray:
    digest = hashlib.sha256(column.name.encode()).digest()
    random = np.random.default_rng([seed, *digest[:8]])
    values: Any
    if column.kind == "category":
        names = np.array(column.categories, dtype=object)
        share = 1 / (1 + np.arange(len(names)))
        values = random.choice(names, rows, p=share / share.sum())
    elif column.kind == "boolean":
        values = random.random(rows) < 0.4  # noqa: PLR2004 - any share but one half
    else:
        low, high, scale = _spread(column, contract)
        values = np.clip(low + random.gamma(2, scale / 2, rows), low, high)
        values = np.round(values, 2) if column.kind == "number" else np.floor(values)
    return _with_missing(values.astype(column.dtype), column, random)


def _with_missing(
    values: np.ndarray, column: Column, random: np.random.Generator
) -> np.ndarray:
    missing = random.random(len(values)) < MISSING_SHARE
    if column.nullable:
        values[missing] = None if column.kind == "category" else np.nan
    return values


def _spread(column: Column, contract: Contract) -> tuple[float, float, float]:
    """Return the lowest and highest value, and the typical distance from the lowest.

    That distance is the one to the field's example.
    """
    low, high = column.bounds
    typical = as_number(contract.example().get(column.name)) - low
    scale = typical if typical > 0 else max((high - low) / 4, 1e-9)
    return low, high, scale


def _effect(values: np.ndarray, column: Column, contract: Contract) -> np.ndarray:
    """Return what a column adds to the log-odds, in about ±EFFECT / 2.

    A missing value adds nothing.
    """
    digest = hashlib.sha256(f"process {PROCESS} {column.name}".encode()).digest()
    sign = 1 if digest[0] % 2 else -1
    if column.kind == "category":
        levels = np.linspace(-0.5, 0.5, len(column.categories))
        pairs = zip(column.categories, levels, strict=True)
        parts = [level * (values == name) for name, level in pairs]
        position = np.sum(parts, axis=0)
    elif column.kind == "boolean":
        position = np.nan_to_num(values.astype(np.float64), nan=0.5) - 0.5
    else:
        low, _, scale = _spread(column, contract)
        position = np.tanh((values.astype(np.float64) - low) / scale - 1) / 2
    return np.asarray(sign * EFFECT * np.nan_to_num(position))
