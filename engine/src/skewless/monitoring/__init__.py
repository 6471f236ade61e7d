"""What was answered and what became of it: prediction log, drift, outcomes, reports."""

from typing import TYPE_CHECKING

from skewless.core.workspace import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["connect"]


def connect(work: Workspace) -> "DuckDBPyConnection":
    """Connect to a project's log, for a notebook.

    Parameters
    ----------
    work
        The project and where it is, from `open_workspace`.

    Returns
    -------
    DuckDBPyConnection
        With the views `predictions` (a row per answer; `record` is a struct of what was
        asked) and `outcomes`. It can read nothing else. Its files are those that were
        there when it was made; connect again to see newer ones.

    Raises
    ------
    ConfigError
        No log is kept, or the database's URL is malformed.
    LogStoreError
        The log cannot be read.
    """
    # A service imports this package, and no DuckDB.
    from skewless.monitoring.query import open_connection  # noqa: PLC0415

    return open_connection(work)
