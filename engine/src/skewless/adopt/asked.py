"""What was asked for: the target column, the id column and the outcome to predict."""

import difflib
from dataclasses import dataclass
from typing import Final

from skewless.core.errors import AskedError, TableError

NO_ID: Final = "none"
"""Given as the id: no column is, each row gets an id made of its cells."""


@dataclass(frozen=True)
class Asked:
    """The words behind TARGET=, ID= and POSITIVE=."""

    target: str
    id: str | None = None
    positive: str | None = None


def position_of(name: str, headers: list[str], *, role: str) -> int:
    """Find a column by its header; if none is the same, case and blanks may differ.

    Raises
    ------
    AskedError
        No header matches, or more than one does.
    """
    plain = _plain(name)
    exact = [place for place, header in enumerate(headers) if header == name]
    alike = [place for place, header in enumerate(headers) if _plain(header) == plain]
    found = exact or alike
    if len(found) == 1:
        return found[0]
    if found:
        msg = (
            f"{role}={name}: {len(found)} columns are called so; "
            "rename all but one upstream"
        )
        raise AskedError(msg)
    near = difflib.get_close_matches(name, headers, n=3, cutoff=0.5) or headers[:10]
    listed = ", ".join(map(repr, near))
    rest = len(headers) - len(near)
    more = f" and {rest} more" if rest > 0 else ""
    msg = f"{role}={name}: the table has no such column; it has {listed}{more}"
    raise AskedError(msg)


def id_position(asked: Asked, headers: list[str], *, id_field: str) -> int | None:
    """Find the column that was named as the id; None if none was.

    A column that is called as the project's own id is the id without being named.

    Raises
    ------
    AskedError
        The column that was named is not there, or several are.
    TableError
        Another column is called as the project's id.
    """
    if asked.id is None or asked.id == id_field:
        if id_field in headers:
            return headers.index(id_field)
        if asked.id is None:
            return None
        return position_of(id_field, headers, role="ID")
    without_id = asked.id == NO_ID and NO_ID not in headers
    named = None if without_id else position_of(asked.id, headers, role="ID")
    if id_field in headers and (named is None or headers[named] != id_field):
        msg = (
            f"the project calls a row's id {id_field}, "
            "and another column is called so: rename that upstream"
        )
        raise TableError(msg)
    return named


def _plain(header: str) -> str:
    return "".join(header.split()).casefold()
