"""Closed days of the prediction log → Parquet by date and version.

What is too old is removed. A file of lines gets a name that no other ever has, so that
a late line begins a new one. It is removed when all that it became is on disk, and
until then only the file is read: a crash at any moment neither loses nor doubles a
prediction.
"""

import json
import os
import secrets
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, date, datetime, time
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import duckdb
from filelock import FileLock

from skewless.core.atomic import flush_folder
from skewless.monitoring.line_log import SHADOW, private
from skewless.monitoring.outcomes import OUTCOMES
from skewless.monitoring.place import COMPACT, DAYS, Log, day_files
from skewless.monitoring.views import (
    CLOSED,
    connected,
    flat_sql,
    lines_sql,
    literal,
    read_json,
    readable,
    sealed_name,
    stem_of,
    version_folder,
)

STILL_SECONDS = 60 * 60  # that nobody wrote to a file, before it counts as left
LOOKED_AT: Final = {
    "record": "JSON",
    "records": "JSON",
    "answer": "STRUCT(model_version VARCHAR)",
    "answers": "STRUCT(model_version VARCHAR, probability DOUBLE[])",
}
LOOK: Final = """
    SELECT json_structure(record), json_structure(records),
        coalesce(answer.model_version, answers.model_version),
        sum(coalesce(len(answers.probability), 1))::BIGINT
    FROM {read} GROUP BY ALL
"""
KINDS_OF_JSON: Final = {
    "NULL": "NULL",
    "BOOLEAN": "BOOLEAN",
    "BIGINT": "BIGINT",
    "UBIGINT": "BIGINT",
    "DOUBLE": "DOUBLE",
}


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


def compact(log: Log, *, before: date, now: float) -> Iterator[Compacted]:
    """Turn the files of closed days into Parquet, a file per version and day.

    Parameters
    ----------
    log
        Where it is.
    before
        The first day (UTC) that stays as it is.
    now
        Seconds since 1970: files that were written to within the last hour stay.

    Returns
    -------
    Iterator of Compacted
        What became of each file, when it is done.
    """
    closed = [path for day, path in day_files(log.folder) if day < before]
    with TemporaryDirectory() as name, connected(log, Path(name)) as connection:
        for path in closed:
            # Somebody else may just have compacted or pruned it.
            with suppress(FileNotFoundError):
                if not is_still(path, now):
                    yield Compacted(path.name, left="written to within the hour")
                    continue
                with alone(log.folder):
                    compacted = _compact(path, connection, Path(name))
                yield compacted


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
    with nullcontext() if dry_run else alone(log.folder):
        return _prune(log, before, outcomes=outcomes, dry_run=dry_run)


