"""An id → everything that the log holds of it is removed.

What hangs on a prediction's id goes first, the predictions last: they alone say which
ids those are. So a run that is killed is finished by running it again.

A file of lines is replaced by one without the record's rows. Parquet has its digest in
its name, so it cannot be replaced. What it becomes is hidden behind an empty file of
lines, which is then renamed to hide the old Parquet instead: see `_rewrite_parquet`.
"""

import json
import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

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
from skewless.monitoring.line_log import SHADOW, last_byte, private
from skewless.monitoring.outcomes import OUTCOMES
from skewless.monitoring.place import COMPACT, DAYS, Log, day_files
from skewless.monitoring.prediction_log import hiding
from skewless.monitoring.views import (
    CLOSED,
    LINE_BYTES,
    connected,
    lines_sql,
    literal,
    outcome_lines_sql,
    quoted,
    read_json,
    readable,
    sealed_name,
    stem_of,
    verify,
)

RECORD: Final = "forgotten.jsonl"  # that it was done, in the log's folder
BUSY: Final = (
    "a service may still write to it: run this again on another day (UTC), "
    "an hour after its last line"
)
UNFINISHED: Final = ".forget-"  # begins the name of a file that is being written
PARQUET: Final = f"{COMPACT}/date={DAYS}/*/{DAYS}.*.parquet"

Edit = Callable[[bytes], bytes]
"""Takes a line, and returns what is left of it."""


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
        A file or the database cannot be read.
    """
    with (
        nullcontext() if dry_run else alone(log.folder),
        TemporaryDirectory() as scratch,
        connected(log, Path(scratch)) as connection,
    ):
        if not dry_run:
            _tidy(log.folder, now)
        job = _Job(log, contract.id, names=names, opened=(connection, Path(scratch)))
        try:
            return _run(job, contract, now, dry_run=dry_run)
        except duckdb.Error as error:
            msg = f"{log.folder} cannot be read ({error}). Try again"
            raise LogStoreError(msg) from error


def _run(job: "_Job", contract: Contract, now: datetime, *, dry_run: bool) -> Forgotten:
    job.look(now)
    planned = job.result(dry_run=True)
    if not any(planned[:3]) and not planned.left:
        raise _nobody(contract)
    if dry_run:
        return planned
    _note(job.log.folder, "begun", planned, now=now)
    job.remove()
    done = job.result(dry_run=False)
    _note(job.log.folder, "unfinished" if done.left else "finished", done, now=now)
    return done


def _nobody(contract: Contract) -> RefusedError:
    return RefusedError(f"the log holds nothing of that {contract.noun.one}")


class _Kind(NamedTuple):
    """What a folder's lines are."""

    folder: Path
    rows: Callable[[str], str]
    """File → SQL for the prediction ids of the rows to remove."""
    edit: Edit


