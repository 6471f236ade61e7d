"""An id → everything that the log holds of it is removed.

The views say which predictions are the record's. What hangs on a prediction's id goes
first, the predictions last: they alone say whose that is. So a run that is killed is
finished by running it again, and at the end the views are asked once more.

A file of lines is replaced by one without the record's rows. Parquet has its digest in
its name, so it cannot be replaced. What it becomes is hidden behind an empty file of
lines, which is then renamed to hide the old Parquet instead: see `_replace_parquet`.
"""

import json
import os
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import duckdb

from skewless.core.atomic import flush_folder
from skewless.core.contract import HALF, Contract
from skewless.core.errors import ConfigError, LogStoreError, RefusedError
from skewless.core.provenance import who
from skewless.core.sections import Privacy
from skewless.core.settings import Settings
from skewless.monitoring.compact import (
    alone,
    close_lines,
    copy_parquet,
    is_still,
    parquet_of,
    unfinished_parquet,
)
from skewless.monitoring.forgotten_lines import (
    Split,
    Whose,
    split_answers,
    split_hanging,
)
from skewless.monitoring.line_log import SHADOW, last_byte, private
from skewless.monitoring.outcomes import OUTCOMES
from skewless.monitoring.place import COMPACT, Log, day_files
from skewless.monitoring.prediction_log import hiding
from skewless.monitoring.views import (
    CLOSED,
    LINE_BYTES,
    Views,
    literal,
    open_views,
    quoted,
    sealed_name,
    stem_of,
)

RECORD: Final = "forgotten.jsonl"  # that it was done, in the log's folder
UNFINISHED: Final = ".forget-"  # begins the name of a file that is being written
BUSY: Final = (
    "a service may still write to it: run this again on another day (UTC), "
    "an hour after its last line"
)


class Forgotten(NamedTuple):
    """What was removed, or would be."""

    predictions: int
    """Rows, of files and of PostgreSQL."""
    outcomes: int
    challenges: int
    """A challenger's answers to the same requests."""
    files: int
    """That were rewritten."""
    left: dict[str, str]
    """File that still holds something → why it was left as it is."""
    dry_run: bool


def names_of(
    record_id: str,
    contract: Contract,
    *,
    privacy: Mapping[str, Privacy],
    key: Settings,
) -> frozenset[str]:
    """Say what the log may call a record: its id, or that hashed with the key.

    Both are looked for, as `monitoring.privacy` may have been changed.

    Raises
    ------
    ConfigError
        The id is dropped, or is hashed and there is no key.
    RefusedError
        It is no text, so that no record has it.
    """
    way = privacy.get(contract.id, "keep")
    if way == "drop":
        msg = (
            f"monitoring.privacy drops {contract.id}, so the log cannot tell whose "
            "a prediction is, and nobody can be found in it"
        )
        raise ConfigError(msg)
    if HALF.search(record_id):
        raise _nobody(contract)
    if way != "hash" and key.hash_key is None:
        return frozenset({record_id})
    keyed = hiding({contract.id: "hash"}, key)[contract.id]
    return frozenset({record_id, keyed(record_id) if keyed else record_id})


def forget(
    log: Log,
    contract: Contract,
    names: frozenset[str],
    *,
    now: datetime,
    dry_run: bool,
) -> Forgotten:
    """Remove a record's predictions, a challenger's answers to them, its outcomes.

    It is safe to kill it, and to run it again. Unreadable lines stay.

    Parameters
    ----------
    log
        Where they are kept.
    contract
        What a record is.
    names
        What the log calls it; see `names_of`.
    now
        Files of this day (UTC), and what was written to within the last hour, stay as
        they are.
    dry_run
        Only say what would be removed.

    Raises
    ------
    RefusedError
        The log holds nothing of it.
    LogStoreError
        A file or the database cannot be read, or something is still there at the end.
    """
    with nullcontext() if dry_run else alone(log.folder):
        if not dry_run:
            _tidy(log.folder, now)
        with open_views(log, contract) as views:
            try:
                whose = _find(views, contract.id, names)
                job = _Job(log, whose, views.connection)
                job.look(now, map(Path, views.files.parquet))
                planned = job.done(dry_run=True)
                if not any(planned[:3]) and not planned.left and not whose.ids:
                    raise _nobody(contract)
                if dry_run:
                    return planned
                _note(log.folder, "begun", planned, now=now)
                job.remove()
            except duckdb.Error as error:
                msg = f"{log.folder} cannot be read ({error}). Try again"
                raise LogStoreError(msg) from error
        done = job.done(dry_run=False)
        if not done.left:
            _refuse_rest(log, contract, names)
        state = "unfinished" if done.left else "finished"
        _note(log.folder, state, done, now=now)
    return done


def _nobody(contract: Contract) -> RefusedError:
    return RefusedError(f"the log holds nothing of that {contract.noun.one}")


def _find(views: Views, id_name: str, names: frozenset[str]) -> Whose:
    """Ask the views which predictions are a record's."""
    _put(views.connection, "person", names)
    found = views.ask(
        "SELECT DISTINCT prediction_id FROM predictions "
        "WHERE record_id IN (SELECT id FROM person)"
    )
    return Whose(id_name, names, frozenset(each for (each,) in found))


