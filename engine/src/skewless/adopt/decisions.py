"""All that is decided about a foreign table.

That is the target, the id, the fields, what is left out and why, and a baseline.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from skewless.adopt.asked import Asked, id_position, position_of
from skewless.adopt.cells import PLAIN, Distinct, rows_without
from skewless.adopt.fields import (
    AdoptedField,
    LeftOut,
    adopted,
    split_usable,
    why_left_out,
)
from skewless.adopt.identity import (
    Identity,
    check_id,
    find_id,
    refuse_repeated,
    repeats,
)
from skewless.adopt.naming import Names, identifier
from skewless.adopt.profile import Profile, profile
from skewless.adopt.reading import Foreign
from skewless.adopt.target import Target, decide_target
from skewless.adopt.worth import Judged, Scorecard, judge, outcomes, sample
from skewless.adopt.written import Written, hints, settle
from skewless.core.errors import TableError
from skewless.core.project import Project

LEAK: Final = 0.99


@dataclass(frozen=True)
class Decisions:
    """What adoption came to."""

    project: Project[Any, Any]
    """The one that adopts the table."""
    foreign: Foreign
    written: Written
    target: Target
    target_name: str
    id: Identity | None
    judged: tuple[Judged, ...]
    """The fields, in the table's order, with what each is worth."""
    left_out: tuple[LeftOut, ...]
    baseline: Scorecard
    repeated: tuple[str, ...] = ()
    """Columns that look like an id and stand in several rows."""


def make_decisions(
    foreign: Foreign,
    asked: Asked,
    project: Project[Any, Any],
    *,
    say: Callable[[str], None],
) -> Decisions:
    """Decide everything about a table that a project is to adopt.

    Raises
    ------
    TableError
        The table is unfit; the message says what to do.
    AskedError
        The command line does not fit the table.
    """
    headers = foreign.headers
    id_field = project.table.id
    goal = position_of(asked.target, headers, role="TARGET")
    named = id_position(asked, headers, id_field=id_field)
    needed = {goal} if named is None else {goal, named}
    usable, left_out = split_usable(foreign, needed=needed)
    say(f"reading {foreign.rows:,} rows of {len(headers):,} columns")
    written = _written(foreign, [place for place in usable if place != named])
    target = _target(foreign, goal, written, positive=asked.positive)
    beside = [place for place in usable if place not in {goal, named}]
    profiles = {place: _profile(foreign, place, written) for place in beside}
    identity = _identity(
        foreign, named, profiles, project=project, may_look=asked.id is None
    )

    others = {
        place: each
        for place, each in profiles.items()
        if not identity or each.header != identity.header
    }
    wanted = identifier(target.header, goal + 1, id_field=id_field)
    names = Names(headers, target=wanted, header=target.header)
    fields, no_fields = _split_adopted(others, names, id_field=id_field)
    left_out += no_fields
    say("judging every column beside the target")
    judged = _judged(foreign, fields, written, target=(goal, target))
    left_out += [
        LeftOut(each.field.profile.header, _leak(each.auc))
        for each in judged
        if each.auc > LEAK
    ]
    kept = tuple(each for each in judged if each.auc <= LEAK)
    return Decisions(
        project,
        foreign,
        written,
        target,
        names.target,
        identity,
        kept,
        tuple(left_out),
        _baseline(kept, left_out),
        tuple(each.header for each in others.values() if repeats(each)),
    )


def _written(foreign: Foreign, places: Sequence[int]) -> Written:
    texts = [place for place in places if foreign.is_text(place)]
    found = (hints(Distinct.of(foreign.column(place))) for place in texts)
    return settle(found, delimiter=foreign.delimiter)


def _in_column(written: Written, foreign: Foreign, place: int) -> Written:
    """Numbers of a typed column are written plainly, whatever the table's texts are."""
    return written if foreign.is_text(place) else replace(written, style=PLAIN)


def _target(
    foreign: Foreign, place: int, written: Written, *, positive: str | None
) -> Target:
    column = foreign.column(place)
    missing = frozenset(written.missing)
    return decide_target(
        foreign.headers[place],
        Distinct.of(column).without(missing),
        missing=rows_without(column, missing),
        positive=positive,
    )


def _profile(foreign: Foreign, place: int, written: Written) -> Profile:
    return profile(
        foreign.headers[place],
        Distinct.of(foreign.column(place)),
        rows=foreign.rows,
        written=_in_column(written, foreign, place),
    )


def _identity(
    foreign: Foreign,
    named: int | None,
    profiles: Mapping[int, Profile],
    *,
    project: Project[Any, Any],
    may_look: bool,
) -> Identity | None:
    if named is not None:
        return check_id(
            foreign.headers[named],
            foreign.column(named),
            project,
            was_asked=not may_look,
        )
    if not may_look:
        return None
    found = find_id(list(profiles.values()))
    if found is None:
        refuse_repeated(list(profiles.values()))
        return None
    column = foreign.column(foreign.headers.index(found))
    return check_id(found, column, project, was_asked=False)


def _split_adopted(
    others: Mapping[int, Profile], names: Names, *, id_field: str
) -> tuple[dict[int, AdoptedField], list[LeftOut]]:
    """Part the columns: fields of those that can be one, the others with the reason."""
    fields = dict[int, AdoptedField]()
    left_out = list[LeftOut]()
    for place, found in others.items():
        reason = why_left_out(found)
        if reason:
            left_out.append(LeftOut(found.header, reason))
        else:
            wanted = identifier(found.header, place + 1, id_field=id_field)
            fields[place] = adopted(found, names, wanted)
    return fields, left_out


def _judged(
    foreign: Foreign,
    fields: Mapping[int, AdoptedField],
    written: Written,
    *,
    target: tuple[int, Target],
) -> list[Judged]:
    goal, meaning = target
    known = outcomes(sample(foreign.column(goal)), meaning)
    return [
        judge(
            field,
            sample(foreign.column(place)),
            written=_in_column(written, foreign, place),
            target=known,
        )
        for place, field in fields.items()
    ]


def _leak(auc: float) -> str:
    return (
        f"alone it tells the outcome (AUC {auc:.3f}): "
        "it was most likely written after the outcome, so a request cannot have it"
    )


def _baseline(kept: Sequence[Judged], left_out: Sequence[LeftOut]) -> Scorecard:
    """Choose the scorecard that separates best.

    Raises
    ------
    TableError
        No column is left.
    """
    cards = [card for each in kept for card in each.cards]
    if not cards:
        msg = "no column is left to predict by"
        raise TableError(msg, *(f"  {each.header}: {each.why}" for each in left_out))
    return max(cards, key=lambda card: card.auc)
