"""The log, files and database → two views of DuckDB: `predictions` and `outcomes`.

Whatever is asked of the log offline is SQL over them. The files may have been left in
any state: a line that is cut short, or that tells of no prediction, costs itself alone.

A line of the log is one answer, or the answers of one batch in columns. Closed days are
Parquet. A row of the views is one prediction wherever it comes from.
"""

import contextlib
import hashlib
import secrets
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from skewless.core.contract import HALF, Contract
from skewless.core.errors import LogStoreError
from skewless.monitoring.outcomes import OUTCOMES
from skewless.monitoring.place import (
    COMPACT,
    DAYS,
    EVERY,
    Log,
    Stored,
    Window,
    day_files,
)

# In the name of a file that no process appends to; it is compacted under that name.
CLOSED: Final = ".closed-"
DIGEST: Final = ".sha256-"
"""In the name of a Parquet file, before the first 32 digits of its SHA-256.

DuckDB does not look at the checksums of pages.
"""
DIGEST_DIGITS: Final = 32
LINE_BYTES: Final = 16 * 1024 * 1024
"""Of the longest line that is read; the service writes none half as long."""
BATCH_ROWS: Final = 500_000
RELISTINGS: Final = 20  # of files that somebody else renames or removes meanwhile
SHARED: Final = {
    "time": "TIMESTAMPTZ",
    "request_id": "VARCHAR",
    "source": "VARCHAR",
    "threshold": "DOUBLE",
    "latency_ms": "DOUBLE",
    "privacy": "MAP(VARCHAR, VARCHAR)",
}
ANSWER: Final = {
    "probability": "DOUBLE",
    "decision": "BOOLEAN",
    "tier": "VARCHAR",
    "model_version": "VARCHAR",
    "trained_at": "VARCHAR",
    "prediction_id": "VARCHAR",
}
OF_BATCH: Final = ("model_version", "trained_at")
"""What all answers of a batch share."""
NEEDED: Final = ("decision", "model_version", "prediction_id")
KINDS: Final = {
    "number": "DOUBLE",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "category": "VARCHAR",
    "date": "DATE",
}


Taken = TypeVar("Taken")


class Files(NamedTuple):
    """The files that the views read."""

    lines: tuple[str, ...]
    parquet: tuple[str, ...]
    outcomes: tuple[str, ...]


