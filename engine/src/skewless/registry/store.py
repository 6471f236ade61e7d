"""URL → an object store: objects that are created once, listed and read in parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from skewless.core.errors import ConfigError, StoreError
from skewless.core.url import Url

# Stores that create an object exclusively, by test.
CONDITIONAL: Final = frozenset({"s3"})
# Seconds; a store that hangs must not hold up a service's end for long.
S3_OPTIONS: Final = {
    "config_kwargs": {
        "connect_timeout": 5,
        "read_timeout": 10,
        "retries": {"total_max_attempts": 2},
    }
}
CHUNK: Final = 2**20  # bytes


class Found(NamedTuple):
    """An object as it is now."""

    size: int
    """Bytes."""
    tag: str
    """Another if it was written again."""


def open_files(url: Url) -> tuple[Any, str]:
    """Return the file system that a URL or path names, and the place in it.

    Raises
    ------
    ConfigError
        Nobody here knows such a store, or the URL is malformed.
    """
    import fsspec  # noqa: PLC0415 - slow to import, and most registries are folders

    try:
        text = url.get_secret_value()
        options = S3_OPTIONS if text.startswith("s3://") else {}
        files, root = fsspec.core.url_to_fs(text, **options)
    except (ValueError, ImportError) as error:
        why = type(error).__name__ if url.shows_secret(str(error)) else error
        msg = f"{url} names a store that cannot be used ({why})"
        raise ConfigError(msg) from error
    return files, str(root)


class Store:
    """The objects under a URL.

    Raises
    ------
    ConfigError
        The URL names a store that nobody here knows.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        self._files, self._root = open_files(url)
        self._files.retries = 1  # s3fs's own, around those of S3_OPTIONS
        self._is_exclusive = False  # until that was tried

    def create(self, name: str, data: bytes) -> None:
        """Create an object; of several writers one succeeds.

        Raises
        ------
        FileExistsError
            It is there already.
        ConfigError
            The store cannot create exclusively.
        StoreError
            It failed; whether the object is there now is not known.
        """
        # fsspec names one protocol as text, or several in a tuple.
        if not CONDITIONAL & {self._files.protocol, *self._files.protocol}:
            msg = (
                f"registry.path: {self.url} is only read, "
                "as two writers could overwrite each other; use s3://"
            )
            raise ConfigError(msg)
        try:
            self._files.pipe_file(f"{self._root}/{name}", data, mode="create")
        except FileExistsError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def check_exclusive(self, name: str, data: bytes) -> None:
        """Create an object again right after its creation, which must fail.

        This is done once in a process. Some servers that speak S3's protocol ignore the
        condition of a write, and say nothing.

        Raises
        ------
        ConfigError
            The store wrote it again, so of two writers both could win.
        """
        if self._is_exclusive:
            return
        try:
            self.create(name, data)
        except FileExistsError:
            self._is_exclusive = True
        except StoreError:
            return  # nothing is known; the next event tries again
        else:
            msg = (
                f"registry.path: {self.url} overwrites objects that it must not "
                "(If-None-Match), so two writers could overwrite each other. "
                f"{name} was written. Use a store that heeds it"
            )
            raise ConfigError(msg)

    def names(self, folder: str) -> list[str]:
        """List the objects of a folder by name; none if there is no such folder.

        Raises
        ------
        StoreError
            The store cannot be asked, or has no place of that URL.
        """
        try:
            found = self._files.ls(f"{self._root}/{folder}", detail=False, refresh=True)
        except FileNotFoundError as error:
            # Then the store itself said no: there is no such bucket.
            if error.__cause__ is not None:
                raise self._failed(error) from error
            return []
        except Exception as error:
            raise self._failed(error) from error
        return [str(path).rpartition("/")[2] for path in found]

    def find(self, name: str) -> Found:
        """Describe an object; FileNotFoundError or StoreError if it cannot be had."""
        info = self._ask("info", name, refresh=True)
        tag = info.get("ETag") or info.get("LastModified")
        return Found(int(info["size"]), str(tag))

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Read an object or a part of it.

        It raises FileNotFoundError or StoreError if that cannot be had.
        """
        data = bytes(self._ask("cat_file", name, start=start, end=end))
        if not data or (end is not None and len(data) != end - start):
            msg = (
                f"{self.url} answered for {name} with {len(data)} bytes, "
                "which is not what was asked for. Is it up?"
            )
            raise StoreError(msg)
        return data

    def read_whole(self, name: str, most: int) -> bytes:
        """Read an object that may hold at most so many bytes.

        Raises
        ------
        StoreError
            It is larger, or empty, or cannot be had.
        """
        try:
            size = self.find(name).size
            if 0 < size <= most:
                return self.read(name, 0, size)
            why = (
                f"holds {size:,} bytes; 1 to {most:,} are allowed. "
                "Restore it from a backup"
            )
        except FileNotFoundError:
            why = "was listed a moment ago and is not there. Try again"
        msg = f"{self.url}/{name}: {why}"
        raise StoreError(msg)

    def download(
        self, name: str, partial: Path, size: int, *, tell: Callable[[int], None]
    ) -> None:
        """Read an object into a file, going on where an earlier download ended.

        `tell` is told the bytes of each part.
        """
        with partial.open("ab") as file:
            done = file.tell()
            tell(done)
            while done < size:
                part = self.read(name, done, min(done + CHUNK, size))
                file.write(part)
                tell(len(part))
                done += len(part)

    def _ask(self, method: str, name: str, **options: Any) -> Any:
        try:
            return getattr(self._files, method)(f"{self._root}/{name}", **options)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> StoreError:
        """Name the kind of error alone, as stores raise what they like, pages long."""
        kind = type(error).__name__
        return StoreError(
            f"{self.url} cannot be asked ({kind}). Is it up, and is the URL right?"
        )
