"""Decisions → the keys of config.yaml that know the table."""

from pathlib import Path
from typing import Any, Final

from skewless.adopt.decisions import Decisions
from skewless.core.sections import PLAIN

LEAVES: Final = 20  # that the rows must be enough for


def table_settings(decided: Decisions, root: Path, document: Any) -> dict[str, Any]:
    """Name every key that adoption sets, with its value.

    `document` is config.yaml as it is.
    """
    foreign, written, card = decided.foreign, decided.written, decided.baseline
    form = {"thousands": written.style.thousands, "row_ids": decided.id is None}
    settings: dict[str, Any] = {
        "data.path": path_from(root, foreign.path),
        "data.format.delimiter": foreign.delimiter,
        "data.format.encoding": foreign.encoding,
        "data.format.decimal": written.style.decimal,
        "data.format.missing": list(written.missing),
        "features": {},
        "model.min_samples_leaf": min(
            document["model"]["min_samples_leaf"], most_in_leaf(foreign.rows)
        ),
        "baseline.column": card.column,
        "baseline.cuts": [int(cut) if cut.is_integer() else cut for cut in card.cuts],
        "baseline.probabilities": list(card.probabilities),
    }
    defaults, present = PLAIN.model_dump(), document["data"].get("format", {})
    # config.yaml leaves these out as long as they have their defaults.
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


def most_in_leaf(rows: int) -> int:
    """Return how many rows a leaf may need at least.

    With more, a tree of few rows could not split at all.
    """
    return max(1, rows // LEAVES)


def path_from(root: Path, table: Path) -> str:
    """Name a table inside the project from its root, and another in full.

    A path from the root lets config.yaml travel.
    """
    return (table.relative_to(root) if table.is_relative_to(root) else table).as_posix()