class Views:
    """A connection to DuckDB with the views; `open_views` makes it."""

    def __init__(
        self,
        opened: tuple[duckdb.DuckDBPyConnection, Path],
        log: Log,
        contract: Contract,
        *,
        window: Window,
        stored: Stored | None,
    ) -> None:
        self.connection, self._folder = opened
        self._log = log
        self.contract = contract
        self._window = window
        self._stored = stored
        self._readable = dict[str, str]()
        self.files = self._list()
        self._is_defined = False
        self.retry(lambda: None)

    @property
    def lines(self) -> tuple[str, ...]:
        """The files of lines, that of the database among them.

        Of a file with a line that is too long it is a copy.
        """
        stored = self._stored
        paths = self.files.lines + ((stored.predictions,) if stored else ())
        return self._read(paths)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask for rows; see `retry`."""
        return self.retry(lambda: self.connection.execute(sql).fetchall())

    def table(self, sql: str) -> pd.DataFrame:
        """Ask for a DataFrame; see `retry`."""
        return self.retry(lambda: self.connection.execute(sql).df())

    def batches(self, sql: str, take: Callable[[pa.RecordBatchReader], Taken]) -> Taken:
        """Ask for Arrow's batches, and return what is made of them; see `retry`."""
        return self.retry(
            lambda: take(self.connection.sql(sql).to_arrow_reader(BATCH_ROWS))
        )

    def retry(self, fetch: Callable[[], Taken]) -> Taken:
        """Fetch something, again if somebody compacted or removed a file meanwhile.

        Raises
        ------
        LogStoreError
            A file cannot be read.
        """
        for _ in range(RELISTINGS):
            try:
                if not self._is_defined:
                    self._define()
                return fetch()
            except duckdb.IOException as error:
                found = self._list()
                if found == self.files:
                    raise _unreadable(str(self._log.folder), str(error)) from error
                self.files = found
                self._is_defined = False
        msg = "the log's files change faster than they are read; try again"
        raise LogStoreError(msg)

    def _read(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Name files that can be read: themselves, or copies; see `readable`."""
        for path in paths:
            if path not in self._readable:
                self._readable[path] = str(readable(Path(path), self._folder))
        return tuple(self._readable[path] for path in paths)

    def _list(self) -> Files:
        """List the files, until two lists are the same: they may be being renamed."""
        found = self._look()
        while (again := self._look()) != found:
            found = again
        for path in found.parquet:
            verify(Path(path))
        return found

    def _look(self) -> Files:
        folder = self._log.folder
        window = self._window
        lines = [path for day, path in day_files(folder) if window.holds(day)]
        # Once a file of lines is gone, what it was compacted to is whole.
        known = {path.stem for path in lines}
        version = "*" if window.version is None else version_folder(window.version)
        pattern = f"{COMPACT}/date={DAYS}/{version}/{DAYS}.*.parquet"
        parquet = [
            path
            for day, path in day_files(folder, pattern)
            if window.holds(day) and stem_of(path) not in known
        ]
        outcomes = [path for _, path in day_files(folder / OUTCOMES)]
        return Files(*(tuple(map(str, paths)) for paths in (lines, parquet, outcomes)))

    def _define(self) -> None:
        """Make the views anew."""
        contract = self.contract
        types = {contract.id: "VARCHAR"}
        types |= {column.name: KINDS[column.kind] for column in contract.columns}
        files = self.files
        stored = self._stored
        parts = [lines_sql(self._read(files.lines), types)]
        if files.parquet:
            parts.append(self._parquet_sql(files.parquet, types))
        logged = " UNION ALL BY NAME ".join(parts)
        outcomes = outcome_lines_sql(self._read(files.outcomes))
        if stored is not None:
            self._create("stored", lines_sql(self._read([stored.predictions]), types))
            is_stored = "prediction_id IN (SELECT prediction_id FROM stored)"
            logged = (
                f"FROM ({logged}) WHERE NOT readable OR NOT {is_stored} "
                "UNION ALL BY NAME FROM stored"
            )
            outcomes += f" UNION ALL {outcome_lines_sql(self._read([stored.outcomes]))}"
        self._create("entries", logged)
        self._create(
            "predictions",
            "SELECT * EXCLUDE (readable, record), "
            f"record.{quoted(contract.id)} AS record_id, record "
            "FROM entries WHERE readable",
        )
        self._create("outcomes", OUTCOMES_SQL.format(lines=outcomes))
        self._is_defined = True

    def _create(self, name: str, sql: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}")

    def _parquet_sql(self, paths: Sequence[str], types: Mapping[str, str]) -> str:
        read = f"read_parquet({literals(paths)}, union_by_name=true)"
        try:
            described = self.connection.execute(f"DESCRIBE FROM {read}").fetchall()
        except duckdb.IOException:
            raise  # somebody may just have removed it
        except duckdb.Error as error:
            raise _unreadable(str(self._log.folder), str(error)) from error
        return parquet_sql(read, {row[0] for row in described}, types)


@contextlib.contextmanager
def open_views(
    log: Log, contract: Contract, window: Window = EVERY, *, locked: bool = False
) -> Iterator[Views]:
    """Open the views of a log.

    Parameters
    ----------
    log
        Where it is kept. What the database holds is copied to a temporary file, as of
        one moment.
    contract
        What a record is.
    window
        Which predictions will be asked for. Files of other days are not opened; within
        a day, all rows are there.
    locked
        Whether nothing but the log may be reached, whatever is asked.

    Raises
    ------
    ConfigError
        The database's URL is malformed.
    LogStoreError
        The folder or the database cannot be read, or a Parquet file is damaged.
    """
    with tempfile.TemporaryDirectory() as name, connected(log, Path(name)) as made:
        stored = None
        if log.database is not None:
            # Not always needed.
            from skewless.monitoring.postgres_entries import (  # noqa: PLC0415 - slow
                copy_entries,
            )

            stored = copy_entries(log.database, window, Path(name))
        opened = made, Path(name)
        views = Views(opened, log, contract, window=window, stored=stored)
        if locked:
            _lock(made, [log.folder.resolve(), log.folder, Path(name)])
        yield views


def _lock(connection: duckdb.DuckDBPyConnection, folders: Sequence[Path]) -> None:
    """Let a connection reach these folders and nothing else, for ever."""
    for setting in (
        f"SET allowed_directories = {literals(list(map(str, folders)))}",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(setting)


@contextlib.contextmanager
def connected(log: Log, folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connect to DuckDB, with a bound on its memory; what is over goes to `folder`."""
    options: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{log.memory_mb}MB",
        "temp_directory": str(folder / "spilled"),
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
    }
    with duckdb.connect(config=options) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


