"""A URL or path that may hold a password: it shows itself without, whoever prints it."""

import re
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from churn_service.printable import MASK, masked

ODD_PASSWORD: Final = re.compile(r"(://[^/?#:@]*:).*@", re.DOTALL)  # one with / or # in it, up to the last @


class Url:
    """A URL or path. Its text is what it shows: without passwords and parameters that grant access.

    >>> url = Url("s3://me:secret@host/models")
    >>> print(url, [url], url.get_secret_value())
    s3://me:***@host/models [Url('s3://me:***@host/models')] s3://me:secret@host/models
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """Return the whole text, for whoever opens it; called as pydantic calls it."""
        return self._text

    def __str__(self) -> str:
        return masked(ODD_PASSWORD.sub(rf"\g<1>{MASK}@", self._text))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read it from text that is not empty; write it as it shows itself."""
        text = core_schema.no_info_after_validator_function(cls, core_schema.str_schema(min_length=1))
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), text]),
            serialization=core_schema.to_string_ser_schema(),
        )
