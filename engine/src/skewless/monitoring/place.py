"""Configuration and environment → where predictions and outcomes are kept.

It also says in which files they are.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from skewless.core.errors import ConfigError, LogStoreError
from skewless.core.settings import Settings
from skewless.core.url import Url
from skewless.core.workspace import Workspace

# What the name of a log's file begins with.
DAYS: Final = "20[0-9][0-9]-[01][0-9]-[0-3][0-9]"


COMPACT: Final = "compact"  # folder of days that are closed, in the log's
DAY: Final = timedelta(days=1)
MEMORY_MB: Final = 500


class Database(NamedTuple):
    """A database of PostgreSQL that keeps predictions and outcomes."""

    url: Url
    variable: str
    """Variable of the environment that holds the URL; errors name it."""


class Log(NamedTuple):
    """Where predictions and outcomes are kept."""

    folder: Path
    """`monitoring.prediction_log`."""
    database: Database | None = None
    """The setting `log_url`: PostgreSQL keeps them as well.

    The folder then takes what the database could not.
    """
    memory_mb: int = MEMORY_MB
    """`monitoring.memory_mb`: what reading may take, beside Python itself."""


class Window(NamedTuple):
    """Which predictions to read; None is without an end, or any version."""

    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    version: str | None = None

    def holds(self, day: date) -> bool:
        """Tell whether predictions of a day (UTC) may lie in it."""
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        is_late_enough = self.since is None or self.since - begin < DAY
        is_early_enough = self.until is None or begin < self.until
        return is_late_enough and is_early_enough


EVERY: Final = Window()


class Stored(NamedTuple):
    """Files of lines with what a database holds."""

    predictions: str
    outcomes: str


def find_database(settings: Settings) -> Database | None:
    """Say which database keeps the log; None if none does."""
    return (
        None
        if settings.log_url is None
        else Database(settings.log_url, settings.variable("log_url"))
    )


def find_log(work: Workspace) -> Log | None:
    """Say where the log is kept; None if nowhere."""
    folder = work.config.monitoring.prediction_log
    return (
        None
        if folder is None
        else Log(
            work.root / folder,
            find_database(work.settings),
            work.config.monitoring.memory_mb,
        )
    )


def open_log(work: Workspace) -> Log:
    """Say where the log is kept.

    Raises
    ------
    ConfigError
        Nowhere.
    """
    log = find_log(work)
    if log is None:
        msg = (
            "monitoring.prediction_log: found null, so no prediction is kept; "
            "name a folder and serve"
        )
        raise ConfigError(msg)
    return log


def day_files(
    folder: Path, pattern: str = f"{DAYS}.*.jsonl"
) -> Iterator[tuple[date, Path]]:
    """List the files of a log, each with its day (UTC).

    Anything else that has such a name is not the log's.

    Raises
    ------
    LogStoreError
        The folder is there and cannot be read, so nobody knows whether it is empty.
    """
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        msg = (
            f"{folder} cannot be read, so nobody knows what was logged. "
            "Let the user who asks read it"
        )
        raise LogStoreError(msg)
    for path in sorted(folder.glob(pattern)):
        with suppress(ValueError):
            day = date.fromisoformat(path.name[:10])
            if path.is_file():
                yield day, path


def read_lines(folder: Path) -> Iterator[bytes]:
    """Read the lines of all days' files, the oldest day first."""
    for _, path in day_files(folder):
        with path.open("rb") as file:
            yield from file