# What the files hold, in SQL. A row of `entries` is a prediction, or a line that is
# none: then `readable` is false.


def lines_sql(paths: Sequence[str], types: Mapping[str, str]) -> str:
    """Read files of lines.

    Parameters
    ----------
    paths
        The files; none is a table without rows.
    types
        Column of the record → its type; a cell of another type is NULL.
    """
    of_batch = {name: kind for name, kind in ANSWER.items() if name in OF_BATCH}
    of_row = {name: kind for name, kind in ANSWER.items() if name not in OF_BATCH}
    columns = SHARED | {
        "record": struct(types) if types else "JSON",
        "answer": struct(ANSWER),
        "records": struct(types, "[]") if types else "JSON",
        "answers": struct(of_row, "[]", of_batch),
    }
    fields = [quoted(name) for name in SHARED]
    fields += [
        f"coalesce(answer.{name}, answers.{name}) AS {name}" for name in of_batch
    ]
    fields += [f"{_cell('answer', 'answers', name)} AS {name}" for name in of_row]
    cells = [
        f"{literal(name)}: {_cell('record', 'records', quoted(name))}" for name in types
    ]
    fields.append(f"{_struct_sql(cells)} AS record")
    is_readable = " AND ".join(
        [
            "isfinite(time)",
            "has_record",
            "probability BETWEEN 0 AND 1",
            *(f"{name} IS NOT NULL" for name in NEEDED),
        ]
    )
    return (
        f"SELECT * EXCLUDE (has_record), coalesce({is_readable}, false) AS readable "
        f"FROM (SELECT {', '.join(fields)}, "
        "coalesce(record IS NOT NULL OR records IS NOT NULL, false) AS has_record "
        f"FROM ({ROWS} FROM {read_json(paths, columns)}))"
    )


def _cell(one: str, several: str, name: str) -> str:
    """Take a cell of a single answer, or of a row of a batch."""
    return (
        f"CASE WHEN {several} IS NULL THEN {one}.{name} "
        f"ELSE {several}.{name}[place] END"
    )


ROWS: Final = (
    "SELECT *, unnest(range(1, coalesce(len(answers.probability), 1) + 1)) AS place"
)
"""Gives a row to each answer of a batch, and one to a single answer."""


def flat_sql(names: Collection[str]) -> str:
    """Name the columns of Parquet: those of `lines_sql`, and `record.…`, `answer.…`."""
    answer = [f"{name} AS {quoted(f'answer.{name}')}" for name in ANSWER]
    cells = [f"record.{quoted(name)} AS {quoted(f'record.{name}')}" for name in names]
    return ", ".join([*SHARED, *answer, *cells])


