"""config.yaml → the same with other values; its comments stay."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

ABSENT: Final = object()
PLAIN_WORD: Final = re.compile(r"(/|\.{0,2}/)?[A-Za-z_][\w./-]*")


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
    if yaml.safe_load(changed) != _updated(before, settings):
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
    begin, end = -1, len(lines)
    for depth, key in enumerate(path[:-1]):
        begin, end = _block(lines, key, start=begin + 1, end=end, depth=depth)
    depth = len(path) - 1
    if depth and not any(
        re.match(rf"\s{{{2 * depth}}}{path[-1]}:", line) for line in lines[begin:end]
    ):
        lines.insert(end, f"{'  ' * depth}{path[-1]}: {as_yaml(value)}\n")
        return
    begin, end = _block(lines, path[-1], start=begin + 1, end=end, depth=depth)
    match = re.match(r"(\s*[\w]+:)(.*?)(\s+#.*)?\n?$", lines[begin])
    head, old, comment = match.groups() if match else (f"{path[-1]}:", "", None)
    new = f" {as_yaml(value)}"
    gap = max(
        2, len(old) + len(comment or "") - len((comment or "").lstrip()) - len(new)
    )
    shown = "" if comment is None else " " * gap + comment.lstrip()
    lines[begin:end] = [f"{head}{new}{shown}\n"]


def _block(
    lines: list[str], key: str, *, start: int, end: int, depth: int
) -> tuple[int, int]:
    """Find the lines of a key inside others.

    Blank lines and comments behind it are the next key's.
    """
    begin = next(
        (
            place
            for place in range(start, end)
            if re.match(rf"\s{{{2 * depth}}}{key}:", lines[place])
        ),
        None,
    )
    if begin is None:
        msg = f"config.yaml has no key {key} where the template has it"
        raise LookupError(msg)
    after = next(
        (
            place
            for place in range(begin + 1, end)
            if _indent(lines[place]) <= 2 * depth
        ),
        end,
    )
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
