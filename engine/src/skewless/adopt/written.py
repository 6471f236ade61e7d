"""All columns → how the table writes numbers, and which words it has for missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skewless.adopt.cells import (
    ALWAYS_MISSING,
    CODE,
    OFTEN_MISSING,
    PLAIN,
    STYLES,
    Distinct,
    Style,
)

MOST_WORDS: Final = 1_000  # different, that are looked at one by one
# Different words among numbers that are taken to mean missing, at most.
ODD_WORDS: Final = 3
# Different numbers; a column of so few beside a word, such as 0, 1, 2, 3+, is a
# category.
FEW_NUMBERS: Final = 10
MOSTLY: Final = 0.5  # of the cells must be numbers for the rest to mean missing


@dataclass(frozen=True)
class Hints:
    """What one column says about how the table is written."""

    matched: Mapping[Style, tuple[bool, float]]
    """Style → whether all cells are such numbers, and how many are."""
    missing: Mapping[Style, frozenset[str]]
    """Style → words that mean missing, if numbers are written so."""
    blanks: frozenset[str]
    """Blanks of any length but none; a category's cells are compared as they stand."""


def hints(column: Distinct) -> Hints:
    """Look at one column's texts."""
    if len(column.texts) <= MOST_WORDS:
        words = frozenset(column.stripped.to_pylist())
    else:
        words = _known(column)
    certain = words & ALWAYS_MISSING
    rest = column.without(ALWAYS_MISSING | OFTEN_MISSING)
    blanks = frozenset(text for text in _blank(column) if text)
    if not len(rest.texts):
        return Hints({}, dict.fromkeys(STYLES, certain), blanks)
    read = {style: _matches(rest, style) for style in _styles(rest)}
    matched = {
        style: (bool(found.all()), float(rest.counts[found].sum()))
        for style, found in read.items()
    }
    soft = words & OFTEN_MISSING
    other = bool(rest.date_formats()) or not np.isnan(rest.truths()).any()
    missing = {
        style: certain | (soft if other else _odd(rest, found, soft))
        for style, found in read.items()
    }
    return Hints(matched, missing, blanks)


def _known(column: Distinct) -> frozenset[str]:
    return frozenset(column.stripped.to_pylist()) & (ALWAYS_MISSING | OFTEN_MISSING)


def _blank(column: Distinct) -> list[str]:
    return list(column.texts.filter(pc.equal(column.stripped, "")).to_pylist())


def _styles(column: Distinct) -> tuple[Style, ...]:
    """Ask for other styles only where a text has a sign of them."""
    signs = column.like(r"\d[,.' \x{00a0}\x{202f}\x{2019}]")
    return STYLES if signs.any() else (PLAIN,)


def _matches(column: Distinct, style: Style) -> np.ndarray:
    found = column.like(style.pattern)
    return np.zeros_like(found) if column.like(CODE).any() else found


def _odd(column: Distinct, numbers: np.ndarray, soft: frozenset[str]) -> frozenset[str]:
    """Find the words that mean missing in a column of numbers; none in any other."""
    if numbers.all():
        return soft
    share = column.counts[numbers].sum() / column.counts.sum()
    few = (
        (~numbers).sum() <= ODD_WORDS
        and numbers.sum() > FEW_NUMBERS
        and share >= MOSTLY
    )
    if not few:
        return frozenset()
    odd = frozenset(column.stripped.filter(pa.array(~numbers)).to_pylist())
    # A12 is a code, not a word.
    is_code = any(letter.isdigit() for letter in "".join(odd))
    return frozenset() if is_code else soft | odd


@dataclass(frozen=True)
class Written:
    """How a table writes numbers and what means missing; the empty cell always does."""

    style: Style
    missing: tuple[str, ...]


def settle(columns: Iterable[Hints], *, delimiter: str) -> Written:
    """Choose the one way that reads the most columns; of equals the plainest.

    1,234 may be a thousand or a bit more than one. A table cut at semicolons was
    written where the comma is decimal, so there the comma comes first.
    """

    def is_unlikely(style: Style) -> bool:
        return style != PLAIN and (style.decimal == ",") != (delimiter == ";")

    found = list(columns)
    order = sorted(STYLES, key=is_unlikely)
    best = max(order, key=lambda style: _read_by(found, style))
    missing = set[str]()
    for each in found:
        missing |= each.missing.get(best, each.missing.get(PLAIN, frozenset()))
        missing |= each.blanks
    return Written(best, ("", *sorted(missing)))


def _read_by(found: list[Hints], style: Style) -> tuple[int, float]:
    read = [
        each.matched.get(style, each.matched.get(PLAIN, (False, 0.0))) for each in found
    ]
    return sum(whole for whole, _ in read), sum(cells for _, cells in read)