def _struct_sql(fields: Sequence[str]) -> str:
    return f"{{{', '.join(fields)}}}" if fields else "NULL"


def parquet_sql(read: str, present: Collection[str], types: Mapping[str, str]) -> str:
    """Read Parquet that `log compact` wrote; `present` are the columns there are."""

    def cell(name: str, kind: str) -> str:
        is_there = name in present
        return f"TRY_CAST({quoted(name) if is_there else 'NULL'} AS {kind})"

    shared = [f"{cell(name, kind)} AS {name}" for name, kind in SHARED.items()]
    answer = [
        f"{cell(f'answer.{name}', kind)} AS {name}" for name, kind in ANSWER.items()
    ]
    cells = [
        f"{literal(name)}: {cell(f'record.{name}', kind)}"
        for name, kind in types.items()
    ]
    record = f"{_struct_sql(cells)} AS record"
    return (
        f"SELECT {', '.join([*shared, *answer, record])}, true AS readable FROM {read}"
    )


def outcome_lines_sql(paths: Sequence[str]) -> str:
    """Read files of outcomes."""
    columns = {
        "recorded_at": "TIMESTAMPTZ",
        "observed_at": "VARCHAR",
        "outcome": "JSON",
        "prediction_id": "VARCHAR",
        "record": "VARCHAR",
    }
    return f"SELECT * FROM {read_json(paths, columns)}"


OUTCOMES_SQL: Final = """
    WITH told AS (
        SELECT * REPLACE (outcome::VARCHAR::TINYINT AS outcome,
                TRY_CAST(observed_at AS TIMESTAMPTZ) AS observed_at),
            coalesce(record, prediction_id) AS whom, record IS NOT NULL AS of_record
        FROM ({lines})
        WHERE isfinite(recorded_at) AND outcome::VARCHAR IN ('0', '1')
            AND (observed_at IS NULL OR isfinite(TRY_CAST(observed_at AS TIMESTAMPTZ)))
            AND coalesce(record, prediction_id) IS NOT NULL
    ), ordered AS (
        SELECT *, lag(outcome) OVER said AS outcome_before,
            lag(observed_at) OVER said AS observed_before,
            row_number() OVER said > 1 AS again
        FROM told
        WINDOW said AS (
            PARTITION BY of_record, whom ORDER BY recorded_at, observed_at, outcome
        )
    )
    SELECT recorded_at,
        least(coalesce(observed_at, recorded_at), recorded_at) AS observed_at,
        outcome, prediction_id, record AS record_id,
        coalesce(again AND outcome = outcome_before AND (
            observed_at = observed_before OR (
                observed_at IS NULL AND observed_before IS NULL AND NOT of_record
            )
        ), false) AS repeats,
        again AND outcome != outcome_before AS corrects
    FROM ordered
"""
"""Lines that tell of no outcome are left out."""


def readable(path: Path, folder: Path) -> Path:
    """Return a file of lines, or a copy of it if it holds a line that is too long.

    DuckDB would read nothing of the file. In the copy that line is none of a prediction
    or an outcome, so that it is counted.
    """
    with contextlib.suppress(FileNotFoundError):  # somebody has just removed it
        if _may_hold_long_line(path):
            return _shortened(path, folder / f"{secrets.token_hex(8)}.jsonl")
    return path


def _may_hold_long_line(path: Path) -> bool:
    """Look into each block of half a line's bytes: a long line fills one of them."""
    block = LINE_BYTES // 2
    with path.open("rb") as file:
        for start in range(0, path.stat().st_size - block + 1, block):
            file.seek(start)
            if not file.readline(block).endswith(b"\n"):
                return True
    return False


