"""The folder of model versions, and the log of what was decided about them.

Events are numbered files, each created once and never changed. Of many writers exactly
one gets a number, so what is true now is what the events add up to, and there is no
state that could be torn or forgotten.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from skewless.core.atomic import create_file
from skewless.core.checkout import Checkout
from skewless.core.errors import (
    ArtifactNotFoundError,
    DamagedLogError,
    VersionExistsError,
)
from skewless.models.artifact import Artifact, read_artifact
from skewless.models.metadata import VERSION
from skewless.models.packaging import sign_artifact, write_artifact
from skewless.models.signing import PublicKey, SigningKey
from skewless.registry.event_log import EventLog
from skewless.registry.events import (
    ALIASES,
    Decided,
    Event,
    State,
    fold,
    refuse_rival,
    write_event,
)

NEWEST: Final = "newest"
EVENTS: Final = "events"


class Registry:
    """A folder of versions, where they are once they were found, and their events.

    Where there is a public key, a version must have its owner's signature. `stale` says
    why the events may not be the latest; None if they are.
    """

    def __init__(self, folder: Path, public_key: PublicKey | None = None) -> None:
        self.folder = folder
        self.public_key = public_key
        self.stale: str | None = None
        self._log = EventLog(folder / EVENTS)

    def versions(self) -> list[str]:
        """Name the versions that are there, in alphabetical order.

        There are none if the folder is absent.
        """
        if not self.folder.is_dir():
            return []
        return sorted(
            entry.name
            for entry in self.folder.iterdir()
            if VERSION.fullmatch(entry.name)
        )

    def events(self) -> list[Event]:
        """Read the log, oldest event first.

        Raises
        ------
        DamagedLogError
            An event is missing, not what was written, or does not fit those before it.
        """
        events, faults = self.readable_events()
        if faults:
            raise DamagedLogError(*faults)
        return events

    def readable_events(self) -> tuple[list[Event], list[str]]:
        """Read the events that can be read, and say what is wrong with the log."""
        self._refresh()
        events, faults = self._log.read()
        # With a fault, an event may only seem not to fit, because one before it cannot
        # be read.
        if not faults:
            try:
                fold(events)
            except DamagedLogError as error:
                faults = [str(error)]
        return events, faults

    def state(self) -> State:
        """Tell what is true now."""
        return fold(self.events())

    def record(self, decided: Decided, seen: Sequence[Event]) -> Event:
        """Append an event, unless the alias changed hands since the writer looked.

        Raises
        ------
        ConflictError
            Somebody else was first; nothing was recorded.
        ConfigError
            The event would be larger than anybody reads; nothing was recorded.
        """
        known = list(seen)
        while True:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            event = Event(
                number=len(known) + 1,
                time=now,
                id=secrets.token_hex(8),
                **decided.model_dump(),
            )
            try:
                self._create_event(f"{event.number:08}.json", write_event(event))
            except FileExistsError:
                meanwhile = self.events()[len(known) :]
                # It is ours if the first attempt's answer was lost.
                if event.id in {each.id for each in meanwhile}:
                    return event
                if not meanwhile:
                    msg = (
                        f"event {event.number} is there, unreadable; "
                        f"nothing was recorded. {self.stale}"
                    )
                    raise DamagedLogError(msg) from None
                refuse_rival(decided, meanwhile)
                known += meanwhile
            else:
                return event

    def write(
        self,
        version: str,
        files: Mapping[str, bytes],
        *,
        who: str,
        checkout: Checkout,
        key: SigningKey | None = None,
    ) -> bool:
        """Write a version if it is not there, and register it as the newest.

        The answer is whether it was there. With a key it is signed before it is
        registered, so nobody finds a newest version without a signature.

        Raises
        ------
        TamperedArtifactError
            It was there, and is damaged.
        SignatureError
            It was there, signed by another key.
        """
        already_there = self._put(version, files, key)
        events = self.events()
        if fold(events).newest != version:
            registered = Decided(
                kind="register", version=version, who=who, checkout=checkout
            )
            self.record(registered, events)
        return already_there

    def sign(self, version: str, key: SigningKey) -> None:
        """Verify a version and sign it.

        Raises
        ------
        ArtifactError
            That cannot be, or another key has signed it.
        """
        sign_artifact(self.folder / version, key)

    def load(self, name: str | None = None) -> Artifact:
        """Read a version or what an alias stands for, verified.

        By default it is production's, else the newest.

        Raises
        ------
        ArtifactError
            There is no version (of that name), or it is not what was written.
        """
        version = self.resolve(name)
        if not VERSION.fullmatch(version):
            msg = (
                f"{version!r} is no version; one looks like 0.1.0-1a2b3c4d, "
                "and `registry list` names them"
            )
            raise ArtifactNotFoundError(msg)
        return self._read(version)

    def resolve(self, name: str | None = None) -> str:
        """Name the version that a version or an alias stands for.

        By default it is production's, else the newest.

        Raises
        ------
        ArtifactNotFoundError
            There is no version yet, or nothing holds the alias.
        """
        if name is not None and name not in {NEWEST, *ALIASES}:
            return name
        state = self.state()
        holders: dict[str, str | None] = {
            alias: state.holder(alias) for alias in ALIASES
        }
        holders[NEWEST] = state.newest
        if name is None:
            version = holders["production"] or state.newest
        else:
            version = holders[name]
        if version is None and (name is None or name == NEWEST):
            msg = f"{self.folder}: no model version yet. Make one with `train`"
            raise ArtifactNotFoundError(msg)
        if version is None:
            msg = f"nothing is in {name}: `registry promote VERSION --to {name}`"
            raise ArtifactNotFoundError(msg)
        return version

    def _read(self, version: str) -> Artifact:
        if not (self.folder / version).is_dir():
            self._fetch(version)
        return read_artifact(self.folder / version, self.public_key)

    def _refresh(self) -> None:
        """Bring events that are not in the folder; here they are nowhere else."""

    def _create_event(self, name: str, data: bytes) -> None:
        create_file(self.folder / EVENTS / name, data)

    def _put(
        self, version: str, files: Mapping[str, bytes], key: SigningKey | None
    ) -> bool:
        """Write and sign a version, or verify and sign the one that is there.

        The answer is whether it was there.
        """
        try:
            write_artifact(self.folder, version, files)
            already_there = False
        except VersionExistsError:
            self.load(version)
            already_there = True
        if key is not None:
            self.sign(version, key)
        return already_there

    def _fetch(self, version: str) -> None:
        """Bring a version that is not in the folder; here it is nowhere else."""
