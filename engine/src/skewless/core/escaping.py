r"""Text from outside → text that does nothing where it is shown.

It may be shown in a terminal, a log, Markdown, HTML or a cell. A cell, a file's name, a
user's name or a reason may hold what a terminal obeys: ``\x1b[1A\x1b[2K`` erases the
line above it, a line break begins what looks like another message, a bidi override
turns words around. Markdown and HTML have marks of their own, and a spreadsheet runs
`=HYPERLINK(…)`. No password of a URL is shown anywhere.
"""

import re
from typing import Any, Final

MASK: Final = "***"
# bounded, for texts of a megabyte
SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,40}://", re.IGNORECASE)
# between URLs that fsspec chains
BOUNDARY: Final = re.compile(rf"::(?={SCHEME.pattern})", re.IGNORECASE)
NETWORK_PLACE: Final = re.compile(r"[^/?#;\\]*")  # user, password, host and port
# a host with its port, if it has one
NUMBERED: Final = re.compile(r"\[[^]]*\](?::\d*)?|[^:]*(?::\d*)?")
PARAMETERS: Final = re.compile("[?#;]")  # where they begin
# an object's name may hold an @
NAMES_OBJECTS: Final = frozenset({"file", "gcs", "gs", "memory", "s3"})
PASSWORD: Final = re.compile(
    r"((?<!\b[A-Za-z]):/+|(?<![:/])//+)[^\s/?#:@]*:(?![:\s]|\d+\b)[^@]{0,200}@(?:\S*@)?"
)
"""After a user's name.

It stands in a text, so it may hold a blank, and slashes may be missing before it.
"""
WORD: Final = re.compile(r"\S+")
PUNCTUATION: Final = """])}>"',.:;"""  # of the sentence that a URL ends


def printable(text: object) -> str:
    r"""Write a text on one line that shows all there is of it.

    What URLs must not show is masked. What Python calls unprintable is written by its
    code: control characters, line breaks, bidi and other invisible marks, blanks other
    than a space, halves of surrogate pairs. A backslash stays as it is, so what was
    written so may be written so again without a change.

    >>> print(printable("ü\x1b[1A\r\n\u202e"))
    ü\x1b[1A\r\n\u202e
    >>> print(printable("s3://me:secret@host/x?token=1"))
    s3://***@host/x?***
    """
    return masked("".join(map(_visible, str(text))))


def masked(text: str) -> str:
    """Mask in the URLs of a text what `masked_url` masks. A URL ends at a blank.

    >>> masked("redis://:secret@host:6379/0 and (https://host/x?a=1&sig=abc).")
    'redis://***@host:6379/0 and (https://host/x?***).'
    """
    if "//" not in text and ":/" not in text:
        return text
    return WORD.sub(_masked_word, PASSWORD.sub(rf"\g<1>{MASK}@", text))


def masked_url(url: str) -> str:
    """Mask in a URL its user with the password, and all parameters.

    If in doubt, mask all after the scheme. Where a password ends is in doubt if an @
    follows the host, or a port is no number. But an object's name may hold an @, as in
    ``s3://bucket/a@b``, if no colon is before it.

    >>> masked_url("https://token@host/x?code=1")
    'https://***@host/x?***'
    >>> masked_url("s3://me:pass/word@bucket/x")
    's3://***'
    """
    return "::".join(map(_masked_link, BOUNDARY.split(url)))


def _masked_link(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    names_objects = scheme.lower() in NAMES_OBJECTS and "://" not in rest
    is_file = scheme.lower() == "file" and rest.startswith("/") and names_objects
    if not separator or is_file:
        return url  # a file of this machine has no user
    place = NETWORK_PLACE.match(rest)
    end = place.end() if place else 0
    _, sign, hosts = rest[:end].rpartition("@")
    path, *parameters = PARAMETERS.split(rest[end:], maxsplit=1)
    is_name = names_objects and ":" not in rest.rpartition("@")[0]
    are_hosts = all(map(NUMBERED.fullmatch, hosts.split(",")))
    if not are_hosts or ("@" in rest[end:] and not is_name):
        return f"{scheme}://{MASK}"
    user = f"{MASK}@" if sign else ""
    begin = rest[end + len(path) :][:1]
    hidden = MASK if any(parameters) else ""
    return f"{scheme}://{user}{hosts}{path}{begin}{hidden}"


def _visible(sign: str) -> str:
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode()


def _masked_word(found: re.Match[str]) -> str:
    word = found[0]
    start = SCHEME.search(word)
    if start is None:
        return word
    before = word[: start.start()]
    url = word[start.start() :]
    bare = url.rstrip(PUNCTUATION)
    return before + masked_url(bare) + url[len(bare) :]


BLANK: Final = re.compile(r"\s")
# what Markdown, or GitHub's, may take for a mark in a line
SIGN: Final = re.compile(r"[\\`*_\[\]<>&|~$]")
TICKS: Final = re.compile("`+")


class Markdown(str):
    """Markdown that is written already, as by `code`; `in_markdown` leaves it alone."""

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
    r"""Write a value as code.

    Inside a table's cell the sign between cells has to be marked, and only there.

    >>> print(code("a_b"), code("a`|b", cell=True))
    `a_b` ``a`\|b``
    """
    text = _line(value)
    if not text.strip():
        return Markdown("")
    # more ticks than stand together in the text
    ticks = "`" * (1 + max(map(len, TICKS.findall(text)), default=0))
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    if cell:
        text = text.replace("|", r"\|")
    return Markdown(f"{ticks}{pad}{text}{pad}{ticks}")


def in_html(value: Any) -> Any:
    """Write text for the eye, before jinja2 escapes it; what is HTML already stays."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return _line(value) if is_text else value


def _line(value: object) -> str:
    return printable(BLANK.sub(" ", str(value)))


BEGINS: Final = "=+\\-@\t\r\n＝＋－＠"  # noqa: RUF001 - East Asia's wide forms
RUN: Final = re.compile(rf'(^|[;|\t"])(?=[{BEGINS}])')
"""Where a cell begins.

That is also behind what separates cells in a country that writes its numbers with a
comma.
"""
NUMBER: Final = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


def shown_only(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would run; a number stays one.

    >>> [shown_only(text) for text in ("=1+1", "@SUM(A1)", "-5", "c-1042", "a;=1+1")]
    ["'=1+1", "'@SUM(A1)", '-5', 'c-1042', "a;'=1+1"]
    """
    return text if NUMBER.fullmatch(text) else RUN.sub(r"\1'", text)
