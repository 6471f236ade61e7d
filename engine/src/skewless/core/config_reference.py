"""The class of config.yaml → what documents it.

That is a JSON schema for editors and checks, and a page of all keys.

Usage: python -m skewless.core.config_reference PLACE schema|page

PLACE is where the project is, ``package.module:name``.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any, Final

from skewless.core.errors import OutputError
from skewless.core.escaping import code
from skewless.core.project import Project
from skewless.core.standard_output import standard_output

PLAIN: Final = re.compile(r"[a-z][a-z_-]*")  # text that YAML takes for text
OWN: Final = ("features", "model")  # sections of a project
HEAD: Final = (
    "# Configuration\n"
    "\n"
    "`config.yaml` holds what a project changes in its first months. This page, which "
    "`make schema` writes, lists\n"
    "every key of every section but `features` and `model`: those two are the "
    "project's own, in `config.py`.\n"
    "A key that is left out has its default; one without a default has to be there.\n"
)
TYPES: Final = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}
BOUNDS: Final = {
    "minimum": "from {:,}",
    "exclusiveMinimum": "above {:,}",
    "maximum": "to {:,}",
    "exclusiveMaximum": "below {:,}",
}


def config_schema(project: Project[Any, Any]) -> str:
    """Render the JSON schema of config.yaml, as config.schema.json holds it."""
    return json.dumps(project.config.model_json_schema(), indent=2) + "\n"


def config_page(project: Project[Any, Any]) -> str:
    """Render every section of the engine as Markdown.

    Each is a table of key, allowed, default, meaning.
    """
    schema = project.config.model_json_schema()
    sections = {
        name: found for name, found in schema["properties"].items() if name not in OWN
    }
    return HEAD + "".join(
        _section(name, found, schema) for name, found in sections.items()
    )


def _section(name: str, found: dict[str, Any], schema: dict[str, Any]) -> str:
    section = _resolved(found, schema)
    rows = "".join(f"| {' | '.join(row)} |\n" for row in _rows("", section, schema))
    said = section.get("description", "")
    return (
        f"\n## `{name}`\n\n{said}\n\n"
        f"| key | allowed | default | meaning |\n|---|---|---|---|\n{rows}"
    )


def _rows(
    path: str, section: dict[str, Any], schema: dict[str, Any]
) -> Iterator[tuple[str, ...]]:
    required = section.get("required", [])
    for name, found in section["properties"].items():
        key = _resolved(found, schema)
        if "properties" in key:
            yield from _rows(f"{path}{name}.", key, schema)
            continue
        default = ""
        if name not in required:
            default = code(_yaml(found.get("default")), cell=True)
        meaning = found.get("description", "").replace("|", r"\|")
        yield code(path + name, cell=True), _allowed(key), default, meaning


def _resolved(found: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference into the schema's definitions."""
    if "$ref" not in found:
        return found
    definition: dict[str, Any] = schema["$defs"][found["$ref"].rpartition("/")[2]]
    return definition


def _allowed(key: dict[str, Any]) -> str:
    """Say what a key may hold, in words: ``whole number, from 1 to 50,000``."""
    if "anyOf" in key:
        return " or ".join(_allowed(each) for each in key["anyOf"])
    match key.get("type"):
        case "array":
            return f"list of {_allowed(key['items'])}"
        case "object":
            return f"by column: {_allowed(key['additionalProperties'])}"
        case _:
            return _one_value(key)


def _one_value(key: dict[str, Any]) -> str:
    if "enum" in key:
        return ", ".join(map(_yaml, key["enum"]))
    if "const" in key:
        return _yaml(key["const"])
    parts = (TYPES[key["type"]], bounds_in_words(key), _length(key))
    return ", ".join(part for part in parts if part)


def bounds_in_words(key: Mapping[str, Any]) -> str:
    """Say what a number may be, from its JSON schema.

    >>> bounds_in_words({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
    'above 0 to 1'
    """
    return " ".join(
        words.format(key[name]) for name, words in BOUNDS.items() if name in key
    )


def _length(key: dict[str, Any]) -> str:
    """Say how long a text may be; that it may not be empty goes without saying."""
    longest = key.get("maxLength")
    if longest is None:
        return ""
    return "one character" if longest == 1 else f"at most {longest} characters"


def _yaml(value: Any) -> str:
    """Write a value as config.yaml has it."""
    is_plain = isinstance(value, str) and PLAIN.fullmatch(value)
    return value if is_plain else json.dumps(value, ensure_ascii=False)


RENDER: Final = {"schema": config_schema, "page": config_page}


def main(words: Sequence[str]) -> None:
    """Print what is asked for."""
    match words:
        case [place, "schema" | "page" as what]:
            with standard_output() as output:
                print(RENDER[what](resolve_name(place)), end="", file=output)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OutputError as error:
        sys.exit(f"error: {error}")
