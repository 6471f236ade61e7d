"""List the files at a path or URL, bring them to this machine, or take them there.

A file is taken there whole.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from fsspec.implementations.local import LocalFileSystem

from skewless.core.atomic import NO_ROOM, naming
from skewless.core.errors import SkewlessError, StoreError, TableError
from skewless.core.formats import READABLE, format_of
from skewless.core.url import Url
from skewless.registry.store import open_files

MAGIC: Final = re.compile(r"[*?\[]")  # what makes a pattern of a path
SET_ASIDE: Final = ("_", ".")  # names of what engines write beside their parts begin so
MOST_NAMED: Final = 10  # files that an error names


class Source(NamedTuple):
    """A file to read."""

    url: Url
    name: str
    """Its path below the folder, or below what is before the pattern."""
    tag: str
    """Another if the file was written again."""


class Listing(NamedTuple):
    """What there is to read in a folder."""

    sources: list[Source]
    left_out: list[str]
    """Paths below the folder whose names say that they are not data.

    Such names are `_SUCCESS` and ``.DS_Store``.
    """


def find_sources(url: Url, only: Sequence[str] = ()) -> Listing | None:
    """List the tables of a folder and of the folders in it, or of a pattern.

    For a single file the answer is None.

    Parameters
    ----------
    url
        The folder or pattern.
    only
        Patterns of the names, or of the ends of the paths, of the files that count;
        default: all do.

    Raises
    ------
    TableError
        There is nothing of that name, or no table in it, or something that cannot be
        read as one.
    ConfigError, StoreError
        Nobody here knows such a place, or it cannot be asked.
    """
    files, path = open_files(url)
    pattern = MAGIC.search(path)
    with _asking(url):
        if files.isfile(path) or not (pattern or files.isdir(path)):
            return None
        if pattern:
            found = files.glob(path, detail=True)
        else:
            found = files.find(path, detail=True)
        found = {
            each: info for each, info in found.items() if info["type"] != "directory"
        }
        links = [
            each
            for each, info in found.items()
            if info.get("islink") and files.exists(each)
        ]
        found |= {each: files.info(each) for each in links}  # of what they lead to
    names = {each: each.removeprefix(_base(path)).lstrip("/") for each in sorted(found)}
    left_out = [name for name in names.values() if _is_set_aside(name)]
    chosen = {
        each: name
        for each, name in names.items()
        if not _is_set_aside(name) and _counts(name, only)
    }
    others = [name for each, name in chosen.items() if not _is_table(name, found[each])]
    _refuse_others(url, others)
    if not chosen:
        wanted = f" that fits {' or '.join(only)}" if only else ""
        msg = f"{url}: no file there{wanted}. Read are {READABLE}"
        raise TableError(msg)
    sources = [
        Source(Url(files.unstrip_protocol(each)), name, _tag(found[each]))
        for each, name in chosen.items()
    ]
    return Listing(sources, left_out)


def is_below(out: Url, source: Url) -> bool:
    """Tell whether a folder or pattern would also find what is written below `out`."""
    files, path = open_files(source)
    other, place = open_files(out)
    base = Path(_base(path) or "/").resolve().parts
    deep = "**" in path or not MAGIC.search(path)
    # Links and all, lest --overwrite write over a source.
    parts = Path(place).resolve().parts
    if deep:
        parts = parts[: len(base)]
    return type(files) is type(other) and parts == base


def find_source(url: Url) -> Source:
    """Describe one file.

    Raises
    ------
    TableError
        There is no such file.
    """
    files, path = open_files(url)
    with _asking(url):
        tag = _tag(files.info(path))
    return Source(Url(files.unstrip_protocol(path)), PurePosixPath(path).name, tag)


def is_there(url: Url) -> bool:
    """Tell whether there is something of that name."""
    files, path = open_files(url)
    with _asking(url):
        return bool(files.exists(path))


def names_below(url: Url) -> set[str]:
    """List the files below a folder by their path there; none if it does not exist."""
    files, path = open_files(url)
    with _asking(url):
        return {
            name.removeprefix(path.rstrip("/")).lstrip("/") for name in files.find(path)
        }


@contextmanager
def opened(url: Url) -> Iterator[Any]:
    """Open a file to read parts of it."""
    files, path = open_files(url)
    with _asking(url), files.open(path, "rb") as file:
        yield file


@contextmanager
def brought(url: Url) -> Iterator[Path]:
    """Give a file of this machine with a file's content.

    It is the file itself, or a copy for the while.
    """
    files, path = open_files(url)
    if isinstance(files, LocalFileSystem):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, PurePosixPath(path).name)
        with naming(copy), _asking(url):
            files.get_file(path, str(copy))
        yield copy


@contextmanager
def delivered(url: Url, other: str) -> Iterator[Path]:
    """Give a path to write to, whose file is taken to its place at the end.

    If anything failed, it is not taken there.

    Parameters
    ----------
    url
        Its place.
    other
        Name of a file that may be beside it, and goes before it; last time's is not
        left.
    """
    files, path = open_files(url)
    if isinstance(files, LocalFileSystem):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        yield Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, PurePosixPath(path).name)
        yield made
        with _asking(url):
            for name in (other, made.name):
                there = str(PurePosixPath(path).with_name(name))
                if made.with_name(name).exists():
                    files.put_file(str(made.with_name(name)), there)
                elif files.exists(there):
                    files.rm_file(there)


def _base(path: str) -> str:
    """Return the folder that all files of a folder or pattern are in."""
    pattern = MAGIC.search(path)
    return path[: pattern.start()].rpartition("/")[0] if pattern else path.rstrip("/")


def _is_set_aside(name: str) -> bool:
    return any(part.startswith(SET_ASIDE) for part in PurePosixPath(name).parts)


def _counts(name: str, only: Sequence[str]) -> bool:
    return not only or any(PurePosixPath(name).match(pattern) for pattern in only)


def _is_table(name: str, info: Mapping[str, Any]) -> bool:
    """Tell a table by its name; a linked folder or a pipe is none.

    A link that leads nowhere fails when it is read.
    """
    is_file = info["type"] == "file" or "destination" in info
    return format_of(name) is not None and is_file and info["type"] != "directory"


def _refuse_others(url: Url, names: Sequence[str]) -> None:
    if not names:
        return
    named = ", ".join(names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    msg = (
        f"{url}: {named}{more} cannot be read as a table, so nothing was scored. "
        f"Read are files that end in {READABLE}; linked folders are not followed. "
        "Move the rest away, or choose with --only '*.csv'"
    )
    raise TableError(msg)


def _tag(info: Mapping[str, Any]) -> str:
    written = info.get("ETag") or info.get("mtime") or info.get("LastModified")
    return f"{info['size']} bytes, {written}"


@contextmanager
def _asking(url: Url) -> Iterator[None]:
    """Name the kind of error alone, as stores raise what they like, pages long."""
    try:
        yield
    except SkewlessError:
        raise
    except FileNotFoundError as error:
        msg = f"{url}: no such file"
        raise TableError(msg) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise  # for this machine has none
        msg = (
            f"{url} cannot be asked ({type(error).__name__}). "
            "Is it up, and is the URL right?"
        )
        raise StoreError(msg) from error
