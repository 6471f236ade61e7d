"""Decisions about versions → what is true now.

That is which version is newest, and what staging and production stand for.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, get_args

from pydantic import AfterValidator, BaseModel, ValidationError, model_validator

from skewless.core.checkout import Checkout
from skewless.core.errors import ConfigError, ConflictError, DamagedLogError
from skewless.models.metadata import VERSION

Alias = Literal["staging", "production"]
ALIASES: Final[tuple[Alias, ...]] = get_args(Alias)
LARGEST_EVENT: Final = 2**20
"""Bytes; what is larger than this is no event.

A promotion with all its evidence takes some 3,000.
"""
LONGEST_SHOWN: Final = 40  # characters of what should be a time or a version
CLOCKS_APART: Final = timedelta(minutes=15)
"""How far another machine's clock may be ahead.

Amazon S3 refuses a request whose clock is further off.
"""


def _with_offset(time: str) -> str:
    """Accept a time that is the same moment for everybody who reads it."""
    try:
        moment = datetime.fromisoformat(time)
        moment.astimezone(UTC)  # the first and the last hours of all have no such time
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = (
            "must be a time with its offset as 2026-01-31T09:30:00+00:00, "
            f"and is {time[:LONGEST_SHOWN]!r}"
        )
        raise ValueError(msg)
    return time


Moment = Annotated[str, AfterValidator(_with_offset)]
"""A time as ISO 8601 writes it, with its offset from UTC.

