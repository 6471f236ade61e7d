"""Path → the bytes of a plain file, at most as many as promised.

They are never those of a link, a pipe or a device.
"""

import os
import stat
from pathlib import Path
from typing import Final

READING: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)  # Windows has neither of these two
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for somebody to write
    | getattr(os, "O_BINARY", 0)  # Windows alone would change line ends
)
KINDS: Final = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
}


def read_plain(path: Path, most: int) -> bytes:
    """Read a whole file that may be anything by now, and wait for nobody.

    Parameters
    ----------
    path
        The file.
    most
        Bytes that it may hold.

    Raises
    ------
    ValueError
        It is no plain file, or holds more; the message says which, without the path.
    OSError
        It is not there or cannot be read.
    """
    _check(path.lstat(), most)
    with open(path, "rb", opener=lambda name, _: os.open(name, READING)) as file:
        # somebody may have put another thing there meanwhile
        _check(os.fstat(file.fileno()), most)
        data = file.read(most + 1)
    if len(data) > most:
        msg = f"it grew beyond {most:,} bytes while it was read"
        raise ValueError(msg)
    return data


def _check(found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "a device or a socket")
        msg = f"it must be a plain file, and is {kind}"
        raise ValueError(msg)
    if found.st_size > most:
        msg = f"it holds {found.st_size:,} bytes; at most {most:,} are allowed"
        raise ValueError(msg)