def _shortened(path: Path, copy: Path) -> Path:
    with path.open("rb") as file, copy.open("wb") as made:
        while line := file.readline(LINE_BYTES):
            is_whole = line.endswith(b"\n") or len(line) < LINE_BYTES
            made.write(line if is_whole else b"null\n")
            while not is_whole:
                rest = file.readline(LINE_BYTES)
                is_whole = rest.endswith(b"\n") or len(rest) < LINE_BYTES
    return copy


def read_json(paths: Sequence[str], columns: Mapping[str, str]) -> str:
    """Read lines of JSON; one that cannot be read is a row of NULLs."""
    if not paths:
        nulls = (f"NULL::{kind} AS {quoted(name)}" for name, kind in columns.items())
        return f"(SELECT {', '.join(nulls)} WHERE false)"
    kinds = (f"{quoted(name)}: {literal(kind)}" for name, kind in columns.items())
    return (
        f"read_json({literals(paths)}, format='newline_delimited', "
        f"ignore_errors=true, maximum_object_size={LINE_BYTES}, "
        f"columns={{{', '.join(kinds)}}})"
    )


def struct(
    types: Mapping[str, str], suffix: str = "", others: Mapping[str, str] | None = None
) -> str:
    """Name a type of structs; the suffix makes lists of its fields."""
    fields = [f"{quoted(name)} {kind}{suffix}" for name, kind in types.items()]
    fields += [f"{quoted(name)} {kind}" for name, kind in (others or {}).items()]
    return f"STRUCT({', '.join(fields)})"


def condition_sql(window: Window) -> str:
    """Say in SQL whether a row of `predictions` is in a window."""
    limits = []
    if window.since is not None:
        limits.append(f"time >= {literal(window.since)}")
    if window.until is not None:
        limits.append(f"time < {literal(window.until)}")
    if window.version is not None:
        limits.append(f"model_version = {literal(window.version)}")
    return " AND ".join(limits) or "true"


def quoted(name: str) -> str:
    """Write a name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | datetime) -> str:
    """Write a value in SQL."""
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat()}'"
    return "'" + value.replace("'", "''") + "'"


def literals(paths: Sequence[str]) -> str:
    """Write a list of paths in SQL.

    Raises
    ------
    LogStoreError
        A name is not UTF-8, as it has to be for DuckDB.
    """
    for path in paths:
        if HALF.search(path):
            msg = f"{path} cannot be read, as its name is not UTF-8. Rename it"
            raise LogStoreError(msg)
    return f"[{', '.join(map(literal, paths))}]"


# Files of Parquet.


def version_folder(version: str) -> str:
    """Name the folder of a version's answers in a closed day's."""
    return f"version={quote(version, safe='')}"


def sealed_name(stem: str, path: Path) -> str:
    """Name a whole file of Parquet, with its digest."""
    return f"{stem}{DIGEST}{_digest(path)}.parquet"


def verify(path: Path) -> None:
    """Refuse a damaged file.

    A file from before names held a digest has checksums of its pages.

    Raises
    ------
    LogStoreError
        It is damaged, or is not this log's.
    """
    try:
        if DIGEST not in path.stem:
            _verify_pages(path)
        elif path.stem.rpartition(DIGEST)[2] != _digest(path):
            why = "it is not what was written"
            raise _unreadable(str(path), why)
    except FileNotFoundError:
        return  # somebody has just removed it; the next list lacks it
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise _unreadable(str(path), str(error)) from error


def _verify_pages(path: Path) -> None:
    with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as parquet:
        parquet.schema_arrow.empty_table().select(["time", "answer.prediction_id"])
        for _ in parquet.iter_batches():
            pass


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_DIGITS]


def stem_of(path: Path) -> str:
    """Name the file of lines that a file of Parquet was made of."""
    return path.stem.partition(DIGEST)[0]


def _unreadable(what: str, why: str) -> LogStoreError:
    msg = (
        f"{what} cannot be read ({why}). Put the file back from a backup, "
        "or move it away and do without it"
    )
    return LogStoreError(msg)
