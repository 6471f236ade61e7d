"""The text of config.yaml → plain values; reading them takes a bounded time.

Each value is what was typed. YAML 1.1 turns ``1:30`` into 90, ``017`` into 15, ``no``
into false and ``2026-01-01`` into a date. Here only what is plainly a number, a truth
value or null becomes one, much as in YAML 1.2; anything else stays text, and the
section's own types say what is wrong with it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Never

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from skewless.core.contract import is_plain_text
from skewless.core.errors import ConfigError

# a configuration has about 10 kB; PyYAML reads a megabyte in seconds
MOST_BYTES: Final = 1024 * 1024
# keys and values, aliases written out; a configuration has a few hundred
MOST_VALUES: Final = 10_000
MOST_DEPTH: Final = 20  # a configuration has 4
# no path, and no UTF-8, can hold these
NOT_IN_A_VALUE: Final = re.compile(r"[\x00\uD800-\uDFFF]")

FLOAT: Final = r"""[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"""
PLAIN: Final = (
    ("null", "~nN", r"~|null|Null|NULL|"),
    ("bool", "tTfF", r"true|True|TRUE|false|False|FALSE"),
    ("int", "-+0123456789", r"[-+]?(?:0|[1-9][0-9]*)"),
    ("float", "-+.0123456789", FLOAT),
)
"""Kind, what it begins with, and how it is written; the first that fits counts.

A null may be empty.
"""


def read_document(path: Path, *, variable: str) -> Any:
    """Read a file of YAML as JSON would hold it.

    That is mappings by text, lists, text, numbers, truth values, null.

    Parameters
    ----------
    path
        The file.
    variable
        Of the environment, which names the file unless --config does; for messages.

    Raises
    ------
    ConfigError
        The file cannot be read, is too large, is not YAML, or holds text that is none.
    """
    text = _read(path, variable)
    try:
        document = yaml.load(text, Loader=Loader)  # noqa: S506 - a SafeLoader, below
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        msg = f"{path}: not valid YAML: {_slip(error)}"
        raise ConfigError(msg) from error
    faults = [f"{path}: {fault}" for fault in _faults_of_text(document)]
    if faults:
        raise ConfigError(*faults)
    return document


def check_value(text: str) -> str:
    """Return a value's text.

    Raises
    ------
    ValueError
        It holds NUL, or half of a surrogate pair, as bytes that are not UTF-8 become in
        the environment.
    """
    if NOT_IN_A_VALUE.search(text):
        msg = "Value should be text in UTF-8 without the character NUL"
        raise ValueError(msg)
    return text


def _read(path: Path, variable: str) -> str:
    another = f"Name another file with --config or {variable}"
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) <= MOST_BYTES:
            return data.decode()
    except (OSError, ValueError) as error:
        # a ValueError: bytes that are no UTF-8, or a name that no file can have
        msg = f"{path}: cannot be read ({error}). {another}"
        raise ConfigError(msg) from error
    msg = (
        f"{path}: is larger than {MOST_BYTES:,} bytes, so it is no configuration. "
        f"{another}"
    )
    raise ConfigError(msg)


def _slip(error: Exception) -> str:
    """Say on one line what is wrong, and where."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem}, in line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(error).split())


def _faults_of_text(value: Any, key: str = "") -> Iterator[str]:
    """Name each key and value that holds a character which must not be there."""
    match value:
        case str() if NOT_IN_A_VALUE.search(value):
            named = key or "the file"
            yield (
                f"{named}: found {value!r}; "
                "text must not hold NUL, or half of a surrogate pair"
            )
        case dict():
            for name, each in value.items():
                yield from _faults_of_entry(
                    f"{key}.{name}".removeprefix("."), name, each
                )
        case list():
            for place, each in enumerate(value):
                yield from _faults_of_text(each, f"{key}.{place}".removeprefix("."))
        case _:
            pass


def _faults_of_entry(key: str, name: str, value: Any) -> Iterator[str]:
    if not is_plain_text(name):
        yield f"{key}: the key holds a control character, or half of a surrogate pair"
    yield from _faults_of_text(value, key)


class Loader(yaml.SafeLoader):
    """YAML as JSON means it, and no more of it than a configuration needs."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._values = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a value, counting it with all that is in it.

        An alias counts as what it stands for.
        """
        is_alias = self.check_event(yaml.AliasEvent)
        before = self._values
        self._depth += 1
        if self._depth > MOST_DEPTH:
            self._refuse(f"values are nested deeper than {MOST_DEPTH}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._values += self._sizes.get(id(node), MOST_VALUES) if is_alias else 1
        if self._values > MOST_VALUES:
            self._refuse(
                f"it holds more than {MOST_VALUES:,} keys and values, "
                "with each alias written out"
            )
        self._sizes.setdefault(id(node), self._values - before)
        return node

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - PyYAML's signature
    ) -> dict[Any, Any]:
        """Take only keys of text, and none that silently replaces an earlier one."""
        seen = set()
        for each, _ in node.value:
            key = self.construct_object(each, deep=True)
            problem = None
            if not isinstance(key, str):
                problem = "must be text: put it in quotes"
            elif key in seen:
                problem = "stands twice"
            if problem is not None:
                raise ConstructorError(
                    None, None, f"the key {key!r} {problem}", each.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_undefined(self, node: yaml.Node) -> Never:
        """Refuse every tag that is none of JSON's."""
        problem = f"the tag {node.tag!r} is not taken; leave it out"
        raise ConstructorError(None, None, problem, node.start_mark)

    def _refuse(self, problem: str) -> None:
        raise ComposerError(None, None, problem, self.get_mark())


Loader.yaml_implicit_resolvers = {}
for _kind, _starts, _written in PLAIN:
    _pattern = re.compile(rf"(?:{_written})\Z", re.VERBOSE)
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _pattern, [*_starts, ""])

KINDS: Final = ("map", "seq", "str", *(kind for kind, _, _ in PLAIN))
JSON_TAGS: Final = {f"tag:yaml.org,2002:{kind}" for kind in KINDS}
Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag in JSON_TAGS
} | {None: Loader.construct_undefined}