class _Job:
    """The files that hold something of a record, and what becomes of them."""

    def __init__(
        self,
        log: Log,
        id_name: str,
        *,
        names: frozenset[str],
        opened: tuple[duckdb.DuckDBPyConnection, Path],
    ) -> None:
        self.log, self._id, self._names = log, id_name, names
        self._connection, self._scratch = opened
        self._ids = frozenset[str]()  # of the record's predictions
        self._held = frozenset[str]()  # of those that something left behind hangs on
        self._left = dict[str, str]()
        self._counts = dict.fromkeys(("predictions", "outcomes", "challenges"), 0)
        self._files = 0
        self._table("person", names)
        self._table("theirs", ())
        self._table("held", ())
        folder = log.folder
        self._kinds = {
            "outcomes": _Kind(folder / OUTCOMES, self._outcomes, self._edit_outcome),
            "challenges": _Kind(folder / SHADOW, self._challenges, self._edit_shadow),
            "predictions": _Kind(folder, self._predictions, self._edit_prediction),
        }
        self._found: dict[str, list[tuple[Path, int]]] = defaultdict(list)
        self._parquet: list[tuple[Path, int]] = []
        self._stored = (0, 0)

    def look(self, now: datetime) -> None:
        """Find what holds something, and what of it has to stay for now."""
        predictions = self._kinds["predictions"]
        ids = set[str | None]()
        for _, path in day_files(self.log.folder):
            ids.update(self._ids_in(predictions, path))
        known = {path.stem for _, path in day_files(self.log.folder)}
        visible = [
            path
            for _, path in day_files(self.log.folder, PARQUET)
            if stem_of(path) not in known
        ]
        for path in visible:
            verify(path)
            ids.update(self._ids_in_parquet(path))
        if self.log.database is not None:
            ids |= self._postgres().find_predictions(
                self.log.database, self._id, self._names
            )
        self._ids = frozenset(each for each in ids if each is not None)
        self._table("theirs", self._ids)
        held = set[str | None]()
        for name in ("outcomes", "challenges"):
            for path in self._look_at(name, now):
                held.update(self._ids_in(self._kinds[name], path))
        self._hold(held)
        self._look_at("predictions", now)
        self._parquet = [(path, len(self._ids_in_parquet(path))) for path in visible]
        self._parquet = [(path, count) for path, count in self._parquet if count]
        self._count_found()
        self._stored = self._ask_database(dry_run=True)

    def _look_at(self, name: str, now: datetime) -> Iterator[Path]:
        """Find the files of a kind; return those that have to stay."""
        kind = self._kinds[name]
        busy = []
        for day, path in day_files(kind.folder):
            count = len(self._ids_in(kind, path))
            if count and _is_busy(day, path, now):
                self._leave(path, BUSY)
                busy.append(path)
            elif count:
                self._found[name].append((path, count))
        return iter(busy)

    def _count_found(self) -> None:
        for name in self._kinds:
            self._counts[name] = sum(count for _, count in self._found[name])
        self._counts["predictions"] += sum(count for _, count in self._parquet)
        self._files = sum(map(len, self._found.values())) + len(self._parquet)

    def remove(self) -> None:
        """Remove what was found: what hangs on predictions first."""
        self._files = 0
        self._counts = dict.fromkeys(self._counts, 0)
        held = set[str | None](self._held)
        for name in ("outcomes", "challenges"):
            for path in self._rewrite_all(name):
                held.update(self._ids_in(self._kinds[name], path))
        self._hold(held)
        self._stored = self._ask_database(dry_run=False)
        self._rewrite_all("predictions")
        for day, stem in {
            (path.parents[1], stem_of(path)) for path, _ in self._parquet
        }:
            self._rewrite_parquet(day, stem)
        self._files += len(self._parquet)
        self._counts["predictions"] += sum(count for _, count in self._parquet)

    def result(self, *, dry_run: bool) -> Forgotten:
        """Say what was done, or would be."""
        counts = dict(self._counts)
        counts["predictions"] += self._stored[0]
        counts["outcomes"] += self._stored[1]
        return Forgotten(**counts, files=self._files, left=self._left, dry_run=dry_run)

    def _hold(self, ids: Iterable[str | None]) -> None:
        self._held = frozenset(each for each in ids if each is not None) & self._ids
        self._table("held", self._held)

    def _leave(self, path: Path, why: str) -> None:
        self._left[path.relative_to(self.log.folder).as_posix()] = why

    def _table(self, name: str, values: Iterable[str]) -> None:
        """Give SQL a set of texts, which are in no SQL and so in no error."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} (id VARCHAR)")
        self._connection.execute(
            f"INSERT INTO {name} SELECT unnest($1::VARCHAR[])", [list(values)]
        )

    def _postgres(self) -> Any:
        # Not always needed.
        from skewless.monitoring import postgres_entries  # noqa: PLC0415 - slow

        return postgres_entries

    def _ask_database(self, *, dry_run: bool) -> tuple[int, int]:
        if self.log.database is None:
            return 0, 0
        found: tuple[int, int] = self._postgres().forget_entries(
            self.log.database,
            (self._id, self._names),
            ids=self._ids,
            held=self._held,
            dry_run=dry_run,
        )
        return found

    # What a file holds of the record, in SQL.

    def _ids_in(self, kind: _Kind, path: Path) -> list[str | None]:
        rows = kind.rows(str(readable(path, self._scratch)))
        return [found for (found,) in self._connection.execute(rows).fetchall()]

    def _predictions(self, path: str) -> str:
        return (
            f"SELECT prediction_id FROM ({lines_sql([path], {self._id: 'VARCHAR'})}) "
            f"WHERE {_theirs(f'record.{quoted(self._id)}', 'prediction_id')}"
        )

    def _outcomes(self, path: str) -> str:
        return (
            f"SELECT prediction_id FROM ({outcome_lines_sql([path])}) "
            "WHERE record IN (SELECT id FROM person) OR "
            "(record IS NULL AND prediction_id IN (SELECT id FROM theirs))"
        )

    def _challenges(self, path: str) -> str:
        read = read_json([path], {"prediction_id": "VARCHAR"})
        return (
            f"SELECT prediction_id FROM {read} "
            "WHERE prediction_id IN (SELECT id FROM theirs)"
        )

    def _ids_in_parquet(self, path: Path) -> list[str | None]:
        read = _parquet_sql(path)
        column = f"record.{self._id}"
        described = self._connection.execute(f"DESCRIBE FROM {read}").fetchall()
        if column not in {row[0] for row in described}:
            return []
        rows = (
            f'SELECT "answer.prediction_id" FROM {read} '
            f"WHERE {self._theirs_in_parquet()}"
        )
        return [found for (found,) in self._connection.execute(rows).fetchall()]

    def _theirs_in_parquet(self) -> str:
        cell = f"CAST({quoted(f'record.{self._id}')} AS VARCHAR)"
        return _theirs(cell, '"answer.prediction_id"')

    # What is left of a line.

    def _edit_outcome(self, line: bytes) -> bytes:
        entry = _entry(line)
        record = entry.get("record")
        if record is None:
            return b"" if entry.get("prediction_id") in self._ids else line
        return b"" if _text(record) in self._names else line

    def _edit_shadow(self, line: bytes) -> bytes:
        return b"" if _entry(line).get("prediction_id") in self._ids else line

    def _edit_prediction(self, line: bytes) -> bytes:
        # Without a backslash, an id stands in a line as it is.
        if b"\\" not in line and not any(name.encode() in line for name in self._names):
            return line
        entry = _entry(line)
        records, answers = entry.get("records"), entry.get("answers")
        if isinstance(records, dict) and isinstance(answers, dict):
            return self._without_rows(line, entry)
        record, answer = entry.get("record"), entry.get("answer")
        if not isinstance(record, dict):
            return line
        prediction = answer.get("prediction_id") if isinstance(answer, dict) else None
        return b"" if self._is_theirs(record.get(self._id), prediction) else line

    def _without_rows(self, line: bytes, entry: dict[str, Any]) -> bytes:
        """Take rows out of a line of many."""
        ids = _list(entry["records"].get(self._id))
        predictions = _list(entry["answers"].get("prediction_id"))
        predictions += [None] * (len(ids) - len(predictions))
        gone = {
            row
            for row, (named, prediction) in enumerate(
                zip(ids, predictions, strict=False)
            )
            if self._is_theirs(named, prediction)
        }
        if not gone:
            return line
        if len(gone) == len(ids):
            return b""
        for part in ("records", "answers"):
            entry[part] = {
                name: _without(values, gone) if isinstance(values, list) else values
                for name, values in entry[part].items()
            }
        try:
            text = json.dumps(
                entry, ensure_ascii=False, separators=(",", ":"), allow_nan=False
            )
            return text.encode() + b"\n"
        except ValueError:  # what JSON cannot hold; `_check` finds the row still there
            return line

    def _is_theirs(self, named: Any, prediction: Any) -> bool:
        return (
            named is not None
            and _text(named) in self._names
            and (prediction is None or _text(prediction) not in self._held)
        )

    # What becomes of a file.

    def _rewrite_all(self, name: str) -> list[Path]:
        """Rewrite the files of a kind; return those that somebody wrote to."""
        changed = []
        for path, count in self._found[name]:
            closed = path if CLOSED in path.stem else close_lines(path)
            if self._rewrite(closed, self._kinds[name]):
                self._counts[name] += count
                self._files += 1
            else:
                self._leave(closed, "it was written to meanwhile")
                changed.append(closed)
        return changed

    def _rewrite(self, path: Path, kind: _Kind) -> bool:
        """Put a file without the rows in its place, unless somebody writes to it."""
        before = path.stat()
        unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
        try:
            with path.open("rb") as lines:
                _write(unfinished, map(kind.edit, lines_of(lines)))
            if self._ids_in(kind, unfinished):
                msg = (
                    f"{path} holds a line that cannot be taken apart, so it stays as "
                    "it is. Take the line out yourself, and run this again"
                )
                raise LogStoreError(msg)
            # Else it would count as written to just now.
            os.utime(unfinished, ns=(before.st_atime_ns, before.st_mtime_ns))
            if path.stat().st_size != before.st_size:
                return False
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        flush_folder(path.parent)
        return True

    def _rewrite_parquet(self, day: Path, stem: str) -> None:
        """Put all Parquet that a file of lines became under another name.

        A file of lines hides the Parquet of its name. Renaming an empty one from the
        new name to the old one shows the new files and hides the old ones at once.
        """
        folder = self.log.folder
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
        described = self._connection.execute(
            f"DESCRIBE FROM {_parquet_sql(path)}"
        ).fetchall()
        rows = f"SELECT * FROM {_parquet_sql(path)}"
        if f"record.{self._id}" in {row[0] for row in described}:
            rows += f" WHERE NOT {self._theirs_in_parquet()}"
        with unfinished_parquet(target) as unfinished:
            if copy_parquet(rows, unfinished, self._connection):
                unfinished.replace(
                    target.with_name(sealed_name(target.name, unfinished))
                )


def _theirs(name: str, prediction: str) -> str:
    """Say in SQL whether a row is one to remove."""
    return (
        f"(coalesce({name} IN (SELECT id FROM person), false) "
        f"AND coalesce({prediction} NOT IN (SELECT id FROM held), true))"
    )


def _parquet_sql(path: Path) -> str:
    # The folders' names are no columns.
    return f"read_parquet({literal(str(path))}, hive_partitioning=false)"


def _is_busy(day: date, path: Path, now: datetime) -> bool:
    return day >= now.date() or not is_still(path, now.timestamp())


def _entry(line: bytes) -> dict[str, Any]:
    """Read a line; one that is none has no field."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    """Write a cell as the views read it."""
    return value if isinstance(value, str) else json.dumps(value)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _without(values: Sequence[Any], gone: set[int]) -> list[Any]:
    return [value for row, value in enumerate(values) if row not in gone]


def lines_of(file: Any) -> Iterator[bytes]:
    """Read lines; one that is too long for a reader comes in pieces."""
    while line := file.readline(LINE_BYTES):
        yield line


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
