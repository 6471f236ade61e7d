"""What became of records → lines that are on disk when the call returns.

Nothing is ever changed or removed. A correction is a later line. This is on the road of
requests: what reads the lines again is `labels`.
"""

import errno
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    create_model,
)

from skewless.core.answer import ID_DIGITS
from skewless.core.atomic import flush_folder, naming
from skewless.core.contract import Contract
from skewless.core.record import NO_CONTROLS, WHOLE
from skewless.core.sections import Privacy
from skewless.core.settings import Settings
from skewless.monitoring.line_log import last_byte, private, process_name
from skewless.monitoring.prediction_log import hiding

OUTCOMES = "outcomes"  # folder of these lines in the prediction log's
LINE: Final = TypeAdapter(dict[str, Any]).serializer

Lines = Callable[[], tuple[datetime, bytes]]
"""Takes the moment, and gives the lines that are recorded at it."""
Write = Callable[[Lines], datetime]
"""Puts lines on disk, asking for them late, and returns their moment.

If it cannot, it raises OSError and leaves none.
"""


def _as_moment(value: Any) -> Any:
    """Read ISO 8601 text only: numbers could be seconds, milliseconds or days."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


class _Outcome(BaseModel, extra="forbid", strict=True, frozen=True):
    outcome: Annotated[
        int,
        Field(
            ge=0,
            le=1,
            description="1: the event happened, 0: it did not; silence is not 0",
        ),
        WHOLE,
    ]
    observed_at: Annotated[
        AwareDatetime | None,
        Field(
            description="When it was seen, with an offset; default: when it is recorded"
        ),
        BeforeValidator(_as_moment),
    ] = None


class OfPrediction(_Outcome):
    """What became of the record of one answer."""

    prediction_id: Annotated[
        str, Field(pattern=f"^[0-9a-f]{{{ID_DIGITS}}}$", description="Of the answer")
    ]


class OfRecord(_Outcome):
    """What became of a record.

    It counts for all answers within `monitoring.outcome_days` before it.
    """

    record: str  # `outcome_models` gives it the contract's name and rules


Outcome = OfPrediction | OfRecord


@dataclass(frozen=True, eq=False)
class OutcomeModels:
    """What may be said of the records of a contract."""

    of_record: type[OfRecord]
    """By the contract's id."""
    several: Any
    """List of outcomes, each by exactly one of the two ids; the type, for pydantic."""


@cache
def outcome_models(contract: Contract) -> OutcomeModels:
    """Make the models of outcomes, once for a contract.

    Raises
    ------
    ConfigError
        The id's declaration lacks a length, or `NO_CONTROLS`.
    """
    shortest, longest = contract.id_length
    rules = Field(
        alias=contract.id,
        min_length=shortest,
        max_length=longest,
        description="As it was asked with",
    )
    of_record = create_model(
        "OfRecord",
        __base__=OfRecord,
        __doc__=OfRecord.__doc__,
        __module__=__name__,
        record=(Annotated[str, rules, NO_CONTROLS], ...),
    )

    def kind(said: Any) -> str:
        return (
            "prediction_id"
            if isinstance(said, dict) and "prediction_id" in said
            else contract.id
        )

    outcome = Annotated[
        Annotated[OfPrediction, Tag("prediction_id")]
        | Annotated[of_record, Tag(contract.id)],
        Discriminator(kind),
    ]
    return OutcomeModels(of_record, list[outcome])


class Outcomes:
    """Records outcomes, for one process.

    Parameters
    ----------
    write
        Where lines go.
    id_name
        The contract's id.
    privacy, settings
        As of the prediction log: a record's id is kept as it is there, so that the two
        can be joined.
    clock
        Tells the time.

    Raises
    ------
    ConfigError
        The id is to be hashed and there is no key.
    """

    def __init__(
        self,
        write: Write,
        id_name: str,
        privacy: Mapping[str, Privacy],
        *,
        settings: Settings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        hidden = hiding(privacy, settings)
        self._id = id_name
        self._takes_records = hidden.get(id_name, str) is not None
        self._hide: Callable[[Any], Any] = hidden.get(id_name) or str
        self._write, self._clock = write, clock
        self._lock = threading.Lock()

    def refusal(self, outcomes: Sequence[Outcome]) -> str | None:
        """Say why outcomes cannot be recorded; None if they can."""
        if self._takes_records or not any(
            isinstance(each, OfRecord) for each in outcomes
        ):
            return None
        return (
            f"monitoring.privacy drops {self._id}, so no prediction is known by it: "
            "send prediction_id"
        )

    def add(self, outcomes: Sequence[Outcome]) -> datetime:
        """Record all or none; return the moment from which on they are known.

        Raises
        ------
        OSError
            They could not be put on disk.
        """

        def lines() -> tuple[datetime, bytes]:
            moment = self._clock()
            return moment, b"".join(self._line(moment, each) for each in outcomes)

        with self._lock:  # so that lines are in the order of their moments
            return self._write(lines)

    def _line(self, moment: datetime, said: Outcome) -> bytes:
        facts = {"recorded_at": moment, **said.model_dump()}
        if isinstance(said, OfRecord):
            facts["record"] = self._hide(said.record)
        return LINE.to_json(facts) + b"\n"


class OutcomeFiles:
    """The files of one process in a folder, one a day, readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = process_name()

    def append(self, lines: Lines) -> datetime:
        """Put all lines on disk, or none, and return their moment.

        If that fails, what was written of them is taken back.

        Raises
        ------
        OSError
            The disk is full, read-only or broken.
        """
        # Both, as `parents` would not make the first private.
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        moment, data = lines()
        path = self._folder / f"{moment.date().isoformat()}.{self._process}.jsonl"
        with naming(path), open(path, "ab+", buffering=0, opener=private) as file:
            size = file.seek(0, os.SEEK_END)
            if size and last_byte(file) != b"\n":
                data = b"\n" + data  # ends what could not be taken back
            try:
                if file.write(data) < len(data):
                    raise OSError(  # noqa: TRY301 - as the system would say it
                        errno.ENOSPC, os.strerror(errno.ENOSPC)
                    )
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
        if not size:  # the names of a new file and perhaps folder
            flush_folder(self._folder)
            flush_folder(self._folder.parent)
        return moment