An example is ``2026-01-31T09:30:00.000+00:00``.
"""


def _complete(name: str) -> str:
    """Accept the whole name of a version, which is also the name of a folder."""
    if not VERSION.fullmatch(name):
        msg = f"must be a version like 0.1.0-1a2b3c4d, and is {name[:LONGEST_SHOWN]!r}"
        raise ValueError(msg)
    return name


VersionName = Annotated[str, AfterValidator(_complete)]
"""The whole name of a version: ``0.1.0-1a2b3c4d``."""


class Check(BaseModel, frozen=True):
    """One piece of evidence; `passed` is None if it is missing."""

    name: str
    passed: bool | None
    said: str
    facts: dict[str, Any] = {}

    @property
    def line(self) -> str:
        """Say it to a person."""
        mark = {True: "passed", False: "FAILED", None: "MISSING"}[self.passed]
        return f"{mark:8}{self.name}: {self.said}"


class Decided(BaseModel, frozen=True, extra="ignore"):
    """What somebody did with a version, and why."""

    kind: Literal["register", "promote", "rollback", "reject"]
    version: VersionName
    alias: Alias | None = None
    """What was decided about; a registration is about none."""
    who: str
    reason: str | None = None
    before: VersionName | None = None
    """What held the alias until then."""
    evidence: tuple[Check, ...] = ()
    forced: bool = False
    """Whether evidence was overruled."""
    checkout: Checkout | None = None
    """Of the code that did it; None if nobody asked."""
    image_tag: str | None = None

    @model_validator(mode="after")
    def _names_an_alias(self) -> Self:
        """Refuse a decision about no alias, and a registration for one."""
        if self.kind != "register" and self.alias is None:
            msg = f"{self.kind} must name an alias ({', '.join(ALIASES)})"
            raise ValueError(msg)
        if self.kind == "register" and self.alias is not None:
            msg = f"register must name no alias, and names {self.alias}"
            raise ValueError(msg)
        return self


class Event(Decided, frozen=True):
    """A decision in its place in the log."""

    number: int
    time: Moment
    id: str = ""
    """Its own, whatever else two events have in common.

    An event from before there were ids has none.
    """


class State(NamedTuple):
    """What the events add up to."""

    newest: str | None
    """The version that was trained last, also if it existed before."""
    held: Mapping[Alias, tuple[str, ...]]
    """Alias → the versions that hold it one above the other.

    A rollback takes the uppermost away.
    """

    @property
    def needed(self) -> frozenset[str]:
        """The newest version, and those that hold an alias or can be rolled back to."""
        named = (self.newest, *chain.from_iterable(self.held.values()))
        return frozenset(version for version in named if version)

    def holder(self, alias: Alias) -> str | None:
        """Return the version that an alias stands for."""
        return self.held[alias][-1] if self.held[alias] else None


def fold(events: Sequence[Event]) -> State:
    """Add events up, from the first of the log on.

    Raises
    ------
    DamagedLogError
        A rollback goes to a version that was not below another in its alias.
    """
    newest = None
    held: dict[Alias, tuple[str, ...]] = dict.fromkeys(ALIASES, ())
    for event in events:
        if event.kind == "register":
            newest = event.version
        elif event.kind == "promote" and event.alias:
            held[event.alias] += (event.version,)
        elif event.kind == "rollback" and event.alias:
            held[event.alias] = _roll_back(held[event.alias], event)
    return State(newest, held)


def _roll_back(held: tuple[str, ...], event: Event) -> tuple[str, ...]:
    """Take away what lies above the last place of a version below the top."""
    places = [place for place, name in enumerate(held[:-1]) if name == event.version]
    if not places:
        why = "but no version held it"
        if held:
            why = f"which did not hold it before {held[-1]}"
        msg = (
            f"events/{event.number:08}.json: takes {event.alias} back to "
            f"{event.version}, {why}. "
            "This event or an earlier one is not what was written. "
            "Restore them from a backup"
        )
        raise DamagedLogError(msg)
    return held[: places[-1] + 1]


def refuse_rival(decided: Decided, meanwhile: Sequence[Event]) -> None:
    """Accept what happened meanwhile if the alias of a decision did not change hands.

    Raises
    ------
    ConflictError
        It did.
    """
    for event in meanwhile:
        done = {"promote": "promoted", "rollback": "rolled back to"}.get(event.kind)
        if done and decided.alias is not None and event.alias == decided.alias:
            msg = (
                f"{event.who} {done} {event.version} in {event.alias} meanwhile "
                f"(event {event.number}); nothing was recorded. "
                "Look at `registry history` and decide again"
            )
            raise ConflictError(msg)


def write_event(event: Event) -> bytes:
    """Return what the file of an event holds.

    Raises
    ------
    ConfigError
        It is larger than what is read again.
    """
    data = event.model_dump_json().encode()
    if len(data) > LARGEST_EVENT:
        msg = (
            f"the reason and the evidence take {len(data):,} bytes; "
            f"at most {LARGEST_EVENT:,} are allowed. "
            "Nothing was recorded. Give a shorter reason"
        )
        raise ConfigError(msg)
    return data


def parse_event(name: str, data: bytes, now: datetime) -> Event:
    """Read what a file of the log holds.

    Parameters
    ----------
    name
        Of the file.
    data
        Its content.
    now
        With its offset from UTC. Nothing was decided later.

    Raises
    ------
    DamagedLogError
        It is no event, or another than its name says, or from the future.
    """
    try:
        event = Event.model_validate_json(data)
    except ValidationError as error:
        msg = (
            f"events/{name}: is no event ({_first_fault(error)}). "
            "Restore it from a backup"
        )
        raise DamagedLogError(msg) from error
    if name != f"{event.number:08}.json":
        msg = f"events/{name}: holds event {event.number}. Give it back its name"
        raise DamagedLogError(msg)
    if datetime.fromisoformat(event.time) > now + CLOCKS_APART:
        msg = (
            f"events/{name}: was written at {event.time}, "
            f"and now it is {now.isoformat(timespec='seconds')}. "
            "Set the clock of this machine if that is wrong; "
            "else restore the event from a backup"
        )
        raise DamagedLogError(msg)
    return event


def _first_fault(error: ValidationError) -> str:
    """Name the first field that is wrong, and say why."""
    fault = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, fault["loc"]))
    why = fault["msg"].removeprefix("Value error, ")
    return f"{field}: {why}" if field else why
