"""Closed days of the prediction log → Parquet by date and version.

What is too old is removed. A file of lines gets a name that no other ever has, so that
a late line begins a new one. It is removed when all that it became is on disk, and
until then only the file is read: a crash at any moment neither loses nor doubles a
prediction.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from skewless.core.atomic import atomic_path, flush_folder
from skewless.monitoring.blocks import EMPTY, blocks, table
from skewless.monitoring.history import CLOSED, COMPACT, version_folder
from skewless.monitoring.line_log import SHADOW
from skewless.monitoring.outcomes import OUTCOMES
from skewless.monitoring.place import DAYS, Log, day_files
from skewless.monitoring.postgres_entries import delete_entries

STILL_SECONDS = 60 * 60  # that nobody wrote to a file, before it counts as left
VERSION = "answer.model_version"


class Compacted(NamedTuple):
    """What became of a file of lines."""

    file: str
    rows: int = 0
    unreadable: int = 0
    """Lines that were cut short; they are gone."""
    bytes_before: int = 0
    bytes_after: int = 0
    left: str | None = None
    """Why it stays as it is."""


class Pruned(NamedTuple):
    """What was removed, or would be."""

    before: str
    """The first day that is kept."""
    files: int
    bytes: int
    rows: int
    """Of PostgreSQL."""
    dry_run: bool


def compact(folder: Path, *, before: date, now: float) -> Iterator[Compacted]:
    """Turn the files of closed days into Parquet, a file per version and day.

    Parameters
    ----------
    folder
        `monitoring.prediction_log`.
    before
        The first day (UTC) that stays as it is.
    now
        Seconds since 1970: files that were written to within the last hour stay.

    Returns
    -------
    Iterator of Compacted
        What became of each file, when it is done.
    """
    for day, path in day_files(folder):
        if day < before:
            # Somebody else may just have compacted or pruned it.
            with suppress(FileNotFoundError):
                quiet = now - path.stat().st_mtime > STILL_SECONDS
                yield (
                    _compact(path)
                    if quiet
                    else Compacted(path.name, left="written to within the hour")
                )


def prune(log: Log, *, before: date, outcomes: bool, dry_run: bool) -> Pruned:
    """Remove what was predicted before a day (UTC), wherever it is kept.

    Parameters
    ----------
    log
        Where predictions are kept.
    before
        The first day to keep.
    outcomes
        Remove what was reported of records before that day as well.
    dry_run
        Only say what would be removed.

    Raises
    ------
    LogStoreError
        The database cannot be asked; no file was removed then.
    """
    first, folders = before.isoformat(), [log.folder, log.folder / SHADOW]
    folders += [log.folder / OUTCOMES] if outcomes else []
    days = [
        path
        for path in log.folder.glob(f"{COMPACT}/date={DAYS}")
        if path.name[len("date=") :] < first
    ]
    old = [
        path for folder in folders for day, path in day_files(folder) if day < before
    ]
    old += [path for day in days for path in day.rglob("*.parquet") if path.is_file()]
    size, moment = 0, datetime.combine(before, time(), UTC)
    rows = 0
    if log.database is not None:
        rows = delete_entries(log.database, moment, outcomes=outcomes, dry_run=dry_run)
    for path in old:
        with suppress(FileNotFoundError):  # somebody else has just removed it
            size += path.stat().st_size
            if not dry_run:
                path.unlink()
    for day in () if dry_run else days:
        shutil.rmtree(day, ignore_errors=True)
    return Pruned(first, len(old), size, rows, dry_run)


def _compact(path: Path) -> Compacted:
    path = path if CLOSED in path.stem else _close(path)
    before = path.stat().st_size
    try:
        together, unreadable = _read(path)
    except pa.ArrowException as error:
        return Compacted(path.name, left=f"no table can hold it: {error}")
    day = path.parent / COMPACT / f"date={path.name[:10]}"
    after = 0
    for version in pc.unique(together[VERSION]).to_pylist():
        target = day / version_folder(version) / f"{path.stem}.parquet"
        _write(together.filter(pc.equal(together[VERSION], version)), target)
        after += target.stat().st_size
    for folder in filter(
        Path.exists, (*day.glob("version=*"), day, day.parent, path.parent)
    ):
        flush_folder(folder)
    # Who had opened it before it was renamed may have written to it now.
    if path.stat().st_size != before:
        return Compacted(path.name, left="written to meanwhile")
    path.unlink()
    return Compacted(path.name, len(together), unreadable, before, after)


def _close(path: Path) -> Path:
    path = path.rename(
        path.with_name(f"{path.stem}{CLOSED}{secrets.token_hex(8)}.jsonl")
    )
    # Else a power cut might leave the old name beside the new one's Parquet.
    flush_folder(path.parent)
    return path


def _read(path: Path) -> tuple[pa.Table, int]:
    tables, unreadable = [EMPTY], 0
    with path.open("rb") as file:
        for rows, torn in map(table, blocks(file)):
            tables.append(rows)
            unreadable += torn
    return pa.concat_tables(tables, promote_options="permissive"), unreadable


def _write(rows: pa.Table, path: Path) -> None:
    """Write a file that is whole, on disk and only its owner's, or is not there."""
    with atomic_path(path) as unfinished:
        unfinished.chmod(0o600)
        with unfinished.open("wb") as file:
            pyarrow.parquet.write_table(
                rows, file, compression="zstd", write_page_checksum=True
            )
            file.flush()
            os.fsync(file.fileno())
