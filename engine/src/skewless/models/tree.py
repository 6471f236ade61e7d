"""A fitted tree as arrays, and the rows that lie on its splits and beside them.

Float32 decides there: a threshold that is rounded on its way to ONNX sends a row that
lies on it to the other side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

UNKNOWN: Final = -1  # in place of a column or of a child
MOST_SPLITS: Final = 10_000
"""Splits that rows are made for; of a model with more, so many, evenly spread."""


class Tree(NamedTuple):
    """A fitted tree as arrays of its nodes, each of shape (nodes,)."""

    column: np.ndarray
    """Column of the matrix that a node splits on; `UNKNOWN` for one that is no column.

    A scaler before the tree makes such columns, for instance.
    """
    threshold: np.ndarray
    """A row goes left if its value is at most this."""
    left: np.ndarray
    right: np.ndarray
    """Node that follows; `UNKNOWN` at a leaf."""


@dataclass(frozen=True)
class Splits:
    """Rows that lie beside the splits of a model's trees."""

    rows: np.ndarray
    """float32 (3 * checked, k): each split's threshold and its neighbours."""
    found: int
    """Splits of all trees."""
    checked: int
    """Splits that there are rows for."""


def beside_splits(trees: Sequence[Tree], row: np.ndarray) -> Splits:
    """Make rows that reach each split, and lie on its threshold and beside it.

    Parameters
    ----------
    trees
        Of one model, see `trees_in`.
    row
        Any row of the matrix, float32 (k,): the rows have its values where no split on
        their way asks for others.

    Returns
    -------
    Splits
        For each split, rows at the largest float32 that goes left, at the one before
        it, and at the one after it, which goes right. A split whose column is unknown,
        or that comes after such a one, has none.
    """
    found = sum(int(np.sum(tree.left != UNKNOWN)) for tree in trees)
    every = max(1, -(-found // MOST_SPLITS))
    rows = list[np.ndarray]()
    place = 0
    for tree in trees:
        for node, reaching in _known_splits(tree, row):
            place += 1
            if place % every == 0:
                rows += _on_and_beside(tree, node, reaching)
    made = np.array(rows, dtype=np.float32).reshape(-1, len(row))
    return Splits(rows=made, found=found, checked=len(made) // 3)


def _known_splits(tree: Tree, row: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Visit the splits that are known, each with a row that reaches it."""
    waiting = [(0, row)]
    while waiting:
        node, reaching = waiting.pop()
        if tree.left[node] == UNKNOWN or tree.column[node] == UNKNOWN:
            continue
        yield node, reaching
        _, to_left, to_right = _on_and_beside(tree, node, reaching)
        waiting.append((int(tree.left[node]), to_left))
        waiting.append((int(tree.right[node]), to_right))


def _on_and_beside(tree: Tree, node: int, row: np.ndarray) -> list[np.ndarray]:
    at = round_down(tree.threshold[node])
    below = np.nextafter(at, np.float32(-np.inf))
    above = np.nextafter(at, np.float32(np.inf))
    if np.isinf(at):  # every number goes left, and what is missing goes right
        below = at = np.nan_to_num(row[tree.column[node]])
        above = np.float32(np.nan)
    rows = []
    for value in (below, at, above):
        changed = row.copy()
        changed[tree.column[node]] = value
        rows.append(changed)
    return rows


def round_down(thresholds: Any) -> Any:
    """Round to the largest float32 that is not above: float64 → float32.

    A matrix is float32, so ``x <= t`` and ``x <= round_down(t)`` are the same question.
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    rounded = exact.astype(np.float32)
    below = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > exact, below, rounded)
