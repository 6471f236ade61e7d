"""Scored rows → the prediction log; those of a file once, however often its scoring is begun."""

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

from churn_service.arrays import as_dates, to_json
from churn_service.artifact import sha256
from churn_service.atomic import flush_folder, naming
from churn_service.contract import Column, Contract
from churn_service.decision import Source
from churn_service.errors import ConfigError, LogStoreError
from churn_service.messages import Answered, Prediction
from churn_service.monitoring.history import COMPACT
from churn_service.monitoring.line_log import private
from churn_service.monitoring.place import open_log
from churn_service.monitoring.postgres import engine
from churn_service.monitoring.postgres_log import REFUSED, Part, insert_parts, make_tables
from churn_service.monitoring.prediction_log import PredictionLog
from churn_service.seam import Project
from churn_service.service_sections import Privacy
from churn_service.settings import load_settings
from churn_service.url import Url
from churn_service.workspace import Workspace

LOG: Final = logging.getLogger(__name__)
SLICE: Final = 1000  # lines that go to the database at a time


class Batch(NamedTuple):
    """What the log has to know of a part of a file."""

    time: float
    request_id: str
    route: str = "score"


@dataclass(frozen=True)
class Keeper:
    """Keeps scored rows, wherever it is called: secrets come from the environment there."""

    project: Project[Any, Any]
    folder: Path
    privacy: Mapping[str, Privacy]
    in_database: bool

    def __call__(self, key: str, source: Source, *, customers: pd.DataFrame, answers: pa.Table) -> None:
        """Keep a part, unless it was kept before.

        Raises
        ------
        ConfigError
            A column is to be hashed and there is no key, or a worker knows no database and others do.
        LogStoreError
            The database does not take them.
        """
        if not len(answers):
            return
        settings = load_settings(self.project.prefix)
        if self.in_database != (settings.log_url is not None):
            msg = "CHURN_LOG_URL is not the same where a worker runs. Set it there, or nowhere"
            raise ConfigError(msg)
        name = sha256(key.encode())[:16]
        contract = self.project.contract
        file = _File(self.folder, f"score-{name}-{answers['row'][0]}")
        place = file if settings.log_url is None else _Table(settings.log_url, contract.id, file)
        predictions = _predictions(answers, source, name)
        answered = Answered(_records(customers, contract), predictions, source, None)
        log = PredictionLog(place, self.privacy, settings.hash_key)
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
    return Keeper(work.project, log.folder, privacy, in_database=log.url is not None)


class _File(NamedTuple):
    """A file of the log, by a name that only this part has."""

    folder: Path
    part: str

    def put(self, time: datetime, lines: bytes, count: int) -> None:  # noqa: ARG002 - as the log's other places
        """Write all lines or none."""
        patterns = (f"*.{self.part}.*", f"{COMPACT}/*/*/*.{self.part}.*")
        if any(chain.from_iterable(map(self.folder.glob, patterns))):
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.folder / f".{self.part}.{os.getpid()}"
        path = self.folder / f"{time.date()}.{self.part}.000.jsonl"
        try:
            with naming(path, unfinished), open(unfinished, "wb", opener=private) as file:
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
    """The log's table, which knows an id that it has already; `aside` takes the rows that it refuses."""

    url: Url
    id_name: str
    aside: _File

    def put(self, time: datetime, lines: bytes, count: int) -> None:  # noqa: ARG002 - as the log's other places
        """Write the lines, or raise a LogStoreError; those that it took stay there."""
        database = engine(self.url)
        refused: list[tuple[Part, str]] = []
        try:
            with database.connect() as connection:
                make_tables(connection)
                for some in _slices(time, lines):
                    refused += insert_parts(connection, some, self.id_name)
        except SQLAlchemyError as error:
            msg = f"CHURN_LOG_URL: it does not take predictions ({type(error).__name__}). Is it up?"
            raise LogStoreError(msg) from error
        finally:
            database.dispose()
        if refused:
            LOG.warning("%s: %d, %s", REFUSED, len(refused), refused[0][1])
            self.aside.put(time, b"".join(part[1] for part, _ in refused), len(refused))

    def close(self) -> None:
        """Do nothing: what was put is written."""


def _slices(time: datetime, lines: bytes) -> Iterator[list[Part]]:
    split = lines.splitlines(keepends=True)
    for start in range(0, len(split), SLICE):
        yield [(time, line, 1) for line in split[start : start + SLICE]]


def _records(customers: pd.DataFrame, contract: Contract) -> list[BaseModel]:
    cells = {column.name: _values(customers, column) for column in contract.columns}
    ids = customers[contract.id]
    cells[contract.id] = ids.astype(object).where(ids.notna(), None).tolist()
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    return _list_of(contract.record).validate_python(rows, strict=False)


@cache
def _list_of(record: Any) -> TypeAdapter[list[BaseModel]]:
    return TypeAdapter(list[record])


def _values(customers: pd.DataFrame, column: Column) -> list[Any]:
    values = customers[column.name].to_numpy()
    return list(as_dates(values).tolist()) if column.kind == "date" else to_json(values, column)


def _predictions(answers: pa.Table, source: Source, name: str) -> list[Prediction]:
    names = ("churn_probability", "churn_prediction", "risk_tier", "row")
    return [
        Prediction(probability, churns, tier, source.version, source.trained_at, f"{name}{row:016x}")
        for probability, churns, tier, row in zip(*(answers[each].to_pylist() for each in names), strict=True)
    ]
