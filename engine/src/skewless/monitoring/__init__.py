"""What was answered and what became of it: prediction log, drift, outcomes, reports."""

from typing import TYPE_CHECKING

from skewless.core.workspace import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["connect"]


def connect(work: Workspace) -> "DuckDBPyConnection":
    """Connect to a project's log, as SQL sees it: see `query.connect`."""
    # A service imports this package, and no DuckDB.
    from skewless.monitoring import query  # noqa: PLC0415

    return query.connect(work)
