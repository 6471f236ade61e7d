"""Decisions → config.yaml with the values that know the table.

Its other values and its comments stay.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from skewless.adopt.decisions import Decisions
from skewless.core.config_text import with_settings
from skewless.core.sections import PLAIN

# Estimator → its key for the rows of a leaf, and the default where config.yaml does not
# say it.
LEAF: Final = {
    "hist_gradient_boosting": ("min_samples_leaf", 40),
    "random_forest": ("min_samples_leaf", 20),
    "lightgbm": ("min_child_samples", 40),
}
LEAVES: Final = 20  # that the rows must be enough for
ROWS_OF_A_LEAF: Final = "rows in a leaf, at least; the table is small"
# Key → the comment that it gets where config.yaml did not have it.
COMMENTS: Final = {
    "min_samples_leaf": ROWS_OF_A_LEAF,
    "min_child_samples": ROWS_OF_A_LEAF,
    "thousands": "between the thousands of a number",
    "row_ids": "the table has no id, so its rows are numbered",
}


def render_config_yaml(decided: Decisions, old: str, root: Path) -> str:
    """Write what config.yaml says of the table anew."""
    settings = table_settings(decided, root, yaml.safe_load(old))
    return with_settings(old, settings, comments=COMMENTS)


def table_settings(decided: Decisions, root: Path, document: Any) -> dict[str, Any]:
    """Name every key that adoption sets, with its value.

    `document` is config.yaml as it is.
    """
    foreign = decided.foreign
    written = decided.written
    card = decided.baseline
    settings: dict[str, Any] = {
        "data.path": path_from(root, foreign.path),
        "data.format.delimiter": foreign.delimiter,
        "data.format.encoding": foreign.encoding,
        "data.format.decimal": written.style.decimal,
        "data.format.missing": list(written.missing),
        "features": {},
        "baseline.column": card.column,
        "baseline.cuts": [int(cut) if cut.is_integer() else cut for cut in card.cuts],
        "baseline.probabilities": list(card.probabilities),
    }
    settings |= _leaf(document["model"], foreign.rows)
    # config.yaml leaves these out as long as they have their defaults.
    form = {"thousands": written.style.thousands, "row_ids": decided.id is None}
    defaults = PLAIN.model_dump()
    present = document["data"].get("format", {})
    for name, value in form.items():
        if name in present or value != defaults[name]:
            settings[f"data.format.{name}"] = value
    if "privacy" in document.get("monitoring", {}):
        fields = {each.field.name for each in decided.judged}
        privacy = document["monitoring"]["privacy"]
        settings["monitoring.privacy"] = {
            name: way for name, way in privacy.items() if name in fields
        }
    return settings


def _leaf(model: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Ask for fewer rows in a leaf than usual if a tree could not split otherwise."""
    if model["estimator"] not in LEAF:
        return {}
    key, default = LEAF[model["estimator"]]
    most = most_in_leaf(rows)
    return {f"model.{key}": most} if model.get(key, default) > most else {}


def most_in_leaf(rows: int) -> int:
    """Return how many rows a leaf may need at least.

    With more, a tree of few rows could not split at all.
    """
    return max(1, rows // LEAVES)


def path_from(root: Path, table: Path) -> str:
    """Name a table inside the project from its root, and another in full.

    A path from the root lets config.yaml travel.
    """
    if table.is_relative_to(root):
        table = table.relative_to(root)
    return table.as_posix()
