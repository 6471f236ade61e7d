"""A path → a file that appears whole or not at all."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from skewless.core.errors import TableError
from skewless.core.formats import WRITTEN

NO_ROOM: Final = frozenset(
    {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
)
"""The system's errors for a full disk, a file too large, and a user's share used up."""


def check_suffix(path: Path) -> None:
    """Refuse to write a file that is neither CSV nor Parquet by its name.

    Raises
    ------
    TableError
        Names what is allowed.
    """
    if path.suffix not in WRITTEN:
        msg = (
            f"{path}: its name ends in {path.suffix!r}; "
            f"allowed are {' and '.join(WRITTEN)}"
        )
        raise TableError(msg)


def create_file(path: Path, data: bytes, *, beside: Path | None = None) -> None:
    """Create a file with its content; both are on disk when this returns.

    Of several writers one succeeds. A crash leaves either no file of that name or all
    of it: the content is flushed under another name, which is then linked. Opening with
    ``x`` would leave a torn file.

    Parameters
    ----------
    path
        The file.
    data
        Its content.
    beside
        Where the other name is, on the same disk; default: beside `path`.

    Raises
    ------
    FileExistsError
        The file was there, or somebody else created it first.
    """
    with _unfinished(path, beside or path, data) as unfinished:
        os.link(unfinished, path)
        flush_folder(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Put a file with its content in the place of what was there.

    A crash leaves one of the two, and that whole.
    """
    with _unfinished(path, path, data) as unfinished:
        unfinished.replace(path)
        flush_folder(path.parent)


@contextmanager
def _unfinished(
    path: Path, beside: Path, data: bytes = b"", *, suffix: str = ""
) -> Iterator[Path]:
    """Flush content under a name that is gone at the end.

    An error names the file that was asked for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = beside.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        with naming(path, unfinished):
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, unfinished: Path | None = None) -> Iterator[None]:
    """Name the file that was asked for in an error about the unfinished one.

    Name it also in an error of a disk without room: the system names no file where a
    write fails.
    """
    try:
        yield
    except OSError as error:
        without_room = error.filename is None and error.errno in NO_ROOM
        about_it = unfinished is not None and str(error.filename) == str(unfinished)
        if without_room or about_it:
            number = error.errno or errno.EIO
            raise OSError(number, os.strerror(number), str(path)) from None
        raise


def flush_folder(folder: Path) -> None:
    """Put a folder's names on disk."""
    if os.name == "posix":  # Windows cannot open a folder, and flushes its own
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path to write a table to, which becomes `path` at the end.

    It does not if anything failed. If the block removes the unfinished file, there is
    no `path` afterwards.

    Raises
    ------
    TableError
        The name does not end in .csv or .parquet.
    """
    check_suffix(path)
    with _unfinished(path, path, suffix=path.suffix) as unfinished:
        yield unfinished
        if unfinished.exists():
            unfinished.replace(path)
        else:
            # nothing to say this time, so nothing of last time either
            path.unlink(missing_ok=True)
