"""Decisions → config.yaml with the values that know the table.

Its other values and its comments stay.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from skewless.adopt.decisions import Decisions
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
ABSENT: Final = object()
PLAIN_WORD: Final = re.compile(r"(/|\.{0,2}/)?[A-Za-z_][\w./-]*")


def render_config_yaml(decided: Decisions, old: str, root: Path) -> str:
    """Write what config.yaml says of the table anew."""
    return with_settings(old, table_settings(decided, root, yaml.safe_load(old)))


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


def with_settings(text: str, settings: Mapping[str, Any]) -> str:
    """Give keys other values, each named by its path such as ``data.format.missing``.

    Raises
    ------
    LookupError
        A section is not there, or the file came out different from what was meant.
    """
    lines = text.splitlines(keepends=True)
    before = yaml.safe_load(text)
    for path, value in settings.items():
        if _found(before, path) != value:
            _set(lines, path.split("."), value)
    changed = "".join(lines)
    try:
        came_out = yaml.safe_load(changed)
    except yaml.YAMLError:
        came_out = None
    if came_out != _updated(before, settings):
        msg = (
            "config.yaml is laid out so that its values cannot be replaced; "
            "lay it out as the template does"
        )
        raise LookupError(msg)
    return changed


def _found(document: Any, path: str) -> Any:
    """Return the value of a key; of one that is left out, what nothing equals."""
    for key in path.split("."):
        if key not in document:
            return ABSENT
        document = document[key]
    return document


def _updated(document: Any, settings: Mapping[str, Any]) -> Any:
    for path, value in settings.items():
        *sections, key = path.split(".")
        section = document
        for name in sections:
            section = section[name]
        section[key] = json.loads(json.dumps(value))
    return document


def _set(lines: list[str], path: Sequence[str], value: Any) -> None:
    """Write a key's value on its own line.

    It stands in place of the lines of the old one, or at its section's end.
    """
    *sections, key = path
    begin = -1
    end = len(lines)
    for depth, section in enumerate(sections):
        begin, end = _block(lines, section, start=begin + 1, end=end, depth=depth)
    depth = len(sections)
    if depth and not any(map(_line_of(key, depth).match, lines[begin:end])):
        comment = f"  # {COMMENTS[key]}" if key in COMMENTS else ""
        lines.insert(end, f"{'  ' * depth}{key}: {as_yaml(value)}{comment}\n")
        return
    begin, end = _block(lines, key, start=begin + 1, end=end, depth=depth)
    lines[begin:end] = [_with_value(lines[begin], key, value)]


def _with_value(line: str, key: str, value: Any) -> str:
    """Put another value in a line; its comment stays in its column if it can."""
    match = re.match(r"(\s*[\w]+:)(.*?)(\s+#.*)?\n?$", line)
    head, old, behind = match.groups() if match else (f"{key}:", "", None)
    new = f" {as_yaml(value)}"
    if behind is None:
        return f"{head}{new}\n"
    comment = behind.lstrip()
    column = len(old) + len(behind) - len(comment)
    gap = max(2, column - len(new))
    return f"{head}{new}{' ' * gap}{comment}\n"


def _line_of(key: str, depth: int) -> re.Pattern[str]:
    """Match the line of a key that stands so deep."""
    return re.compile(rf"\s{{{2 * depth}}}{key}:")


def _block(
    lines: list[str], key: str, *, start: int, end: int, depth: int
) -> tuple[int, int]:
    """Find the lines of a key inside others.

    Blank lines and comments behind it are the next key's.
    """
    wanted = _line_of(key, depth)
    found = [place for place in range(start, end) if wanted.match(lines[place])]
    if not found:
        msg = f"config.yaml has no key {key} where the template has it"
        raise LookupError(msg)
    begin = found[0]
    after = begin + 1
    while after < end and _indent(lines[after]) > 2 * depth:
        after += 1
    while not lines[after - 1].strip():
        after -= 1
    return begin, after


def _indent(line: str) -> float:
    """Count the blanks before a line's text; an empty line is inside of everything."""
    return len(line) - len(line.lstrip()) if line.strip() else float("inf")


def as_yaml(value: Any) -> str:
    r"""Write a value in one line.

    >>> as_yaml("data/a.csv"), as_yaml("\t"), as_yaml([0.5, "null"])
    ('data/a.csv', '"\\t"', '[0.5, "null"]')
    >>> as_yaml(None), as_yaml({})
    ('null', '{}')
    """
    if (
        isinstance(value, str)
        and PLAIN_WORD.fullmatch(value)
        and yaml.safe_load(value) == value
    ):
        return value
    return json.dumps(value, ensure_ascii=not str(value).isprintable())
