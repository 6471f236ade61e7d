"""Decisions → the text of the Python files that know the table.

The project's formatter lays them out afterwards.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from skewless.adopt.decisions import Decisions
from skewless.adopt.fields import EPOCH, AdoptedField
from skewless.adopt.source import (
    require,
    with_body,
    with_cases,
    with_docstring_of,
    with_fields,
    with_value,
)
from skewless.core.errors import SkewlessError

EXACT: Final = 10**15  # from here on a float is written with its exponent
CASES_OF_A_KIND: Final = 2
UNUSED: Final = "del features  # it has no knob yet; this line goes with the first"


def render_schema(decided: Decisions, old: str) -> str:
    """Write schema.py anew: names of the table, words of the target, fields."""
    project = decided.project
    target = decided.target
    fields = [render_field(each.field) for each in decided.judged]
    source = _with_imports(
        old,
        "import datetime as dt\n",
        "from typing import Annotated, Final, Literal\n",
        "from skewless import DAY, NO_CONTROLS, WHOLE, Record, TableFormat\n",
    )
    source = with_value(source, "TABLE", _table_format(decided))
    header = " ".join(target.header.split())
    spelling = (
        "How the training table spells it: "
        f"1 where {header} is {target.words(1)}, 0 where it is {target.words(0)}."
    )
    source = with_docstring_of(source, "TABLE", spelling)
    source = with_fields(
        source, project.record.__name__, fields, keep=[project.table.id]
    )
    if decided.id is not None and decided.id.longest != project.contract.id_length[1]:
        source = re.sub(
            r"max_length=\d+", f"max_length={decided.id.longest}", source, count=1
        )
    return source


def _table_format(decided: Decisions) -> str:
    fields = [each.field for each in decided.judged]
    dates = {
        field.name: field.profile.date_format
        for field in fields
        if field.profile.date_format is not None
    }
    parts = {
        "id": decided.project.table.id,
        "target": decided.target_name,
        "outcomes": decided.target.meanings,
        "headers": _headers(decided),
        "dates": dates,
    }
    given = (f"{name}={value!r}" for name, value in parts.items() if value)
    return f"TableFormat({', '.join(given)})"


def _headers(decided: Decisions) -> dict[str, str]:
    names = {decided.target_name: decided.target.header}
    if decided.id is not None:
        names[decided.project.table.id] = decided.id.header
    names |= {each.field.name: each.field.profile.header for each in decided.judged}
    return {name: header for name, header in names.items() if name != header}


def _with_imports(source: str, *lines: str) -> str:
    """Import what any field may need; the linter takes away what none does."""
    for line in lines:
        module = " ".join(line.split()[:2])
        source = re.sub(rf"(?m)^{re.escape(module)} .*\n", "", source)
    first = re.search(r"(?m)^(import|from) ", source)
    place = first.start() if first else 0
    return source[:place] + "".join(lines) + source[place:]


def render_field(field: AdoptedField) -> str:
    """Write a field's declaration."""
    kinds = {"integer": "int", "number": "float", "boolean": "bool", "date": "dt.date"}
    values = ", ".join(map(repr, field.profile.values))
    kind = kinds.get(field.kind, f"Literal[{values}]")
    rules = ""
    if field.low is not None:
        rules = f"ge={_literal(field.low)}, le={_literal(field.high)}, "
    said = f"description={field.description!r}, examples=[{field.example!r}]"
    marker = {"integer": ", WHOLE", "date": ", DAY"}.get(field.kind, "")
    optional = " | None" if field.nullable else ""
    default = " = None" if field.nullable else ""
    return (
        f"{field.name}: Annotated[{kind}{optional}, "
        f"Field({rules}{said}){marker}]{default}"
    )


def _literal(bound: Any) -> str:
    if isinstance(bound, dt.date):
        return f"dt.date({bound.year}, {bound.month}, {bound.day})"
    if bound == int(bound) and abs(bound) < EXACT:
        return f"{int(bound):_}"
    return repr(float(bound))


def render_features(decided: Decisions, old: str, *, records: str) -> str:
    """Write features.py anew.

    Every number, truth value and date becomes a feature as it is, and each category has
    a column of its own. `records` is what `add_features` calls the record's columns.

    Raises
    ------
    SkewlessError
        The owner has changed what the new lines stand on.
    """
    fields = [each.field for each in decided.judged]
    record = decided.project.record
    plain = [
        f'"{field.name}": {records}["{field.name}"],'
        for field in fields
        if field.kind != "category"
    ]
    encoded = [
        f'**one_hot({records}, "{field.name}", {record.__name__}),'
        for field in fields
        if field.kind == "category"
    ]
    returned = "return {\n" + "\n".join(plain + encoded) + "\n}"
    try:
        require(old, "add_features", [records, "features"])
        source = _with_imports(
            old,
            "from skewless import Columns, one_hot\n",
            f"from {record.__module__} import {record.__name__}\n",
        )
        return with_body(source, "add_features", f"{UNUSED}\n    {returned}")
    except (LookupError, SyntaxError) as error:
        msg = (
            f"features.py cannot be written anew ({error}): "
            "put that back and adopt again"
        )
        raise SkewlessError(msg) from error


def render_config(old: str) -> str:
    """Write config.py anew: the features of another table have no knob yet.

    Raises
    ------
    SkewlessError
        The owner has changed what the new lines stand on.
    """
    try:
        return with_fields(old, "FeaturesConfig", [])
    except (LookupError, SyntaxError) as error:
        msg = (
            f"config.py cannot be written anew ({error}): put that back and adopt again"
        )
        raise SkewlessError(msg) from error


def render_known_values(decided: Decisions, old: str) -> str:
    """Write new cases for the test of features: those with values plain to see."""
    cases = list[str]()
    seen = Counter[str]()
    for each in decided.judged:
        kind = each.field.kind
        seen[kind] += 1
        if seen[kind] <= CASES_OF_A_KIND:
            cases += _cases(each.field)
    source = with_value(old, "FEATURES", "FeaturesConfig()")
    source = _with_imports(source, "import numpy as np\n")
    return with_cases(source, "[\n" + "\n".join(cases) + "\n]")


def _cases(field: AdoptedField) -> Iterator[str]:
    match field.kind:
        case "category":
            for value in field.profile.values[:CASES_OF_A_KIND]:
                yield _case(field, f"{field.name}_{value}", value == field.example)
        case "date":
            since = dt.date.fromisoformat(field.example) - EPOCH
            yield _case(field, field.name, since.days)
        case "boolean" if field.nullable:
            yield _case(field, field.name, float(field.example))
        case _:
            yield _case(field, field.name, field.example)
    if field.nullable:
        nothing = "False" if field.kind == "category" else "np.nan"
        yield f"({{{field.name!r}: None}}, {field.features[0]!r}, {nothing}),"


def _case(field: AdoptedField, feature: str, expected: Any) -> str:
    return f"({{{field.name!r}: {field.example!r}}}, {feature!r}, {expected!r}),"
