"""A registry in an object store → a mirror of what was verified.

The mirror serves when the store is down.

Under the URL lie ``events/00000001.json`` and ``versions/<version>.zip``, each created
once by a conditional write: one object is there whole or not at all, which a folder of
objects would not be.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock

from skewless.core.atomic import naming, replace_file
from skewless.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    ConfigError,
    DamagedLogError,
    SignatureError,
    StoreError,
    TamperedArtifactError,
)
from skewless.core.sections import RegistryConfig
from skewless.core.url import Url
from skewless.models.archive import LARGEST_ARCHIVE
from skewless.models.artifact import Artifact, is_whole, sha256
from skewless.models.metadata import VERSION
from skewless.models.packaging import (
    UNFINISHED,
    pack,
    place,
    sign_artifact,
    unpack,
    write_artifact,
)
from skewless.models.signing import SIGNATURE, PublicKey, SigningKey
from skewless.registry.event_log import NUMBERED
from skewless.registry.events import LARGEST_EVENT, parse_event
from skewless.registry.registry import EVENTS, Registry
from skewless.registry.store import Found, Store

LOG: Final = logging.getLogger(__name__)

Show = Callable[[str], AbstractContextManager[Callable[[int], None]]]
"""Name of what takes long → a context in which to tell how many bytes were done."""


def _quietly(_: str) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


def open_registry(
    config: RegistryConfig,
    root: Path,
    *,
    public_key: PublicKey | None = None,
    show: Show = _quietly,
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
        The URL is malformed, or names a store that nobody here knows; or nobody has the
        path's home folder.
    """
    if not config.path.is_url:
        return Registry(root / _at_home(config.path), public_key)
    # One for each URL, whatever the password.
    named = config.path.without_user().rstrip("/")
    mirror = root / config.cache / sha256(named.encode())[:8]
    return RemoteRegistry(config.path, mirror, public_key=public_key, show=show)


def _at_home(path: Url) -> Path:
    try:
        return Path(path.get_secret_value()).expanduser()
    except RuntimeError as error:
        msg = (
            f"registry.path: {path}: no home folder of that user is known. "
            "Write the path without ~"
        )
        raise ConfigError(msg) from error