def _refuse_rest(log: Log, contract: Contract, names: frozenset[str]) -> None:
    """Make sure that nothing is left."""
    with open_views(log, contract) as views:
        whose = _find(views, contract.id, names)
        outcomes = views.ask(
            "SELECT count(*) FROM outcomes WHERE record_id IN (SELECT id FROM person)"
        )
    if whose.ids or outcomes != [(0,)]:
        msg = (
            f"{log.folder} still holds something of that {contract.noun.one}: it came "
            "meanwhile, or it stands in a line that cannot be taken apart. Run this "
            "again; if it stays, take the line out yourself"
        )
        raise LogStoreError(msg)


class _Kind(NamedTuple):
    """A kind of files of lines."""

    name: str
    """As `Forgotten` counts it."""
    folder: str
    """In the log's."""
    split: Callable[[bytes, Whose], Split]


HANGING: Final = (
    _Kind("outcomes", OUTCOMES, split_hanging),
    _Kind("challenges", SHADOW, split_hanging),
)
ANSWERS: Final = _Kind("predictions", "", split_answers)


class _Job:
    """The files that hold something of a record, and what becomes of them."""

    def __init__(
        self, log: Log, whose: Whose, connection: duckdb.DuckDBPyConnection
    ) -> None:
        self._log, self._whose, self._connection = log, whose, connection
        self._hold(())
        self._lines: dict[_Kind, list[Path]] = defaultdict(list)
        self._parquet = list[tuple[Path, int]]()
        self._counts = Counter[str]()
        self._left = dict[str, str]()

    def look(self, now: datetime, parquet: Iterable[Path]) -> None:
        """Find what holds something, and what of it has to stay for now."""
        self._hold(self._look_through(HANGING, now))
        self._look_through((ANSWERS,), now)
        for path in parquet:
            count = self._count_rows(path)
            if count:
                self._parquet.append((path, count))
                self._count(ANSWERS, count)
        self._ask_database(dry_run=True)

    def remove(self) -> None:
        """Remove what was found: what hangs on predictions first."""
        self._counts.clear()
        self._hold(self._whose.held.union(*map(self._replace, HANGING)))
        self._ask_database(dry_run=False)
        self._replace(ANSWERS)
        stems = {(path.parents[1], stem_of(path)) for path, _ in self._parquet}
        for day, stem in stems:
            self._replace_parquet(day, stem)
        for _, count in self._parquet:
            self._count(ANSWERS, count)

    def done(self, *, dry_run: bool) -> Forgotten:
        """Say what was done, or would be."""
        names = ("predictions", "outcomes", "challenges", "files")
        counts = {name: self._counts[name] for name in names}
        return Forgotten(**counts, left=self._left, dry_run=dry_run)

    def _look_through(self, kinds: Iterable[_Kind], now: datetime) -> set[str | None]:
        """Find files of lines; return the predictions that busy ones speak of."""
        held = set[str | None]()
        for kind in kinds:
            for day, path in day_files(self._log.folder / kind.folder):
                with path.open("rb") as file:
                    gone = [
                        each
                        for line in _lines_of(file)
                        for each in kind.split(line, self._whose)[1]
                    ]
                if gone and _is_busy(day, path, now):
                    self._leave(path, BUSY)
                    held.update(gone)
                elif gone:
                    self._lines[kind].append(path)
                    self._count(kind, len(gone))
        return held

    def _hold(self, ids: Iterable[str | None]) -> None:
        held = self._whose.ids.intersection(each for each in ids if each is not None)
        self._whose = self._whose._replace(held=held)
        _put(self._connection, "held", held)

    def _leave(self, path: Path, why: str) -> None:
        self._left[path.relative_to(self._log.folder).as_posix()] = why

    def _count(self, kind: _Kind, rows: int) -> None:
        self._counts.update({kind.name: rows, "files": 1})

    def _ask_database(self, *, dry_run: bool) -> None:
        if self._log.database is None:
            return
        # Not always needed.
        from skewless.monitoring.postgres_entries import (  # noqa: PLC0415 - slow
            forget_entries,
        )

        whose = self._whose
        predictions, outcomes = forget_entries(
            self._log.database,
            (whose.id_name, whose.names),
            ids=whose.ids,
            held=whose.held,
            dry_run=dry_run,
        )
        self._counts.update(predictions=predictions, outcomes=outcomes)

    def _replace(self, kind: _Kind) -> set[str | None]:
        """Replace the files of a kind; return predictions of which some still speak."""
        held = set[str | None]()
        for path in self._lines[kind]:
            held.update(self._replace_file(kind, path))
        return held

    def _replace_file(self, kind: _Kind, path: Path) -> list[str | None]:
        """Put a file without the rows in a file's place, unless somebody writes to it.

        Return the predictions of which it still speaks.
        """
        path = path if CLOSED in path.stem else close_lines(path)
        before = path.stat()
        unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
        gone = list[str | None]()
        try:
            with path.open("rb") as file:
                splits = (kind.split(line, self._whose) for line in _lines_of(file))
                _write(unfinished, _noting(splits, gone))
            # Else it would count as written to just now.
            os.utime(unfinished, ns=(before.st_atime_ns, before.st_mtime_ns))
            if path.stat().st_size != before.st_size:
                self._leave(path, "it was written to meanwhile")
                return gone
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        flush_folder(path.parent)
        self._count(kind, len(gone))
        return []

    # Parquet.

    def _count_rows(self, path: Path) -> int:
        condition = self._theirs(path)
        if condition is None:
            return 0
        asked = f"SELECT count(*) FROM {_parquet_sql(path)} WHERE {condition}"
        ((count,),) = self._connection.execute(asked).fetchall()
        return int(count)

    def _theirs(self, path: Path) -> str | None:
        """Say in SQL which rows go; None if the file names no record."""
        described = self._connection.execute(f"DESCRIBE FROM {_parquet_sql(path)}")
        column = f"record.{self._whose.id_name}"
        if column not in {row[0] for row in described.fetchall()}:
            return None
        return (
            f"coalesce({quoted(column)}::VARCHAR IN (SELECT id FROM person), false) "
            'AND coalesce("answer.prediction_id" NOT IN (SELECT id FROM held), true)'
        )

    def _replace_parquet(self, day: Path, stem: str) -> None:
        """Put all Parquet that a file of lines became under another name.

        A file of lines hides the Parquet of its name. Renaming an empty one from the
        new name to the old one shows the new files and hides the old ones at once.
        """
        folder = self._log.folder
        fresh = f"{stem.partition(CLOSED)[0]}{CLOSED}{secrets.token_hex(8)}"
        curtain = folder / f"{fresh}.jsonl"
        _write(curtain, ())
        flush_folder(folder)
        for path in parquet_of(day, stem):
            self._copy_parquet(path, path.with_name(fresh))
            flush_folder(path.parent)
        curtain = curtain.replace(folder / f"{stem}.jsonl")
        flush_folder(folder)
        _remove_hidden(curtain)

    def _copy_parquet(self, path: Path, target: Path) -> None:
        condition = self._theirs(path) or "false"
        rows = f"SELECT * FROM {_parquet_sql(path)} WHERE NOT ({condition})"
        with unfinished_parquet(target) as unfinished:
            if copy_parquet(rows, unfinished, self._connection):
                sealed = sealed_name(target.name, unfinished)
                unfinished.replace(target.with_name(sealed))


