"""A line of the log and a record → what is left of the line without it."""

import json
from typing import Any, NamedTuple


class Whose(NamedTuple):
    """A record, and which predictions are its."""

    id_name: str
    names: frozenset[str]
    ids: frozenset[str]
    """Of its predictions."""
    held: frozenset[str] = frozenset()
    """Of those on which something hangs that is left behind: they stay, too.

    Else the next run could not tell whose that is.
    """


# What a line holds of a record: what is left of it, and the ids of the predictions that
# go, None for an outcome that names none.
Split = tuple[bytes, list[str | None]]


def split_hanging(line: bytes, whose: Whose) -> Split:
    """Split a line that tells of a record or a prediction: an outcome, a challenge."""
    entry = _entry(line)
    record, prediction = _text(entry.get("record")), _text(entry.get("prediction_id"))
    is_gone = prediction in whose.ids if record is None else record in whose.names
    return (b"", [prediction]) if is_gone else (line, [])


def split_answers(line: bytes, whose: Whose) -> Split:
    """Split a line with one prediction or with rows of them."""
    # Without a backslash, an id stands in a line as it is.
    if b"\\" not in line and not any(name.encode() in line for name in whose.names):
        return line, []
    entry = _entry(line)
    records, answers = entry.get("records"), entry.get("answers")
    if isinstance(records, dict) and isinstance(answers, dict):
        return _split_rows(line, entry, whose)
    record, answer = entry.get("record"), entry.get("answer")
    if not isinstance(record, dict) or not isinstance(answer, dict):
        return line, []
    prediction = _text(answer.get("prediction_id"))
    is_gone = _is_gone(_text(record.get(whose.id_name)), prediction, whose)
    return (b"", [prediction]) if is_gone else (line, [])


def _split_rows(line: bytes, entry: dict[str, Any], whose: Whose) -> Split:
    names = entry["records"].get(whose.id_name)
    predictions = entry["answers"].get("prediction_id")
    if not isinstance(names, list) or not isinstance(predictions, list):
        return line, []
    rows = zip(map(_text, names), map(_text, predictions), strict=False)
    gone = {
        row: prediction
        for row, (name, prediction) in enumerate(rows)
        if _is_gone(name, prediction, whose)
    }
    if not gone:
        return line, []
    if len(gone) == len(names):
        return b"", list(gone.values())
    for part in ("records", "answers"):
        entry[part] = {
            name: [cell for row, cell in enumerate(cells) if row not in gone]
            if isinstance(cells, list)
            else cells
            for name, cells in entry[part].items()
        }
    try:
        text = json.dumps(
            entry, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
        return text.encode() + b"\n", list(gone.values())
    except ValueError:  # what JSON cannot hold; `_refuse_rest` finds the row
        return line, []


def _is_gone(name: str | None, prediction: str | None, whose: Whose) -> bool:
    return name in whose.names and prediction not in whose.held


def _text(cell: Any) -> str | None:
    """Write a cell as the views read it."""
    return cell if isinstance(cell, str | None) else json.dumps(cell)


def _entry(line: bytes) -> dict[str, Any]:
    """Read a line; one that is none has no field."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