class RemoteRegistry(Registry):
    """A registry in an object store; `folder` is its mirror."""

    def __init__(
        self, url: Url, mirror: Path, *, public_key: PublicKey | None, show: Show
    ) -> None:
        super().__init__(mirror, public_key)
        self._store = Store(url)
        self._show = show
        self._refused: dict[str, tuple[Found, ArtifactError]] = {}

    def _refresh(self) -> None:
        """Bring what is new in the store.

        If the store is down, what is known has to do, if anything is.
        """
        try:
            self._pull()
            self.stale = None
        except StoreError as error:
            self._go_on_without(error)
            if not (self.folder / EVENTS).is_dir():
                raise

    def _read(self, version: str) -> Artifact:
        """Read a version, bringing it again if the mirror's is damaged."""
        try:
            return super()._read(version)
        except TamperedArtifactError:
            if not (self.folder / version).is_dir():
                raise  # the store's own is
            LOG.warning("the mirror of %s is damaged; bringing it again", version)
            self._fetch(version)
            return super()._read(version)

    def versions(self) -> list[str]:
        """Name the versions in the store and in the mirror.

        If the store is down, they are those in the mirror alone.
        """
        there = set(super().versions())
        try:
            there |= {Path(name).stem for name in self._store.names("versions")}
        except StoreError as error:
            self._go_on_without(error)
        return sorted(name for name in there if VERSION.fullmatch(name))

    def sign(
        self,
        version: str,
        key: SigningKey,  # noqa: ARG002 - no key changes what is written
    ) -> None:
        """Refuse with a ConfigError: what is in the store stays as it is."""
        msg = (
            f"{version} is in {self._store.url}, where nothing is changed. "
            "A version is signed when it is trained: "
            "set the signing key, raise model.version, train"
        )
        raise ConfigError(msg)

    def _go_on_without(self, error: StoreError) -> None:
        self.stale = str(error)
        LOG.warning("%s Going on with what the mirror knows", self.stale)

    def _create_event(self, name: str, data: bytes) -> None:
        self._store.create(f"{EVENTS}/{name}", data)
        self._store.check_exclusive(f"{EVENTS}/{name}", data)
        # It is recorded; the next look brings it into the mirror.
        with contextlib.suppress(StoreError):
            self._pull()

    def _put(
        self, version: str, files: Mapping[str, bytes], key: SigningKey | None
    ) -> bool:
        with tempfile.TemporaryDirectory() as name:
            folder = write_artifact(Path(name), version, files)
            if key is not None:
                sign_artifact(folder, key)
            packed = pack(folder)
        try:
            self._store.create(f"versions/{version}.zip", packed)
        except FileExistsError:
            self.load(version)
        else:
            return False
        if key is not None:
            if not (self.folder / version / SIGNATURE).exists():
                self.sign(version, key)
            sign_artifact(self.folder / version, key)  # is it by this key?
        return True

    def _pull(self) -> None:
        """Copy the events that the mirror lacks or cannot read, all or none."""
        folder = self.folder / EVENTS
        known = {
            path.name for path in folder.glob("*.json") if NUMBERED.fullmatch(path.name)
        }
        there = {name for name in self._store.names(EVENTS) if NUMBERED.fullmatch(name)}
        if known - there:
            msg = (
                f"{self._store.url} lists fewer events than it had. "
                "Is it the same store?"
            )
            raise StoreError(msg)
        readable = {f"{event.number:08}.json" for event in self._log.read()[0]}
        names = sorted(there - readable)
        new = {
            name: self._store.read_whole(f"{EVENTS}/{name}", LARGEST_EVENT)
            for name in names
        }
        now = datetime.now(UTC)
        try:
            for name, data in new.items():
                # What an error page says must not stay in the mirror for ever.
                parse_event(name, data, now)
        except DamagedLogError as error:
            msg = f"{self._store.url}: {error}"
            raise StoreError(msg) from error
        for name, data in new.items():
            # This replaces what is damaged there, or by now another process's copy.
            replace_file(folder / name, data)

    def _fetch(self, version: str) -> None:
        """Put a version into the mirror, verified.

        Of several processes one downloads and the others wait.
        """
        try:
            found = self._store.find(f"versions/{version}.zip")
            refused, why = self._refused.get(version, (None, None))
            if why is not None and refused == found:
                raise why.with_traceback(None)  # large, and wrong as before
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{version}.lock"):
                if not is_whole(self.folder / version):
                    self._bring(version, found)
        except FileNotFoundError as error:
            msg = f"{self._store.url}: no {version}. `registry list` names them"
            raise ArtifactNotFoundError(msg) from error
        except StoreError as error:
            msg = (
                f"{error} The mirror does not have {version} either; "
                "try again when it is back"
            )
            raise StoreError(msg) from error

    def _bring(self, version: str, found: Found) -> None:
        """Download a version, verify it and give it its place.

        What an earlier download left is believed once.
        """
        partial = self.folder / f".{version}.partial"
        began_before = partial.exists()
        try:
            with naming(self.folder / version):
                self._download(version, partial, found)
                self._unpack(version, partial)
            partial.unlink()
        except (TamperedArtifactError, SignatureError) as error:
            partial.unlink(missing_ok=True)
            if not began_before:
                named = type(error)(f"{self._store.url}: {error}")
                self._refused[version] = found, named
                raise named from error
            self._bring(version, found)

    def _download(self, version: str, partial: Path, found: Found) -> None:
        if found.size > LARGEST_ARCHIVE:
            msg = (
                f"{version}: takes {found.size:,} bytes; "
                f"a version has at most {LARGEST_ARCHIVE:,}"
            )
            raise TamperedArtifactError(msg)
        with self._show(f"downloading {version}") as tell:
            self._store.download(
                f"versions/{version}.zip", partial, found.size, tell=tell
            )

    def _unpack(self, version: str, partial: Path) -> None:
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=self.folder) as name:
            unpack(partial, Path(name) / version, self.public_key)
            if os.path.lexists(self.folder / version):
                (self.folder / version).rename(Path(name) / "damaged")
            place(Path(name) / version, self.folder / version)