def _put(
    connection: duckdb.DuckDBPyConnection, name: str, values: Iterable[str]
) -> None:
    """Give SQL a set of texts, which are in no SQL and so in no error."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} (id VARCHAR)")
    connection.execute(
        f"INSERT INTO {name} SELECT unnest($1::VARCHAR[])", [list(values)]
    )


def _parquet_sql(path: Path) -> str:
    # The folders' names are no columns.
    return f"read_parquet({literal(str(path))}, hive_partitioning=false)"


def _is_busy(day: date, path: Path, now: datetime) -> bool:
    return day >= now.date() or not is_still(path, now.timestamp())


def _lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Read lines; one that is too long for a reader comes in pieces."""
    while line := file.readline(LINE_BYTES):
        yield line


def _noting(splits: Iterable[Split], gone: list[str | None]) -> Iterator[bytes]:
    """Pass on what is left of lines, and note what goes."""
    for left, ids in splits:
        gone += ids
        yield left


def _write(path: Path, lines: Iterable[bytes]) -> None:
    with open(path, "xb", opener=private) as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _note(folder: Path, state: str, found: Forgotten, *, now: datetime) -> None:
    """Record that it was done, and not of whom."""
    facts = {"time": now.isoformat(), "who": who(), "state": state}
    facts |= found._asdict() | {"left": len(found.left)}
    del facts["dry_run"]
    line = json.dumps(facts).encode() + b"\n"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / RECORD, "ab+", buffering=0, opener=private) as file:
        if file.seek(0, os.SEEK_END) and last_byte(file) != b"\n":
            line = b"\n" + line  # ends what a crash cut short
        file.write(line)
        os.fsync(file.fileno())
    flush_folder(folder)


def _tidy(folder: Path, now: datetime) -> None:
    """Remove what killed runs left, which nobody reads."""
    for each in (folder, folder / OUTCOMES, folder / SHADOW):
        for path in each.glob(f"{UNFINISHED}*"):
            path.unlink()
    for path in folder.glob(f"{COMPACT}/*/*/.*.parquet"):
        if is_still(path, now.timestamp()):
            path.unlink()
    for _, path in list(day_files(folder)):
        _remove_hidden(path)


def _remove_hidden(lines: Path) -> None:
    """Remove the Parquet that a file of lines hides, and that file if it is empty."""
    day = lines.parent / COMPACT / f"date={lines.name[:10]}"
    hidden = parquet_of(day, lines.stem)
    for path in hidden:
        path.unlink()
    for path in {path.parent for path in hidden}:
        flush_folder(path)
    if hidden and not lines.stat().st_size:
        lines.unlink()
        flush_folder(lines.parent)
