"""A registry in an object store → a mirror that holds what was verified, and serves when the store is down.

Under the URL lie ``events/00000001.json`` and ``versions/<version>.zip``, each created once by a conditional
write: one object is there whole or not at all, which a folder of objects would not be.
"""

import contextlib
import logging
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from churn_service.atomic import create_file
from churn_service.errors import (
    ArtifactNotFoundError,
    ConfigError,
    SignatureError,
    StoreError,
)
from churn_service.events import Event
from churn_service.packaging import pack, sign_artifact, unpack, write_artifact
from churn_service.registry import EVENTS, NUMBERED, VERSION, Registry
from churn_service.sections import RegistryConfig
from churn_service.signing import SIGNATURE, PublicKey, SigningKey

CONDITIONAL: Final = frozenset({"s3"})  # stores that create an object exclusively, by test
LOG: Final = logging.getLogger(__name__)
CHUNK: Final = 2**20  # bytes
S3_OPTIONS: Final = {
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}  # seconds
}
IS_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://")

Show = Callable[[str], AbstractContextManager[Callable[[int], None]]]
"""Name of what takes long → a context in which to tell how many bytes were done."""


def _quietly(_: str) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


def open_registry(
    config: RegistryConfig, root: Path, *, public_key: PublicKey | None = None, show: Show = _quietly
) -> Registry:
    """Open the registry of the configuration: a folder, or by its URL an object store.

    Parameters
    ----------
    config, root
        The section of config.yaml, and the folder that its relative paths start from.
    public_key
        Whose signature a version must have, if any.
    show
        Shows a download's progress; default: nothing does.

    Raises
    ------
    ConfigError
        The URL names a store that nobody here knows.
    """
    if not IS_URL.match(config.path):
        return Registry(root / config.path, public_key)
    return RemoteRegistry(config.path, root / config.cache, public_key=public_key, show=show)


class RemoteRegistry(Registry):
    """A registry in an object store; `folder` is its mirror."""

    def __init__(self, url: str, mirror: Path, *, public_key: PublicKey | None, show: Show) -> None:
        super().__init__(mirror, public_key)
        self._url, self._show = url, show
        self._store, self._root = _open_store(url)

    def events(self) -> list[Event]:
        """Read the log, what is new in the store included; as far as it is known if the store is down.

        Raises
        ------
        StoreError
            The store is down, and nothing is known yet.
        """
        try:
            self._pull()
            self.stale = None
        except Exception as error:
            self.stale = f"{self._url} cannot be asked ({type(error).__name__})"
            LOG.warning("%s; going on with what the mirror knows", self.stale)
            if not (self.folder / EVENTS).is_dir():
                msg = f"{self.stale}, and {self.folder} knows nothing of it yet; try again when it is back"
                raise StoreError(msg) from error
        return super().events()

    def versions(self) -> list[str]:
        """Name the versions in the store and in the mirror."""
        there = {Path(name).stem for name in self._listed("versions")}
        return sorted({name for name in there if VERSION.fullmatch(name)} | set(super().versions()))

    def _create_event(self, name: str, data: bytes) -> None:
        self._create(f"{EVENTS}/{name}", data)
        with contextlib.suppress(Exception):  # it is recorded; the next look brings it into the mirror
            self._pull()

    def _put(self, version: str, files: Mapping[str, bytes], key: SigningKey | None) -> bool:
        with tempfile.TemporaryDirectory() as name:
            folder = write_artifact(Path(name), version, files)
            if key is not None:
                sign_artifact(folder, key)
            packed = pack(folder)
        try:
            self._create(f"versions/{version}.zip", packed)
        except FileExistsError:
            self.metadata(version)
        else:
            return False
        if key is not None and not (self.folder / version / SIGNATURE).exists():
            msg = f"{version}: is in the store unsigned, and what is there stays. Raise model.version, train"
            raise SignatureError(msg)
        return True

    def _create(self, name: str, data: bytes) -> None:
        """Create an object; of several writers one succeeds, and the others get FileExistsError."""
        if not CONDITIONAL & {self._store.protocol, *self._store.protocol}:
            msg = f"registry.path: {self._url} is only read, as two writers could overwrite each other; use s3://"
            raise ConfigError(msg)
        self._store.pipe_file(f"{self._root}/{name}", data, mode="create")

    def _pull(self) -> None:
        """Copy the events that the mirror lacks."""
        there = {Path(name).name for name in self._listed(EVENTS)}
        for name in sorted(name for name in there if NUMBERED.fullmatch(name)):
            path = self.folder / EVENTS / name
            if not path.exists():
                data = self._store.cat_file(f"{self._root}/{EVENTS}/{name}")
                with contextlib.suppress(FileExistsError):  # another process shares the mirror
                    create_file(path, data)

    def _listed(self, name: str) -> list[str]:
        try:
            return list(self._store.ls(f"{self._root}/{name}", detail=False, refresh=True))
        except FileNotFoundError:
            return []

    def _fetch(self, version: str) -> None:
        """Put a version into the mirror, verified; of several processes one downloads and the others wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f".{version}.lock"):
            if (self.folder / version).is_dir():
                return
            partial = self.folder / f".{version}.partial"
            self._download(version, partial)
            try:
                unpack(partial, self.folder, version)
            finally:
                partial.unlink()  # unpacked, or not worth going on with

    def _download(self, version: str, partial: Path) -> None:
        """Go on where an earlier download ended."""
        path = f"{self._root}/versions/{version}.zip"
        try:
            size = self._store.info(path)["size"]
            with partial.open("ab") as file, self._show(f"downloading {version}") as tell:
                tell(file.tell())
                while (done := file.tell()) < size:
                    tell(file.write(self._store.cat_file(path, start=done, end=min(done + CHUNK, size))))
        except FileNotFoundError as error:
            msg = f"{self._url} has no version {version}. `churn-service registry list` names them"
            raise ArtifactNotFoundError(msg) from error
        except Exception as error:  # stores raise what they like
            asked = f"{self._url} cannot be asked for {version} ({type(error).__name__})"
            msg = f"{asked}, and the mirror does not have it; try again when it is back"
            raise StoreError(msg) from error


def _open_store(url: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 - slow to import, and most registries are folders

    options = S3_OPTIONS if url.startswith("s3://") else {}
    try:
        store, root = fsspec.core.url_to_fs(url, **options)
    except (ValueError, ImportError) as error:
        msg = f"registry.path: {url} names a store that cannot be used ({error})"
        raise ConfigError(msg) from error
    return store, str(root)
