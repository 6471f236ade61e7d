"""Bytes of a prediction log → flat tables with a row per prediction.

It also tells which lines are those of a prediction.
"""

import contextlib
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, BinaryIO, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from pydantic import BaseModel, BeforeValidator, Field

# Of a block: fewer than 100,000 lines, as none is shorter than 200 bytes.
BYTES: Final = 16 * 1024 * 1024
TEXT: Final = pa.string()  # said of what Arrow might take for a time
ANSWER: Final = {"probability": pa.float64(), "decision": pa.bool_()} | dict.fromkeys(
    ("tier", "model_version", "trained_at", "prediction_id"), TEXT
)
NEEDED: Final = ("probability", "decision", "model_version", "prediction_id")
SCHEMA: Final = pa.schema(
    {
        "time": pa.timestamp("us", tz="UTC"),
        **dict.fromkeys(("request_id", "source"), TEXT),
        **dict.fromkeys(("threshold", "latency_ms"), pa.float64()),
        "record": pa.struct([]),
        "answer": pa.struct(ANSWER),
    }
)
EMPTY: Final = SCHEMA.empty_table().flatten()
KNOWN: Final = frozenset(EMPTY.column_names)
NO_SHAPE: Final = bytes(set(range(256)) - set(b"{}[]\n"))


class _Answer(BaseModel, strict=True):
    probability: Annotated[float, Field(ge=0, le=1)]
    decision: bool
    tier: str | None = None
    model_version: str
    trained_at: str | None = None
    prediction_id: str


class _Line(BaseModel, strict=True):
    """What tells of a prediction; fields that it does not name are left out."""

    # Without an offset: UTC.
    time: Annotated[datetime, BeforeValidator(datetime.fromisoformat)]
    request_id: str | None = None
    source: str | None = None
    threshold: float | None = None
    latency_ms: float | None = None
    record: dict[str, str | int | float | bool | None]
    answer: _Answer


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """Cut a file into blocks that end where a line does."""
    rest = b""
    while data := file.read(BYTES):
        block, newline, rest = (rest + data).rpartition(b"\n")
        if newline:
            yield block
    if rest:
        yield rest


def table(block: bytes) -> tuple[pa.Table, int]:
    """Read the lines that are whole; return them and how many others there are.

    Returns
    -------
    tuple of Table and int
        A row per line: time, request_id, source, threshold, latency_ms, `record.…`,
        `answer.…`.

    Raises
    ------
    ArrowInvalid
        What a line holds as a number another holds as text.
    """
    # A record and an answer in each line, and nothing deeper: else Arrow may crash.
    plain = b"{{}{}}\n" * (block.count(b"\n") + 1)
    if block.translate(None, NO_SHAPE) + b"\n" == plain:
        with contextlib.suppress(ValueError):
            block.decode()  # Arrow would not mind what is no UTF-8
            return _table(block), 0
    lines, unreadable = whole_lines(block)
    return (_table(b"\n".join(lines)) if lines else EMPTY), unreadable


def read_block(block: bytes) -> tuple[pd.DataFrame, int]:
    """Read the lines that are whole; return them and how many others there are.

    A column may be a number in one line and text in another.
    """
    try:
        rows, unreadable = table(block)
        return rows.to_pandas(), unreadable
    except pa.ArrowInvalid:  # privacy was changed: what was a number is a hash
        lines, unreadable = whole_lines(block)
        frame = pd.json_normalize([json.loads(line) for line in lines], max_level=1)
        frame["time"] = pd.to_datetime(frame["time"], format="ISO8601", utc=True)
        return frame, unreadable


def whole_lines(block: bytes) -> tuple[list[bytes], int]:
    """Return the lines that tell of a prediction, and how many others there are.

    Fields that do not belong to a prediction are left out of the lines.
    """
    lines = block.split(b"\n")
    whole = [line for line in map(_whole, lines) if line]
    return whole, len(lines) - len(whole)


def _table(block: bytes) -> pa.Table:
    found = _read(block, SCHEMA)
    times = [
        field.name
        for field in found.schema.field("record").type
        if pa.types.is_temporal(field.type)
    ]
    if times:  # texts that look like one
        record = pa.struct([(name, TEXT) for name in times])
        found = _read(
            block,
            SCHEMA.set(SCHEMA.get_field_index("record"), pa.field("record", record)),
        )
    flat = found.flatten()
    chance = flat["answer.probability"]
    possible = pc.and_(pc.greater_equal(chance, 0), pc.less_equal(chance, 1))
    needed = [
        found["time"],
        found["record"],
        *(flat[f"answer.{name}"] for name in NEEDED),
    ]
    if any(column.null_count for column in needed) or not pc.all(possible).as_py():
        raise pa.ArrowInvalid
    return flat.select(
        [
            name
            for name in flat.column_names
            if name in KNOWN or name.startswith("record.")
        ]
    )


def _read(block: bytes, schema: pa.Schema) -> pa.Table:
    found = pyarrow.json.read_json(
        io.BytesIO(block),
        read_options=pyarrow.json.ReadOptions(
            use_threads=False, block_size=len(block) + 1
        ),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer"
        ),
    )
    return found.select(schema.names)


def _whole(line: bytes) -> bytes | None:
    try:
        return _Line.model_validate(json.loads(line)).model_dump_json().encode()
    except (ValueError, TypeError, RecursionError):
        return None
