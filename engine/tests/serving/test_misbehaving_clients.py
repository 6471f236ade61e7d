"""After callers that leave, dawdle, lie or send nonsense, the next is answered.

Nothing of them stays.
"""

import contextlib
import gzip
import json
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile import (
    BODY,
    HEAD,
    ROWS,
    WHOLE,
    Server,
    ask,
    asking,
    floods_the_head,
    held,
    read,
    started,
)
from own import CONTRACT
from steady import until

pytestmark = [pytest.mark.fault, pytest.mark.posix]

LARGE = json.dumps({"customers": [CONTRACT.example()] * ROWS}).encode()
NAME = CONTRACT.columns[0].name


@pytest.fixture(scope="module")
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("clients") / "project"
    bounds = {"max_batch_rows": ROWS, "max_body_bytes": 2**27}
    with started(trained, folder, **bounds) as found:
        yield found


def reset(connection: socket.socket) -> None:
    """Leave without the usual farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def dawdle(connection: socket.socket, sent: bytes) -> None:
    """Send byte by byte until the server has enough of it."""
    connection.settimeout(0.05)
    for position in range(len(sent)):
        connection.sendall(sent[position : position + 1])
        with contextlib.suppress(TimeoutError):
            assert connection.recv(1) == b""
            return
    pytest.fail("the server waited to the end")


def slowly(sent: bytes) -> Callable[[socket.socket], None]:
    def misbehave(connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            dawdle(connection, sent)

    return misbehave


MISBEHAVIOUR: dict[str, Callable[[socket.socket], object]] = {
    "leaves before it asks": lambda _: None,
    "leaves within the head": lambda connection: connection.sendall(HEAD),
    "leaves within the body": lambda connection: connection.sendall(WHOLE[:-5]),
    "resets within the body": lambda connection: (
        connection.sendall(WHOLE[:-5]) or reset(connection)
    ),
    "leaves before the answer": lambda connection: connection.sendall(WHOLE),
    "resets before the answer": lambda connection: (
        connection.sendall(WHOLE) or reset(connection)
    ),
    "says nothing": read,
    "stops within the body": lambda connection: ask(connection, WHOLE[:-5]),
    "sends the head byte by byte": slowly(HEAD + b"X: " + b"y" * 500),
    "sends the body byte by byte": slowly(
        HEAD + b"Content-Length: 500\r\n\r\n" + b" " * 500
    ),
    "never ends the head": floods_the_head,
    "sends garbage": lambda connection: ask(connection, os.urandom(5_000)),
    "speaks TLS": lambda connection: ask(
        connection, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    ),
    "sends chunks of wrong lengths": lambda connection: ask(
        connection, HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
    ),
    "never sends the last chunk": lambda connection: ask(
        connection, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{    \r\n"
    ),
    "closes its half": lambda connection: (
        connection.sendall(WHOLE) or connection.shutdown(socket.SHUT_WR)
    ),
}


@pytest.mark.parametrize("misbehave", MISBEHAVIOUR.values(), ids=MISBEHAVIOUR.keys())
@pytest.mark.slow
def test_whatever_a_caller_does_the_next_is_answered_and_nothing_stays(
    server: Server, misbehave: Callable[[socket.socket], object]
):
    with server.connect() as connection:
        misbehave(connection)

    assert server.predict() == 200
    until(lambda: held(server.pid) <= server.idle, "every connection is gone")


@pytest.mark.slow
def test_who_never_reads_a_large_answer_is_left(server: Server):
    head = HEAD.replace(b"/predict", b"/predict/batch")
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE)
        begun = connection.recv(12, socket.MSG_PEEK)
        until(lambda: held(server.pid) <= server.idle, "the caller is left")

    assert begun == b"HTTP/1.1 200"
    assert server.predict() == 200


CHUNKED = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
ODD = [
    ("a key twice", asking(BODY[:-1] + b', "%s": []}' % NAME.encode()), 422),
    ("nested deeply", asking(b"[" * 200_000), 400),
    ("another type", asking(BODY, content_type=b"text/plain"), 415),
    ("UTF-16", asking(BODY.decode().encode("utf-16")), 400),
    (
        "UTF-16, and says so",
        asking(
            BODY.decode().encode("utf-16"),
            content_type=b"application/json; charset=utf-16",
        ),
        415,
    ),
    ("half a character", asking(BODY[:-1] + b', "\xc3": 1}'), 400),
    ("compressed", asking(gzip.compress(BODY), b"Content-Encoding: gzip"), 415),
    ("HTTP/1.0", asking(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
    ("chunks", CHUNKED + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n", 200),
    (
        "a chunk that lies",
        CHUNKED + b"%x\r\n" % (len(BODY) - 9) + BODY + b"\r\n0\r\n\r\n",
        400,
    ),
    ("two lengths", asking(BODY, b"Content-Length: 5"), 400),
    ("length and chunks", asking(BODY, b"Transfer-Encoding: chunked"), 400),
    ("a negative length", HEAD + b"Content-Length: -5\r\n\r\n", 400),
    (
        "10 GB announced",
        HEAD + b"Connection: close\r\nContent-Length: 10000000000\r\n\r\n",
        413,
    ),
    ("an odd address", asking(BODY).replace(b"/predict", b"/%00%ff//../predict"), 404),
    ("a line break in a header", asking(BODY, b"X-Request-ID: a\rb"), 400),
]


@pytest.mark.parametrize(
    ("sent", "status"), [case[1:] for case in ODD], ids=[case[0] for case in ODD]
)
def test_what_is_odd_gets_its_answer_and_the_next_is_answered(
    server: Server, sent: bytes, status: int
):
    with server.connect() as connection:
        answer = ask(connection, sent)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert server.predict() == 200
    until(lambda: held(server.pid) <= server.idle, "every connection is gone")


@pytest.mark.parametrize("offered", [b"h2c", b"websocket", b"TLS/1.0, h2c"])
@pytest.mark.slow
def test_however_the_bytes_arrive_an_offer_changes_neither_the_body_nor_where_it_ends(
    server: Server, offered: bytes
):
    offers = (
        b"\r\nUpgrade: h2c" * 20
        + b"\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    inside = BODY[:-1] + b', "x": ' + json.dumps(offers.decode()).encode() + b"}"
    head = asking(inside, b"Connection: Upgrade\r\nUPGRADE: " + offered).removesuffix(
        inside
    )
    for body in (inside, b" " * 200 + offers):
        sized = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
        for cut in {*range(len(sized) - 6, len(sized) + 1), *range(60, len(sized), 3)}:
            with server.connect() as connection:
                connection.sendall(sized[:cut])
                time.sleep(0.002)  # so that they arrive apart
                answer = ask(connection, sized[cut:] + body)

            assert answer.count(b"HTTP/1.1 ") == 1, cut
            assert b"extra_forbidden" in answer or b"json_invalid" in answer, cut


def test_an_offer_behind_another_request_ends_the_connection_unobeyed(
    server: Server,
):
    smuggled = b"GET /model HTTP/1.1\r\nHost: localhost\r\n\r\n"
    both = asking(BODY) + asking(smuggled, b"Connection: Upgrade\r\nUpgrade: websocket")
    with server.connect() as connection:
        answer = ask(connection, both.replace(b"Connection: close\r\n", b""), smuggled)

    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"HTTP/1.1 ") <= 2


@pytest.mark.parametrize("pause", [0, 0.1])
def test_an_offer_to_change_to_http_2_is_overlooked_as_java_expects(
    server: Server, pause: float
):
    offer = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    )
    asked = asking(BODY, offer).replace(b"Connection: close\r\n", b"")
    with server.connect() as connection:
        connection.sendall(asked.removesuffix(BODY))
        time.sleep(pause)  # the body comes with the head, or after it
        answer = ask(connection, BODY + asking(BODY))

    assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_what_was_sent_without_waiting_is_answered_in_order(server: Server):
    known = asking(BODY).replace(b"Connection: close\r\n", b"")
    numbered = [
        known.replace(
            b"Host: localhost", b"Host: localhost\r\nX-Request-ID: n%d" % number
        )
        for number in range(49)
    ]

    with server.connect() as connection:
        answers = ask(
            connection, b"".join(numbered), asking(BODY, b"X-Request-ID: n49")
        )

    assert answers.count(b"HTTP/1.1 200 OK") == 50
    assert re.findall(rb"x-request-id: n(\d+)", answers) == [
        b"%d" % number for number in range(50)
    ]


def test_who_waits_for_leave_to_send_gets_it_or_the_refusal(server: Server):
    large = HEAD + b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(asking(BODY, b"Expect: 100-continue").removesuffix(BODY))
        leave = connection.recv(100)
        answer = ask(connection, BODY)
    with server.connect() as connection:
        connection.sendall(large)
        refusal = connection.recv(100)

    assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert refusal.startswith(b"HTTP/1.1 413 ")
