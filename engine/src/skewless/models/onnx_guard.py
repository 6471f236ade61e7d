"""ONNX bytes → nothing, or a refusal.

A model must hold its own weights and use standard operators only.

The serving image has ONNX Runtime but not the `onnx` package, so this reads the few
protobuf fields it needs. Field numbers:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Wire format:
https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

from skewless.core.errors import UnsafeModelError

# Wire types that begin with a varint: the value itself, or the length of what follows.
NUMBER = 0
BYTES = 2
LONGEST_KEY = 2**32
CONTINUES = 0x80  # bit of a byte after which the varint goes on
FIXED = {1: 8, 5: 4}  # wire types of fixed length → bytes
SIZED = {BYTES, *FIXED}
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

# Message → field number → the message in that field, a domain name, or external data.
MESSAGES = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute", 7: "domain"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "function": {7: "node", 9: "opset", 10: "domain", 11: "attribute"},
    "sparse": {1: "tensor", 2: "tensor"},
    "opset": {1: "domain"},
    "tensor": {13: "external", 14: "location"},
}


def check_onnx(model: bytes) -> None:
    """Refuse a model that reads other files or uses operators outside ONNX's standard.

    Raises
    ------
    UnsafeModelError
        Names what was found.
    """
    try:
        _check(memoryview(model), "model")
    except (IndexError, UnicodeDecodeError, RecursionError) as error:
        msg = "model.onnx is not an ONNX file"
        raise UnsafeModelError(msg) from error


def _check(data: memoryview, message: str) -> None:
    for number, value in _fields(data):
        meaning = MESSAGES[message].get(number)
        if meaning in {"external", "location"} and value != 0:
            msg = "model.onnx keeps weights in other files; they must be inside it"
            raise UnsafeModelError(msg)
        if meaning is None or not isinstance(value, memoryview):
            continue
        if meaning == "domain":
            _check_domain(bytes(value).decode())
        else:
            _check(value, meaning)


def _check_domain(domain: str) -> None:
    if domain not in DOMAINS:
        msg = (
            f"model.onnx uses operators of {domain!r}; "
            "only the ONNX standard's are allowed"
        )
        raise UnsafeModelError(msg)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Split a protobuf message into (field number, number or bytes)."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number = key >> 3
        kind = key & 7
        # Another reader would cut such a key off and see another field.
        if not number or key >= LONGEST_KEY:
            raise IndexError
        if kind in FIXED:
            value = FIXED[kind]
        else:
            value, position = _varint(data, position)
        if kind == NUMBER:
            yield number, value
            continue
        if kind not in SIZED or position + value > len(data):
            raise IndexError
        yield number, data[position : position + value]
        position += value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < CONTINUES:
            return value, position
        shift += 7
