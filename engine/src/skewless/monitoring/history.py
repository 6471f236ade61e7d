"""The prediction log, files and database → tables of bounded size.

The files may have been left in any state.
"""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from glob import escape
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from skewless.core.errors import LogStoreError
from skewless.monitoring.blocks import KNOWN, blocks, read_block
from skewless.monitoring.line_log import SHADOW
from skewless.monitoring.place import DAYS, Log, day_files, read_lines
from skewless.monitoring.postgres_entries import Entries, Window, open_entries

ANSWERED: Final = ("probability", "decision")
COMPACT: Final = "compact"  # folder of days that are closed, in the log's
# In the name of a file that no process appends to; it is compacted under that name.
CLOSED: Final = ".closed-"
ROWS: Final = 50_000  # of Parquet at a time
DAY: Final = timedelta(days=1)

Frames = Iterator[tuple[pd.DataFrame, int]]
"""Flat tables, and how many lines beside each were not whole."""


class History(NamedTuple):
    """What was asked and answered.

    The same row of both tables is the same prediction.
    """

    answers: pd.DataFrame
    """time (UTC), request_id, source, threshold, latency_ms, the answer's fields."""
    records: pd.DataFrame
    """The columns of the record, as far as privacy let them be kept."""
    unreadable: int
    """Lines that a crash or a full disk cut short."""


def read_predictions(
    log: Log,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    version: str | None = None,
    prediction: str | None = None,
) -> Iterator[History]:
    """Read the log of all processes, the newest day (UTC) first.

    Parameters
    ----------
    log
        Where it is kept. A prediction that is in both places comes once.
    since, until
        From this moment on, and before this one; default: all.
    version
        Which version's answers; default: all.
    prediction
        The id of the only one to read; default: all.

    Returns
    -------
    Iterator of History
        Parts of at most 100,000 rows, each of one day and in the order of time. Memory
        does not grow with the log.

    Raises
    ------
    ConfigError
        The URL is malformed.
    LogStoreError
        The database cannot be asked, or a file of Parquet is damaged.
    """
    window = Window(since, until, version, prediction)
    opened = open_entries(log.database) if log.database else contextlib.nullcontext()
    with opened as entries:
        days = _days(log.folder, window) | (
            set(entries.days(window)) if entries else set()
        )
        for day in sorted(days, reverse=True):
            files = _files(log.folder, day, version)
            for frame, unreadable in _day(files, entries, _of_day(window, day)):
                history = _history(frame, unreadable, window)
                if len(history.answers) or unreadable:
                    yield history


def read_challenges(folder: Path, version: str) -> pd.DataFrame:
    """Read what a version answered in production's shadow.

    Parameters
    ----------
    folder
        `monitoring.prediction_log`.
    version
        The challenger.

    Returns
    -------
    DataFrame
        A row per request: prediction_id, model_version, probability and decision of
        production, challenger_probability and challenger_decision. Lines that were cut
        short are left out.
    """
    rows = []
    for line in read_lines(folder / SHADOW):
        with contextlib.suppress(
            ValueError, KeyError, TypeError, AttributeError, RecursionError
        ):
            entry = json.loads(line)
            challenger = entry.pop("challenger")
            if challenger["model_version"] == version:
                answers = {f"challenger_{name}": challenger[name] for name in ANSWERED}
                rows.append(entry | answers)
    return pd.DataFrame(rows)


def version_folder(version: str) -> str:
    """Name the folder of a version's answers in a closed day's."""
    return f"version={quote(version, safe='')}"


def _days(folder: Path, window: Window) -> set[date]:
    compacted = f"{COMPACT}/date={DAYS}/*/{DAYS}.*.parquet"
    days = {
        day: _of_day(window, day)
        for day, _ in chain(day_files(folder), day_files(folder, compacted))
    }
    return {
        day
        for day, own in days.items()
        if own.since and own.until and own.since < own.until
    }


def _of_day(window: Window, day: date) -> Window:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    since = max(window.since or begin, begin)
    until = min(window.until or begin + DAY, begin + DAY)
    return window._replace(since=since, until=until)


def _day(files: Frames, entries: Entries | None, window: Window) -> Frames:
    for frame, unreadable in files:
        yield _unheld(frame, entries), unreadable
    if entries is not None:
        yield from map(read_block, entries.parts(window))


def _files(folder: Path, day: date, version: str | None) -> Frames:
    """Read files of lines, or what they were compacted to.

    Once a file of lines is gone, what it was compacted to is whole.
    """
    versions = "*" if version is None else version_folder(version)
    known = _stems(folder, day)
    waiting = sorted(known, reverse=True)
    while waiting:
        stem = waiting.pop()
        try:
            file = (folder / f"{stem}.jsonl").open("rb")
        except FileNotFoundError:
            if CLOSED not in stem:  # it may have been given another name since
                waiting += (
                    each
                    for each in _stems(folder, day) - known
                    if each.startswith(stem + CLOSED)
                )
                known.update(waiting)
            pattern = f"{COMPACT}/date={day}/{versions}/{escape(stem)}.parquet"
            yield from chain.from_iterable(
                _parquet(path) for _, path in day_files(folder, pattern)
            )
        else:
            with file:
                yield from map(read_block, blocks(file))


def _stems(folder: Path, day: date) -> set[str]:
    """Name the files of a day, without what follows the last dot.

    That part only tells whether a file was compacted.
    """
    # In this order, so that none slips through that is compacted meanwhile.
    patterns = (f"{day}.*.jsonl", f"{COMPACT}/date={day}/*/{day}.*.parquet")
    return {path.stem for pattern in patterns for _, path in day_files(folder, pattern)}


def _parquet(path: Path) -> Frames:
    try:
        with pyarrow.parquet.ParquetFile(
            path, page_checksum_verification=True
        ) as parquet:
            # This fails if the file is none of a log's.
            parquet.schema_arrow.empty_table().select(sorted(KNOWN))
            yield from ((rows.to_pandas(), 0) for rows in parquet.iter_batches(ROWS))
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        msg = (
            f"{path} cannot be read ({error}). Put it back from a backup, "
            "or move it away and do without it"
        )
        raise LogStoreError(msg) from error


def _unheld(frame: pd.DataFrame, entries: Entries | None) -> pd.DataFrame:
    """Leave out what the database has too: it took the row, and could not say so."""
    if entries is None or frame.empty:
        return frame
    ids = frame["answer.prediction_id"]
    return frame[~ids.isin(entries.held(ids.tolist()))]


def _history(frame: pd.DataFrame, unreadable: int, window: Window) -> History:
    for compare, name, value in window.limits:
        frame = frame[
            compare(frame[name if name == "time" else f"answer.{name}"], value)
        ]
    frame = frame.sort_values("time", kind="stable").reset_index(drop=True)
    of_record = [name for name in map(str, frame) if name.startswith("record.")]
    records = frame[of_record].rename(columns=lambda name: name.removeprefix("record."))
    answers = frame.drop(columns=of_record).rename(
        columns=lambda name: name.removeprefix("answer.")
    )
    return History(answers, records, unreadable)
