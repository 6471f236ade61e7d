"""A folder of numbered files → its events, each read once, and the others' faults."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from skewless.core.errors import DamagedLogError
from skewless.core.plain_file import read_plain
from skewless.registry.events import LARGEST_EVENT, Event, parse_event

MOST_MISSING: Final = 1_000  # events that are named one by one
NUMBERED: Final = re.compile(r"[0-9]{8}\.json")


class EventLog:
    """The events of one folder; a service asks for all of them every few seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # By name, size and time of change.
        self._parsed: dict[tuple[str, int, int], Event] = {}

    def read(self) -> tuple[list[Event], list[str]]:
        """Return the events in their order, and what is wrong with the others."""
        folder = self._folder
        try:
            numbers = self._numbers()
        except OSError as error:
            why = (
                f"is no folder of events that can be read ({error.strerror}). "
                "Restore it from a backup"
            )
            return [], [f"{folder}: {why}"]
        last = max(numbers, default=0)
        if last > len(numbers) + MOST_MISSING:
            missing = last - len(numbers)
            why = f"{missing:,} events before {last} are missing. Is this a registry's?"
            return [], [f"{folder}: {why}"]
        events: list[Event] = []
        faults: list[str] = []
        # Not by what was listed: that is no picture of one moment.
        for number in range(1, last + 1):
            try:
                events.append(self._event(folder / f"{number:08}.json"))
            except FileNotFoundError:
                faults.append(
                    f"{folder}: event {number} is missing. Restore it from a backup"
                )
            except (DamagedLogError, OSError) as error:  # an OSError names the file
                faults.append(str(error))
        return events, faults

    def _numbers(self) -> list[int]:
        """List the numbers of the events.

        They are not found by a pattern, to which an unreadable folder is an empty one.
        """
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            if os.path.lexists(self._folder):  # a link that leads nowhere
                raise
            return []  # nothing was decided yet
        return [
            int(name.partition(".")[0]) for name in names if NUMBERED.fullmatch(name)
        ]

    def _event(self, path: Path) -> Event:
        found = path.lstat()
        key = path.name, found.st_size, found.st_mtime_ns
        if key not in self._parsed:
            try:
                data = read_plain(path, LARGEST_EVENT)
            except ValueError as error:
                msg = f"{path}: is no event: {error}. Restore it from a backup"
                raise DamagedLogError(msg) from error
            self._parsed[key] = parse_event(path.name, data, datetime.now(UTC))
        return self._parsed[key]
