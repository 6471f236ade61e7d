"""A URL → connections to PostgreSQL on which nobody waits for ever.

It also tells which of many rows the database refuses.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.event import listen
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from skewless.core.errors import ConfigError
from skewless.monitoring.place import Database

# For a connection, and for a batch; both fit into what a stopping process waits for.
PATIENCE_SECONDS = 2
ROW_FAULTS: Final = {"22", "23", "54", "P0"}
"""Classes of SQLSTATE that say that a row is at fault.

They are about its values, a constraint or its size, or are what a trigger raises.
"""

Row = TypeVar("Row")


def engine(database: Database) -> Engine:
    """Return what connects to the database.

    It connects when it is first used, or gives up within seconds.

    Parameters
    ----------
    database
        Its URL is such as ``postgresql+psycopg://user:password@host:5432/database``.

    Raises
    ------
    ConfigError
        The URL is malformed. The message does not repeat its password.
    """
    try:
        parsed = make_url(database.url.get_secret_value())
        if parsed.get_backend_name() != "postgresql":
            raise ValueError  # noqa: TRY301 - one message for whatever is wrong with it
    except ConfigError as error:
        msg = f"{database.variable}: {error}"
        raise ConfigError(msg) from None
    except (ArgumentError, ValueError):
        msg = (
            f"{database.variable}: malformed; write it like "
            "postgresql+psycopg://***@host:5432/name, with user:password for ***"
        )
        raise ConfigError(msg) from None
    patience = {"connect_timeout": PATIENCE_SECONDS, "application_name": "skewless"}
    driven = parsed.set(drivername="postgresql+psycopg")
    made = create_engine(driven, connect_args=patience)
    # Before SQLAlchemy's own questions to a new connection.
    listen(made, "connect", _begin, insert=True)
    listen(made, "connect", lambda _, entry: entry.info.pop("bound").close())
    return made


def bounded(
    connection: Connection, seconds: float = PATIENCE_SECONDS
) -> AbstractContextManager[None]:
    """Cut the line to a server that does not answer in time.

    Whoever waits for it can then go on.
    """
    return _cut_after(seconds, connection.connection.fileno())


def refused_rows(
    rows: Sequence[Row],
    insert: Callable[[Sequence[Row]], None],
    seconds: float = PATIENCE_SECONDS,
) -> list[tuple[Row, str]]:
    """Insert rows, and return those that the database refuses, each with the reason.

    What is refused together is asked again by halves, down to single rows.

    Parameters
    ----------
    rows
        At least one.
    insert
        Inserts some of them, all or none.
    seconds
        Nothing is halved any more after this time: then rows may be among the refused
        that are not at fault.

    Raises
    ------
    DBAPIError
        The database minds something else than these rows, or it is away; some rows may
        be inserted.
    """
    refused: list[tuple[Row, str]] = []
    waiting, end = [rows], time.monotonic() + seconds
    while waiting:
        some = waiting.pop()
        try:
            insert(some)
        except DBAPIError as error:
            reason = row_fault(error)
            if reason is None:
                raise
            if len(some) == 1 or time.monotonic() >= end:
                refused += [(row, reason) for row in some]
            else:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
    return refused


def row_fault(error: DBAPIError) -> str | None:
    """Name what is wrong with a row; None if nothing is.

    The message itself is left out, as it may repeat values.
    """
    state = getattr(error.orig, "sqlstate", None) or ""
    is_of_row = state[:2] in ROW_FAULTS or isinstance(error, DataError)
    return type(error.orig).__name__ if is_of_row else None


def _begin(driven: Any, entry: ConnectionPoolEntry) -> None:
    entry.info["bound"] = ExitStack()
    entry.info["bound"].enter_context(_cut_after(PATIENCE_SECONDS, driven.fileno()))


@contextmanager
def _cut_after(seconds: float, descriptor: int) -> Iterator[None]:
    with socket.socket(fileno=os.dup(descriptor)) as line:
        cut = threading.Timer(seconds, _cut, [line])
        cut.start()
        try:
            yield
        finally:
            cut.cancel()


def _cut(line: socket.socket) -> None:
    with suppress(OSError):  # it has just answered
        line.shutdown(socket.SHUT_RDWR)
