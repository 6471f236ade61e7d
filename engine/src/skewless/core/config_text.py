"""The text of config.yaml → the same with other values; its comments stay."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import yaml

ABSENT: Final = object()
PLAIN_WORD: Final = re.compile(r"(/|\.{0,2}/)?[A-Za-z_][\w./-]*")
COMMENT: Final = re.compile(r"[^\"'#]*\s(?=# )")
"""Up to the comment behind a value without quotes."""


def with_settings(
    text: str,
    settings: Mapping[str, Any],
    *,
    comments: Mapping[str, str],
    removed: Collection[str] = (),
) -> str:
    """Give keys other values, each named by its path such as ``data.format.missing``.

    Parameters
    ----------
    text
        Of config.yaml.
    settings
        Path of a key → its value.
    comments
        Key → the comment that it gets where config.yaml did not have it.
    removed
        Paths of keys to take out; one that is absent is passed over.

    Raises
    ------
    LookupError
        A section is not there, or the file came out different from what was meant.
    """
    lines = text.splitlines(keepends=True)
    before = yaml.safe_load(text)
    for path in removed:
        _remove(lines, path.split("."), before=before)
    for path, value in settings.items():
        if _found(before, path) != value:
            _set(lines, path.split("."), value, comments=comments)
    changed = "".join(lines)
    try:
        came_out = yaml.safe_load(changed)
    except yaml.YAMLError:
        came_out = None
    if came_out != _updated(before, settings, removed):
        msg = (
            "config.yaml is laid out so that its values cannot be replaced; "
            "lay it out as the template does"
        )
        raise LookupError(msg)
    return changed


def _remove(lines: list[str], path: Sequence[str], *, before: Any) -> None:
    """Take a key's lines out, if it is there."""
    if _found(before, ".".join(path)) is not ABSENT:
        begin, end = _place(lines, path)
        del lines[begin:end]


def _found(document: Any, path: str) -> Any:
    """Return the value of a key; of one that is left out, what nothing equals."""
    for key in path.split("."):
        if key not in document:
            return ABSENT
        document = document[key]
    return document


def _updated(
    document: Any, settings: Mapping[str, Any], removed: Collection[str]
) -> Any:
    for path in removed:
        *sections, key = path.split(".")
        _section(document, sections).pop(key, None)
    for path, value in settings.items():
        *sections, key = path.split(".")
        _section(document, sections)[key] = json.loads(json.dumps(value))
    return document


def _section(document: Any, names: Sequence[str]) -> Any:
    for name in names:
        document = document[name]
    return document


def _place(lines: Sequence[str], path: Sequence[str]) -> tuple[int, int]:
    """Find the lines of a key by its path."""
    begin = -1
    end = len(lines)
    for depth, key in enumerate(path):
        begin, end = _block(lines, key, start=begin + 1, end=end, depth=depth)
    return begin, end


def _set(
    lines: list[str], path: Sequence[str], value: Any, *, comments: Mapping[str, str]
) -> None:
    """Write a key's value on its own line.

    It stands in place of the lines of the old one, whose comments stay, or at its
    section's end.
    """
    *sections, key = path
    depth = len(sections)
    begin, end = 0, len(lines)
    if sections:
        begin, end = _place(lines, sections)
    if depth and not any(map(_line_of(key, depth).match, lines[begin:end])):
        line = f"{'  ' * depth}{key}: {as_yaml(value)}"
        if key in comments:
            line = _commented(line, comments[key], beside=lines[begin:end])
        lines.insert(end, f"{line}\n")
        return
    begin, end = _place(lines, path)
    remarks = [line for line in lines[begin + 1 : end] if _is_remark(line)]
    lines[begin:end] = [_with_value(lines[begin], key, value), *remarks]


def _is_remark(line: str) -> bool:
    return line.lstrip().startswith("#")


def _commented(line: str, comment: str, *, beside: Sequence[str]) -> str:
    """Put a comment behind a line, in the column of those beside it if it can."""
    columns = [match.end() for match in map(COMMENT.match, beside) if match is not None]
    column = max(columns, key=columns.count, default=0)
    return f"{line:{max(column, len(line) + 2)}}# {comment}"


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
    lines: Sequence[str], key: str, *, start: int, end: int, depth: int
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
    >>> as_yaml(None), as_yaml({}), as_yaml(1e-5)
    ('null', '{}', '0.00001')
    """
    if isinstance(value, float) and isfinite(value):
        # YAML 1.1 takes 1e-05, as Python writes it, for text.
        return format(Decimal(repr(value)), "f")
    if (
        isinstance(value, str)
        and PLAIN_WORD.fullmatch(value)
        and yaml.safe_load(value) == value
    ):
        return value
    return json.dumps(value, ensure_ascii=not str(value).isprintable())
