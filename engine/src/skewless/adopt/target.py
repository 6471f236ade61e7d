"""Which words of the target mean 1 and which 0, or a refusal that says what to do."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from skewless.adopt.cells import PLAIN, TRUTH, Distinct
from skewless.core.errors import AskedError, TableError

MOST_CLASSES: Final = 20
SHOWN: Final = 10
FIRST_ROWS: Final = 3
LEAVING: Final = frozenset(
    {"churn", "churned", "left", "lost", "exited", "cancelled", "canceled"}
)
"""Words of an outcome that nobody calls the other one."""


@dataclass(frozen=True)
class Target:
    """What is predicted."""

    header: str
    meanings: dict[str, int]
    """Word of the table → 0 or 1."""
    share: float
    """Of the rows that are 1."""

    def words(self, outcome: int) -> str:
        """Name the words of an outcome."""
        return " or ".join(
            word for word, meant in self.meanings.items() if meant == outcome
        )


def decide_target(
    header: str, column: Distinct, *, missing: np.ndarray, positive: str | None
) -> Target:
    """Map the words of the target to 1 and 0.

    Parameters
    ----------
    header
        Of the target.
    column
        Its texts, without what means missing.
    missing
        Rows without a target, counted from 1.
    positive
        The word that is predicted, if it was said.

    Raises
    ------
    TableError
        The column is no outcome of two, or lacks some.
    AskedError
        Nobody said which of two words is predicted, or said one that the column does
        not have.
    """
    rows = _rows_by_word(column)
    _refuse_no_outcome(header, column, rows, positive=positive)
    if len(missing):
        first = ", ".join(map(str, missing[:FIRST_ROWS].tolist()))
        msg = (
            f"{header}: {len(missing):,} of {len(missing) + sum(rows.values()):,} rows "
            f"have no target (first in rows {first}), "
            "and nothing can be learnt from them: take them out of the table"
        )
        raise TableError(msg)
    predicted = _predicted(header, rows, positive)
    values = {word: int(word in predicted) for word in rows}
    ones = sum(count for word, count in rows.items() if values[word])
    return Target(header, values, ones / sum(rows.values()))


def _rows_by_word(column: Distinct) -> dict[str, int]:
    rows: dict[str, int] = {}
    for word, count in zip(
        column.stripped.to_pylist(), column.counts.tolist(), strict=True
    ):
        rows[word] = rows.get(word, 0) + count
    return dict(sorted(rows.items()))


def _refuse_no_outcome(
    header: str, column: Distinct, rows: dict[str, int], *, positive: str | None
) -> None:
    classes = {_meaning(word) for word in rows}
    if len(classes) < 2:  # noqa: PLR2004 - an outcome and its opposite
        found = f"it is {min(rows)!r} in every row" if rows else "it is empty"
        msg = (
            f"{header} cannot be a target: {found}; "
            "both outcomes must occur. Name another with TARGET="
        )
        raise TableError(msg)
    truths = {0.0, 1.0, "yes", "no", "true", "false"}
    if len(classes) <= 2 or classes <= truths:  # noqa: PLR2004 - ditto
        return
    if len(classes) > MOST_CLASSES:
        is_number = not np.isnan(column.numbers(PLAIN)).any()
        kind = "a quantity, not an outcome" if is_number else "text, not an outcome"
        msg = (
            f"{header} cannot be a target: "
            f"it has {len(classes):,} different values, so it is {kind}. "
            "This project predicts one outcome of two: "
            "make a column of 0 and 1 upstream"
        )
        raise TableError(msg)
    if positive is None:
        msg = (
            f"{header} has {len(classes)} outcomes: {_listed(rows)}. "
            "This project predicts one of two: "
            f"say which with POSITIVE={min(rows)}, "
            "and the others together are its opposite"
        )
        raise TableError(msg)


def _predicted(header: str, rows: dict[str, int], positive: str | None) -> set[str]:
    if positive is not None:
        return _said(header, rows, positive)
    truths = {word: _truth(word) for word in rows}
    if set(truths.values()) == {0.0, 1.0}:
        return {word for word, truth in truths.items() if truth}
    if {_meaning(word) for word in rows} == {-1.0, 1.0}:
        return {word for word in rows if _meaning(word) == 1}
    leaving = {word for word in rows if word.lower() in LEAVING}
    if len(leaving) == 1:
        return leaving
    msg = (
        f"{header} is {_listed(rows)}: say which is predicted with POSITIVE={min(rows)}"
    )
    raise AskedError(msg)


def _said(header: str, rows: dict[str, int], positive: str) -> set[str]:
    meant = _meaning(positive)
    same = {word for word in rows if _meaning(word) == meant}
    if not same:
        spoken = positive.strip().casefold()
        same = {word for word in rows if word.casefold() == spoken}
    if same and len(same) < len(rows):
        return same
    msg = f"POSITIVE={positive}: {header} has no such value; it has {_listed(rows)}"
    raise AskedError(msg)


def _truth(word: str) -> float | None:
    meaning = _meaning(word)
    return meaning if meaning in {0.0, 1.0} else TRUTH.get(str(meaning))


def _meaning(word: str) -> float | str:
    """Read 1, 1.0 and True as the same, as the project does."""
    text = {"true": "1", "false": "0"}.get(word.strip().lower(), word.strip())
    try:
        return float(text)
    except ValueError:
        return text.lower() if text.lower() in TRUTH else text


def _listed(rows: dict[str, int]) -> str:
    shown = ", ".join(repr(word) for word in list(rows)[:SHOWN])
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return shown + more
