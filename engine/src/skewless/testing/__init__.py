"""What a project's tests build on.

That is records by its contract, a trained project, its commands and a client.
"""

from skewless.core.arrays import as_columns, as_scalars
from skewless.core.workspace import open_workspace
from skewless.testing.client import connect
from skewless.testing.projects import Done, make_project, run_command
from skewless.testing.strategies import ids, payloads, records, values

__all__ = [
    "Done",
    "as_columns",
    "as_scalars",
    "connect",
    "ids",
    "make_project",
    "open_workspace",
    "payloads",
    "records",
    "run_command",
    "values",
]
