"""Bytes of a prediction log → flat tables, and which of its lines are whole."""

import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, Final

import pandas as pd
import pyarrow as pa
import pyarrow.json

BYTES: Final = 16 * 1024 * 1024  # of a block; fewer than 100,000 lines, as none is shorter than 200 bytes
TEXT: Final = pa.string()  # said of what Arrow might take for a time
ANSWER: Final = ("risk_tier", "model_version", "trained_at", "prediction_id")
NEEDED: Final = ("time", "answer.model_version", "answer.prediction_id")
SCHEMA: Final = pa.schema(
    {
        "time": pa.timestamp("us", tz="UTC"),
        "request_id": TEXT,
        "source": TEXT,
        "customer": pa.struct([]),
        "answer": pa.struct([(name, TEXT) for name in ANSWER]),
    }
)


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """Cut a file into blocks that end where a line does."""
    rest = b""
    while data := file.read(BYTES):
        block, newline, rest = (rest + data).rpartition(b"\n")
        if newline:
            yield block
    if rest:
        yield rest


def table(block: bytes) -> pa.Table:
    """Read lines that are all whole.

    Returns
    -------
    Table
        A row per line: time, request_id, source, threshold, latency_ms, `customer.…`, `answer.…`.

    Raises
    ------
    ArrowInvalid
        A line is not whole, or what one holds as a number another holds as text.
    """
    found = _read(block, SCHEMA)
    times = [field.name for field in found.schema.field("customer").type if pa.types.is_temporal(field.type)]
    if times:  # texts that look like one
        customer = pa.struct([(name, TEXT) for name in times])
        found = _read(block, SCHEMA.set(SCHEMA.get_field_index("customer"), pa.field("customer", customer)))
    flat = found.flatten()
    if found["customer"].null_count or any(flat[name].null_count for name in NEEDED):
        msg = "a line lacks its time, customer or answer"
        raise pa.ArrowInvalid(msg)
    return flat


def read_block(block: bytes) -> tuple[pd.DataFrame, int]:
    """Read the lines that are whole, of any shape; return them and how many others there are."""
    try:
        return table(block).to_pandas(), 0
    except pa.ArrowInvalid:
        lines, unreadable = whole_lines(block)
    if not lines:
        return pd.DataFrame(), unreadable
    try:
        return table(b"\n".join(lines)).to_pandas(), unreadable
    except pa.ArrowInvalid:  # privacy was changed: what was a number is a hash
        frame = pd.json_normalize([json.loads(line) for line in lines], max_level=1)
        times = pd.to_datetime(frame["time"], format="ISO8601", utc=True)
        return frame.assign(time=times), unreadable


def whole_lines(block: bytes) -> tuple[list[bytes], int]:
    """Return the lines that tell of a prediction, and how many others there are."""
    lines = block.split(b"\n")
    whole = [line for line in lines if _is_whole(line)]
    return whole, len(lines) - len(whole)


def _read(block: bytes, schema: pa.Schema) -> pa.Table:
    return pyarrow.json.read_json(
        io.BytesIO(block),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    )


def _is_whole(line: bytes) -> bool:
    try:
        entry = json.loads(line)
        datetime.fromisoformat(entry["time"])
        named = all(isinstance(entry["answer"][name], str) for name in ("model_version", "prediction_id"))
        return named and isinstance(entry["customer"], dict)
    except (ValueError, KeyError, TypeError):
        return False
