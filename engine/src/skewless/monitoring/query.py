"""Questions of one's own to the log, in SQL that can only read it.

DuckDB's SQL reads and writes any file, loads extensions and reaches the network. Here
its configuration allows the log's folder alone and is locked, and nothing but SELECT is
taken, which writes nothing.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from typing import Any, Final
from weakref import finalize

import duckdb

from skewless.core.contract import HALF
from skewless.core.errors import ConfigError
from skewless.core.workspace import Workspace
from skewless.monitoring.place import open_log
from skewless.monitoring.views import Views, open_views

FETCHED_ROWS: Final = 1_000
ONLY_SELECT: Final = (
    "only one statement is taken, which reads: SELECT, FROM, WITH, DESCRIBE, SHOW or "
    "SUMMARIZE, of the views predictions and outcomes"
)


@contextmanager
def open_questions(work: Workspace) -> Iterator[Views]:
    """Open the views of a project's log so that nothing else can be read.

    Raises
    ------
    ConfigError
        No log is kept, or the database's URL is malformed.
    LogStoreError
        The log cannot be read.
    """
    with open_views(open_log(work), work.contract, locked=True) as views:
        yield views


def open_connection(work: Workspace) -> duckdb.DuckDBPyConnection:
    """Open what `skewless.monitoring.connect` gives; it is closed with it."""
    with ExitStack() as opened:
        views = opened.enter_context(open_questions(work))
        finalize(views.connection, opened.pop_all().close)
        return views.connection


def draw(views: Views, sql: str) -> str:
    """Answer a question by a table for the eye, of the first rows and the last.

    Raises
    ------
    ConfigError
        It is not one SELECT, or DuckDB refuses it; the message says why.
    """
    with _refused():
        _check(sql)
        return str(views.connection.sql(sql))


@contextmanager
def ask(views: Views, sql: str) -> Iterator[tuple[list[str], Iterator[list[Any]]]]:
    """Answer a question by the names of columns, and rows of values of JSON.

    Raises
    ------
    ConfigError
        See `draw`; it may be raised while rows are taken.
    """
    with _refused():
        _check(sql)
        found = views.connection.execute(sql)
        yield [str(column[0]) for column in found.description or ()], _rows(found)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise ConfigError(*str(error).splitlines()) from error


def _check(sql: str) -> None:
    if HALF.search(sql):
        msg = "the question is not UTF-8"
        raise ConfigError(msg)
    kinds = [statement.type for statement in duckdb.extract_statements(sql)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise ConfigError(ONLY_SELECT)


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[list[Any]]:
    while rows := found.fetchmany(FETCHED_ROWS):
        yield from (list(map(_plain, row)) for row in rows)


def _plain(value: Any) -> Any:
    """Turn a value of DuckDB into one of JSON."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
