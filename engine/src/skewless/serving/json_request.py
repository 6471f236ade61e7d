"""A request whose body is JSON in UTF-8, parsed once and in one way."""

import email.message
import json
import sys
from codecs import BOM_UTF8
from typing import Any, Final

from fastapi import HTTPException, Request
from starlette.types import Receive, Scope

JSON: Final = "application/json"
EVIDENT: Final = frozenset((b"application/json", b"application/json; charset=utf-8"))
"""Content types that are JSON in UTF-8 at first sight; any other is parsed."""

ABOUT_THE_BODY: Final = frozenset((b"content-type", b"content-encoding"))

UTF_8: Final = frozenset(("utf-8", "utf8"))


class JsonRequest(Request):
    """A request whose body is JSON in UTF-8, whatever reads it.

    `is_evident` tells that its headers say so and nothing else about the body.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        said = [value for name, value in scope["headers"] if name in ABOUT_THE_BODY]
        self.is_evident = len(said) == 1 and said[0] in EVIDENT
        self._failure: Exception | None = None

    async def body(self) -> bytes:
        """Read the body; what failed fails in the same way if it is asked for again."""
        if self._failure is not None:
            raise self._failure
        try:
            return await super().body()
        except Exception as failure:
            self._failure = failure
            raise

    async def json(self) -> Any:
        """Parse the body, once.

        Raises
        ------
        HTTPException
            415 if it is compressed or says that it is not UTF-8, 400 if it is not UTF-8
            or nested too deeply.
        json.JSONDecodeError
            It is no JSON.
        """
        if not hasattr(self, "_document"):
            if not self.is_evident:
                self._refuse_encodings()
            self._document = parse(await self.body())
        return self._document

    def _refuse_encodings(self) -> None:
        codings = [
            each
            for each in self.headers.getlist("content-encoding")
            if each.lower() != "identity"
        ]
        if codings:
            detail = (
                "send the body as it is, without Content-Encoding: "
                "this service unpacks nothing"
            )
            raise HTTPException(415, detail, {"Accept-Encoding": "identity"})
        content_type = _read_content_type(self.headers.get("content-type", ""))
        # get_content_charset says of a charset that it cannot read that there is none.
        is_named = content_type.get_param("charset") is not None
        if is_named and content_type.get_content_charset() not in UTF_8:
            raise HTTPException(
                415, "send JSON as UTF-8, and no other charset in Content-Type"
            )


def parse(body: bytes) -> Any:
    """Parse JSON in UTF-8, as RFC 8259 has it between systems.

    A byte order mark is overlooked. A key that is repeated has its last value. NaN and
    Infinity are read, so that a field can refuse them by name; an integer of more
    digits than Python reads is infinite for the same reason.

    Raises
    ------
    HTTPException
        400: it is not UTF-8, or nested too deeply.
    json.JSONDecodeError
        It is no JSON.
    """
    try:
        return _parse_text(body.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise HTTPException(400, "the body is not UTF-8, as JSON has to be") from error
    except RecursionError as error:
        raise HTTPException(400, "the body is nested too deeply") from error


def _parse_text(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than `int` reads
        return json.loads(text, parse_int=_read_integer)


def _read_integer(digits: str) -> float:
    return int(digits) if len(digits) <= sys.get_int_max_str_digits() else float(digits)


def is_json(content_type: str) -> bool:
    """Tell whether a content type is JSON, as FastAPI does.

    >>> is_json("application/vnd.crm+json; charset=utf-8")
    True
    >>> is_json("text/plain"), is_json("")
    (False, False)
    """
    if content_type == JSON:
        return True
    message = _read_content_type(content_type)
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )


def _read_content_type(content_type: str) -> email.message.Message:
    message = email.message.Message()
    message["content-type"] = content_type
    return message
