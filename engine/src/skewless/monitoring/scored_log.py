"""Scored rows → the prediction log.

The rows of a file are logged once, however often its scoring is begun.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, TypeAdapter
from sqlalchemy.exc import SQLAlchemyError

from skewless.core.answer import Answer, Answered, Source
from skewless.core.arrays import as_dates, to_json
from skewless.core.atomic import flush_folder, naming
from skewless.core.contract import Column, Contract
from skewless.core.errors import ConfigError, LogStoreError
from skewless.core.project import Project
from skewless.core.sections import Privacy
from skewless.core.settings import load_settings
from skewless.core.workspace import Workspace
from skewless.models.artifact import sha256
from skewless.monitoring.line_log import private
from skewless.monitoring.place import COMPACT, Database, find_database, open_log
from skewless.monitoring.postgres import engine
from skewless.monitoring.postgres_log import REFUSED, Part, insert_parts, make_tables
from skewless.monitoring.prediction_log import PredictionLog

LOG: Final = logging.getLogger(__name__)
SLICE: Final = 1000  # lines that go to the database at a time


class Batch(NamedTuple):
    """What the log has to know of a part of a file."""

    time: float
    request_id: str
    route: str = "score"


@dataclass(frozen=True)
class Keeper:
    """Keeps scored rows, wherever it is called.

    Secrets come from the environment there.
    """

    project: Project[Any, Any]
    folder: Path
    privacy: Mapping[str, Privacy]
    in_database: bool

    def __call__(
        self, key: str, source: Source, *, records: pd.DataFrame, answers: pa.Table
    ) -> None:
        """Keep a part, unless it was kept before.

        Raises
        ------
        ConfigError
            A column is to be hashed and there is no key, or a worker knows no database
            and others do.
        LogStoreError
            The database does not take them.
        """
        if not len(answers):
            return
        settings = load_settings(self.project.prefix)
        database = find_database(settings)
        if self.in_database != (database is not None):
            variable = settings.variable("log_url")
            msg = (
                f"{variable} is not the same where a worker runs. "
                "Set it there, or nowhere"
            )
            raise ConfigError(msg)
        name = sha256(key.encode())[:16]
        contract = self.project.contract
        file = _File(self.folder, f"score-{name}-{answers['row'][0]}")
        place = file if database is None else _Table(database, contract.id, file)
        predictions = _predictions(answers, source, name)
        answered = Answered(records_of(records, contract), predictions, source, None)
        log = PredictionLog(place, self.privacy, settings, in_columns=database is None)
        log.observe(Batch(time.time(), f"score-{name}"), answered)


def keeper(work: Workspace) -> Keeper:
    """Say where scored rows are kept.

    Raises
    ------
    ConfigError
        Nowhere.
    """
    log = open_log(work)
    privacy = work.config.monitoring.privacy
    return Keeper(
        work.project, log.folder, privacy, in_database=log.database is not None
    )


class _File(NamedTuple):
    """A file of the log, by a name that only this part has."""

    folder: Path
    part: str

    def put(
        self,
        time: datetime,
        lines: bytes,
        count: int,  # noqa: ARG002 - as the log's other places
    ) -> None:
        """Write all lines or none."""
        patterns = (f"*.{self.part}.*", f"{COMPACT}/*/*/*.{self.part}.*")
        if any(chain.from_iterable(map(self.folder.glob, patterns))):
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.folder / f".{self.part}.{os.getpid()}"
        path = self.folder / f"{time.date()}.{self.part}.000.jsonl"
        try:
            with (
                naming(path, unfinished),
                open(unfinished, "wb", opener=private) as file,
            ):
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        flush_folder(self.folder)

    def close(self) -> None:
        """Do nothing: what was put is written."""


class _Table(NamedTuple):
    """The log's table, which knows an id that it has already.

    `aside` takes the rows that the table refuses.
    """

    database: Database
    id_name: str
    aside: _File

    def put(
        self,
        time: datetime,
        lines: bytes,
        count: int,  # noqa: ARG002 - as the log's other places
    ) -> None:
        """Write the lines, or raise a LogStoreError; those that it took stay there."""
        connected = engine(self.database)
        refused: list[tuple[Part, str]] = []
        try:
            with connected.connect() as connection:
                make_tables(connection)
                for some in _slices(time, lines):
                    refused += insert_parts(connection, some, self.id_name)
        except SQLAlchemyError as error:
            msg = (
                f"{self.database.variable}: it does not take predictions "
                f"({type(error).__name__}). Is it up?"
            )
            raise LogStoreError(msg) from error
        finally:
            connected.dispose()
        if refused:
            LOG.warning("%s: %d, %s", REFUSED, len(refused), refused[0][1])
            self.aside.put(time, b"".join(part[1] for part, _ in refused), len(refused))

    def close(self) -> None:
        """Do nothing: what was put is written."""


def _slices(time: datetime, lines: bytes) -> Iterator[list[Part]]:
    split = lines.splitlines(keepends=True)
    for start in range(0, len(split), SLICE):
        yield [(time, line, 1) for line in split[start : start + SLICE]]


def records_of(records: pd.DataFrame, contract: Contract) -> list[BaseModel]:
    """Turn checked rows into records as a request holds them."""
    cells = {column.name: _values(records, column) for column in contract.columns}
    ids = records[contract.id]
    cells[contract.id] = ids.astype(object).where(ids.notna(), None).tolist()
    rows = [
        dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)
    ]
    return _list_of(contract.record).validate_python(rows, strict=False)


@cache
def _list_of(record: Any) -> TypeAdapter[list[BaseModel]]:
    return TypeAdapter(list[record])


def _values(records: pd.DataFrame, column: Column) -> list[Any]:
    values = records[column.name].to_numpy()
    return (
        list(as_dates(values).tolist())
        if column.kind == "date"
        else to_json(values, column)
    )


def _predictions(answers: pa.Table, source: Source, name: str) -> list[Answer]:
    names = ("probability", "decision", "tier", "row")
    return [
        Answer(
            probability,
            decision,
            tier,
            source.version,
            source.trained_at,
            f"{name}{row:016x}",
        )
        for probability, decision, tier, row in zip(
            *(answers[each].to_pylist() for each in names), strict=True
        )
    ]
