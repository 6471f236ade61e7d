"""Decisions → what a person reads.

It says what was decided and why, what was left out, and what to look at.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from skewless.adopt.decisions import Decisions
from skewless.adopt.fields import AdoptedField

SUSPICIOUS: Final = 0.95
RARE: Final = 0.2
FEW_ROWS: Final = 1_000
SHOWN: Final = 6
UNCOMMITTED: Final = "data/"
# A target of make that a project without the service has not.
RUN: Final = re.compile(r"(?m)^run:")
CUT_AT: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def summary(decided: Decisions, path: str) -> Iterator[str]:
    """Tell what was decided, in lines; `path` is the table, as config.yaml names it."""
    yield from _told_of_table(decided)
    yield from _told_of_columns(decided)
    yield ""
    yield "to look at"
    yield from (f"- {line}" for line in _to_look_at(decided, path))
    yield ""


def next_steps(
    written: Sequence[str], removed: Sequence[str], makefile: str, *, in_git: bool
) -> Iterator[str]:
    """Tell what was written and removed, what comes next, and how it is taken back."""
    yield f"written: {', '.join(written)}"
    if removed:
        yield f"removed, as it only makes projects: {', '.join(removed)}"
    last = "make run" if RUN.search(makefile) else "make train"
    if in_git:
        yield (
            f"next: git diff, make test, {last}; "
            "git restore with those names takes it back"
        )
    else:
        yield (
            f"next: make test, {last}; "
            "git does not have these files, so nothing takes this adoption back"
        )


def _told_of_table(decided: Decisions) -> Iterator[str]:
    foreign = decided.foreign
    form = decided.written
    target = decided.target
    way = "Parquet"
    if not foreign.is_parquet:
        way = f"{foreign.encoding}, cut at {CUT_AT[foreign.delimiter]}"
    example = f"1{form.style.thousands or ''}234{form.style.decimal}5"
    missing = ", ".join(map(repr, form.missing))
    yield (
        f"{foreign.path.name}: {foreign.rows:,} rows, "
        f"{len(foreign.headers):,} columns; {way}"
    )
    yield f"numbers are written {example}; missing is {missing}"
    yield (
        f"target: {target.header!r} ({decided.target_name}), "
        f"1 is {target.words(1)} ({target.share:.1%}), 0 is {target.words(0)}"
    )
    if decided.id is None:
        yield "id: no column; each row gets one made of its cells"
    else:
        how = "by its name and because no value comes twice"
        if decided.id.was_asked:
            how = "as you said"
        yield f"id: {decided.id.header!r} ({decided.project.table.id}), {how}"
    card = decided.baseline
    yield (
        f"baseline: {card.column} in {len(card.cuts) + 1} intervals, AUC {card.auc:.3f}"
    )


def _told_of_columns(decided: Decisions) -> Iterator[str]:
    width = max(len(each.field.name) for each in decided.judged)
    yield ""
    yield f"{len(decided.judged)} fields"
    yield from (
        f"  {each.field.name:{width}}  {_rule(each.field)}" for each in decided.judged
    )
    if decided.left_out:
        yield ""
        yield f"left out: {len(decided.left_out)} of the columns"
        yield from (f"  {gone.header}: {gone.why}" for gone in decided.left_out)


def _rule(field: AdoptedField) -> str:
    found = field.profile
    match field.kind:
        case "category":
            values = [repr(value) for value in found.values[:SHOWN]]
            rest = f" … {len(found.values)} values" if len(found.values) > SHOWN else ""
            said = f"one of {', '.join(values)}{rest}"
        case "boolean":
            said = "true or false"
        case "date":
            said = f"date, {field.low} to {field.high}"
        case kind:
            seen = f"seen {found.minimum:,.12g} to {found.maximum:,.12g}"
            said = f"{kind}, {field.low:,.12g} to {field.high:,.12g} ({seen})"
    if not field.nullable:
        return said
    return f"{said}, or missing ({found.missing / found.rows:.1%})"


def _to_look_at(decided: Decisions, path: str) -> Iterator[str]:
    fields = [each.field for each in decided.judged]
    yield (
        "a request with a number outside these ranges, or another category, "
        "is refused: see schema.py"
    )
    needed = [field.name for field in fields if not field.nullable]
    if needed:
        yield f"never missing here, so every request must have it: {_listed(needed)}"
    dates = [field.name for field in fields if field.kind == "date"]
    if dates:
        yield (
            "a date moves on, and a model cannot follow: "
            f"make an age of it upstream: {_listed(dates)}"
        )
    for each in decided.judged:
        yield from (f"{each.field.name}: {note}" for note in each.field.profile.notes)
        if each.auc > SUSPICIOUS:
            yield (
                f"{each.field.name}: alone it nearly tells the outcome "
                f"(AUC {each.auc:.3f}); known before?"
            )
    yield from _about_rows(decided)
    if not path.startswith(UNCOMMITTED):
        yield (
            f"{path}: git leaves {UNCOMMITTED} alone, so move the table there, "
            "and name its new place as data.path in config.yaml"
        )
    yield "the example of a request in README.md is of the template's own table"


def _about_rows(decided: Decisions) -> Iterator[str]:
    rarer = min(decided.target.share, 1 - decided.target.share)
    if rarer < RARE:
        yield (
            f"the rarer outcome is {rarer:.1%} of the rows: "
            "is decision.threshold right for it?"
        )
    if decided.foreign.rows < FEW_ROWS:
        yield (
            f"{decided.foreign.rows:,} rows are few: "
            "the figures of the holdout will be uncertain"
        )
    if decided.repeated:
        yield (
            "rows of one id may be on both sides of the holdout: "
            f"{_listed(decided.repeated)} repeats. data.group in config.yaml names the "
            "column that keeps them on one"
        )
    if decided.id is None:
        yield (
            "without an id a corrected row is a new one "
            "and may change its side of the holdout: see ID="
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return shown + more
