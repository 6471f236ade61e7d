"""A URL or path that may hold a password; no way of printing it shows the password."""

import re
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from skewless.core.errors import ConfigError
from skewless.core.escaping import (
    BOUNDARY,
    MASK,
    NETWORK_PLACE,
    NUMBERED,
    SCHEME,
    masked_url,
)

# fsspec chains by ::
START: Final = re.compile(
    rf"\s*((?:[a-z][a-z0-9+.-]*::)*{SCHEME.pattern})", re.IGNORECASE
)
MISTYPED: Final = re.compile(
    r"[a-z][a-z0-9+.-]+:[/\\]|(?![a-z]:[/\\]|[.~]|/(?!/)).*:.*@|//.*@", re.IGNORECASE
)
"""A scheme that two slashes do not follow, or a user with a password.

But no drive, and no plain path.
"""
PIECES: Final = re.compile(r"[/?#:;@&=\s]+")


class Url:
    """A URL or path. Its text shows no users, passwords or parameters.

    >>> url = Url("s3://me:secret@host/models")
    >>> print(url, [url], url.get_secret_value())
    s3://***@host/models [Url('s3://***@host/models')] s3://me:secret@host/models
    """

    def __init__(self, text: str) -> None:
        start = START.match(text)
        self.is_url = start is not None
        """Whether it names a store, by a scheme such as ``s3://``; a path does not."""
        self._text = text
        if start is not None:
            self._text = start[1].lower() + text[start.end() :].rstrip()

    def get_secret_value(self) -> str:
        """Return the whole text, for whoever opens it; called as pydantic calls it.

        A URL comes without blanks around it, and its scheme in small letters.

        Raises
        ------
        ConfigError
            It looks like a mistyped URL, or a user name or password is not
            percent-encoded.
        """
        fault = self._fault()
        if fault is not None:
            msg = f"{self}: {fault}"
            raise ConfigError(msg)
        return self._text

    def without_user(self) -> str:
        """Return what it names, whoever asks for it: two stores never share it.

        It may hold secrets.
        """
        text = self.get_secret_value()
        if not self.is_url:
            return text
        return "::".join(map(_without_user, BOUNDARY.split(text)))

    def shows_secret(self, text: str) -> bool:
        """Tell whether a text holds a piece of what this URL does not show.

        The text may be a library's error, for example.
        """
        if not self.is_url:
            return False
        links = BOUNDARY.split(self._text)
        return any(piece in text for link in links for piece in _secrets(link))

    def __str__(self) -> str:
        if self.is_url:
            return masked_url(self._text)
        if MISTYPED.match(self._text) and re.search("[@?#;]", self._text):
            scheme = re.match(r"[a-z][a-z0-9+.-]+:[/\\]+", self._text, re.IGNORECASE)
            return (scheme[0] if scheme else "") + MASK
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def _fault(self) -> str | None:
        if not self.is_url:
            if MISTYPED.match(self._text) is None:
                return None
            return (
                "looks like a mistyped URL. Begin a URL like s3://, "
                "and a path of such a name with ./"
            )
        if all(map(_has_host, BOUNDARY.split(self._text))):
            return None
        return (
            "the host or port cannot be read. In a user name or password "
            "percent-encode @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and a "
            "blank as %20"
        )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Read it from text that is not empty; write it as it shows itself."""

        def read(text: str) -> Url:
            url = cls(text)
            fault = url._fault()
            if fault is not None:
                kind = "url"
                raise PydanticCustomError(kind, "{fault}", {"fault": fault})
            return url

        text = core_schema.no_info_after_validator_function(
            read, core_schema.str_schema(min_length=1)
        )
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.no_info_wrap_validator_function(
                lambda value, handler: (
                    value if isinstance(value, cls) else handler(value)
                ),
                text,
            ),
            serialization=core_schema.to_string_ser_schema(),
        )


def _place(link: str) -> tuple[str, str, str]:
    """Split off the scheme, and from what follows it what is before the path."""
    scheme, _, rest = link.partition("://")
    place = NETWORK_PLACE.match(rest)
    end = place.end() if place else 0
    return f"{scheme}://", rest[:end], rest[end:]


def _has_host(link: str) -> bool:
    _, place, _ = _place(link)
    user, _, hosts = place.rpartition("@")
    is_plain = re.search(r"[@\s]", user) is None
    return is_plain and all(map(NUMBERED.fullmatch, hosts.split(",")))


def _without_user(link: str) -> str:
    scheme, place, rest = _place(link)
    return scheme + place.rpartition("@")[2] + rest


def _secrets(link: str) -> set[str]:
    """Return the pieces of a password, or of a user alone, and of all parameters.

    Each is there as written and as decoded.
    """
    _, _, rest = link.partition("://")
    user, _, after = rest.rpartition("@")
    hidden = user.partition(":")[2] or user
    parameters = re.split("[?#;]", after, maxsplit=1)[1:]
    secrets = set[str]()
    for written in (hidden, *parameters):
        for text in (written, unquote(written), unquote_plus(written)):
            secrets |= {text, *PIECES.split(text)}
    return secrets - {""}