def _prune(log: Log, before: date, *, outcomes: bool, dry_run: bool) -> Pruned:
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
        # Not always needed.
        from skewless.monitoring.postgres_entries import (  # noqa: PLC0415 - slow
            delete_entries,
        )

        rows = delete_entries(log.database, moment, outcomes=outcomes, dry_run=dry_run)
    for path in old:
        with suppress(FileNotFoundError):  # somebody else has just removed it
            size += path.stat().st_size
            if not dry_run:
                path.unlink()
    for day in () if dry_run else days:
        shutil.rmtree(day, ignore_errors=True)
    return Pruned(first, len(old), size, rows, dry_run)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else rewrites files of a log, and keep others waiting."""
    if not folder.is_dir():
        yield
        return
    with FileLock(folder / ".lock", mode=0o600):
        yield


def is_still(path: Path, now: float) -> bool:
    """Tell whether nobody wrote to a file within the last hour."""
    return now - path.stat().st_mtime > STILL_SECONDS


def parquet_of(day: Path, stem: str) -> list[Path]:
    """List the Parquet that a file of lines became, in the folder of its day."""
    found = day.glob(f"*/{escape(stem)}*.parquet")
    return sorted(path for path in found if stem_of(path) == stem)


def _compact(
    path: Path, connection: duckdb.DuckDBPyConnection, scratch: Path
) -> Compacted:
    day = path.parent / COMPACT / f"date={path.name[:10]}"
    # An empty file that hides Parquet of its name goes on doing so; see `forget`.
    hides = not path.stat().st_size and parquet_of(day, path.stem)
    path = path if CLOSED in path.stem or hides else close_lines(path)
    before = path.stat().st_size
    read = readable(path, scratch)
    found = _look_through(read, connection)
    lines = lines_sql([str(read)], found.kinds)
    written = set()
    count = 0
    for version in found.versions:
        rows = (
            f"SELECT {flat_sql(found.kinds)} FROM ({lines}) "
            f"WHERE readable AND model_version = {literal(version)}"
        )
        target = day / version_folder(version) / path.stem
        with unfinished_parquet(target) as unfinished:
            copied = copy_parquet(rows, unfinished, connection)
            if copied:
                sealed = target.with_name(sealed_name(target.name, unfinished))
                written.add(unfinished.replace(sealed))
                count += copied
    # What a run that was killed had made of it, before more was written to it.
    for stale in set(parquet_of(day, path.stem)) - written:
        stale.unlink()
    for folder in filter(
        Path.exists, (*day.glob("version=*"), day, day.parent, path.parent)
    ):
        flush_folder(folder)
    # Who had opened it before it was renamed may have written to it now.
    if path.stat().st_size != before:
        return Compacted(path.name, left="written to meanwhile")
    path.unlink()
    after = sum(each.stat().st_size for each in written)
    return Compacted(path.name, count, found.rows - count, before, after)


def close_lines(path: Path) -> Path:
    """Give a file of lines a name that no process appends to."""
    path = path.rename(
        path.with_name(f"{path.stem}{CLOSED}{secrets.token_hex(8)}.jsonl")
    )
    # Else a power cut might leave the old name beside the new one's Parquet.
    flush_folder(path.parent)
    return path


class _Found(NamedTuple):
    """What a file of lines holds."""

    kinds: dict[str, str]
    """Column of the records → the type that holds all its cells.

    The columns need not be those of the contract: another version may have had others,
    and privacy turns a number into a hash.
    """
    versions: set[str]
    rows: int
    """Also those that cannot be read."""


def _look_through(path: Path, connection: duckdb.DuckDBPyConnection) -> _Found:
    read = read_json([str(path)], LOOKED_AT)
    kinds: dict[str, set[str]] = defaultdict(set)
    versions = set()
    rows = 0
    for one, several, version, count in connection.execute(
        LOOK.format(read=read)
    ).fetchall():
        for name, kind in _columns(one).items():
            kinds[name].add(_kind(kind))
        for name, kind in _columns(several).items():
            kinds[name].add(_kind(kind[0] if isinstance(kind, list) else kind))
        versions.add(version)
        rows += count
    common = {name: _common(kinds[name] - {"NULL"}) for name in sorted(kinds)}
    return _Found(common, versions - {None}, rows)


def _columns(structure: str | None) -> dict[str, Any]:
    """Read the kind of each column; what is no object has none."""
    found = json.loads(structure or "{}")
    return found if isinstance(found, dict) else {}


def _kind(kind: Any) -> str:
    """Turn a kind of JSON into the type of a column; lists and objects stay text."""
    return KINDS_OF_JSON.get(kind, "VARCHAR") if isinstance(kind, str) else "VARCHAR"


def _common(kinds: set[str]) -> str:
    if kinds == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return kinds.pop() if len(kinds) == 1 else "VARCHAR"


@contextmanager
def unfinished_parquet(path: Path) -> Iterator[Path]:
    """Give a name beside a path that is gone at the end, for a file of one's own."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{secrets.token_hex(8)}.parquet")
    try:
        with open(unfinished, "xb", opener=private):
            pass
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def copy_parquet(sql: str, path: Path, connection: duckdb.DuckDBPyConnection) -> int:
    """Put rows on disk as Parquet, and count them."""
    ((count,),) = connection.execute(
        f"COPY ({sql}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, "
        "COMPRESSION_LEVEL 1, USE_TMP_FILE false)"
    ).fetchall()
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return int(count)
