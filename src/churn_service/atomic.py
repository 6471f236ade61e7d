"""A path → a table's file that appears whole or not at all."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_service.errors import TableError

SUFFIXES = (".csv", ".parquet")


def check_suffix(path: Path) -> None:
    """Refuse a file that is neither CSV nor Parquet by its name.

    Raises
    ------
    TableError
        Names what is allowed.
    """
    if path.suffix not in SUFFIXES:
        msg = f"{path}: its name ends in {path.suffix!r}; allowed are {' and '.join(SUFFIXES)}"
        raise TableError(msg)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path to write a table to; at the end it becomes `path`, unless anything failed.

    If the block removes the unfinished file, there is no `path` afterwards.

    Raises
    ------
    TableError
        The name does not end in .csv or .parquet.
    """
    check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    unfinished.touch()
    try:
        yield unfinished
        if unfinished.exists():
            unfinished.replace(path)
        else:
            path.unlink(missing_ok=True)  # nothing to say this time, so nothing of last time either
    finally:
        unfinished.unlink(missing_ok=True)
