"""Values → text that stands in Markdown or HTML and is nothing but text there.

Each template calls its function as jinja2's `finalize`, so that no value gets around it.
"""

import re
from typing import Any, Final

from skewless.core.printable import printable

BLANK: Final = re.compile(r"\s")
SIGN: Final = re.compile(r"[\\`*_\[\]<>&|~$]")  # what Markdown, or GitHub's, may take for a mark in a line
TICKS: Final = re.compile("`+")


class Markdown(str):
    """Markdown that is written already, as `code` returns it; `in_markdown` leaves it alone."""

    __slots__ = ()


def in_markdown(value: object) -> str:
    r"""Write a value as text inside a line or a table's cell.

    >>> print(in_markdown("a|b *c*\n<script>"))
    a\|b \*c\* \<script\>
    """
    if isinstance(value, Markdown):
        return value
    return SIGN.sub(r"\\\g<0>", _line(value))


def code(value: object, *, cell: bool = False) -> Markdown:
    r"""Write a value as code; inside a table's cell the sign between cells has to be marked, and only there.

    >>> print(code("a_b"), code("a`|b", cell=True))
    `a_b` ``a`\|b``
    """
    text = _line(value)
    ticks = "`" * (1 + max(map(len, TICKS.findall(text)), default=0))
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    text = text.replace("|", r"\|") if cell else text
    return Markdown(f"{ticks}{pad}{text}{pad}{ticks}" if text.strip() else "")


def in_html(value: Any) -> Any:
    """Write text for the eye, before jinja2 escapes it; what is HTML already stays."""
    return _line(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _line(value: object) -> str:
    return printable(BLANK.sub(" ", str(value)))
