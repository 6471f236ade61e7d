"""Bytes on the wire are counted, however they arrive and whatever headers say."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from hostile import BODY, ENDLESS, HEAD, WHOLE, Server, ask, asking, held, read, started
from shipped import CONFIG
from skewless.serving.access import new_key
from skewless.serving.connections import MOST_FRAMING_BYTES, Connection
from skewless.serving.server import server_options
from skewless.serving.state import BOUNDS
from steady import until

pytestmark = [pytest.mark.fault, pytest.mark.posix]

KEY, LINE = new_key("crm", "predict")
NAMED = b"X-API-Key: " + KEY.encode()
KEYED = HEAD + NAMED + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n" % len(BODY) + BODY + b"\r\n"
LAST = b"0\r\n"
MOST_BODY = 2**20
BLANKS = (b" ", b"\t", b" \t ")


@pytest.fixture(scope="module")
def keyed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that asks for a key and is patient with slow callers for ever."""
    folder = tmp_path_factory.mktemp("wire") / "project"
    bounds = {"max_body_bytes": MOST_BODY, "rate_limit_per_minute": 10**6}
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CHURN_API_KEYS", LINE)
            server = stack.enter_context(
                started(trained, folder, patience=3600, **bounds)
            )
        yield server


def first_line(server: Server, sent: bytes) -> bytes:
    """Ask, and return the first line of the answer without what ends it."""
    with server.connect() as connection:
        connection.sendall(sent)
        return connection.recv(65_536).partition(b"\r\n")[0]


FLOODS = {
    "trailers": (KEYED + CHUNKED + CHUNK + LAST, b"X1: aaa\r\n"),
    "trailers of who has no key": (HEAD + CHUNKED + CHUNK + LAST, b"X1: aaa\r\n"),
    "a trailer's value": (KEYED + CHUNKED + CHUNK + LAST + b"X: ", b"a" * 10_000),
    "a trailer's name": (KEYED + CHUNKED + CHUNK + LAST, b"a" * 10_000),
    "a chunk's extension": (KEYED + CHUNKED + b"5;", b"a" * 10_000),
    "a chunk's length": (KEYED + CHUNKED, b"0" * 10_000),
    "the head": (KEYED, b"X1: aaa\r\n"),
}


@pytest.mark.parametrize(("begin", "more"), FLOODS.values(), ids=FLOODS.keys())
@pytest.mark.slow
def test_what_is_no_body_and_never_ends_ends_the_connection(
    keyed: Server, begin: bytes, more: bytes
):
    part, sent = more * (10_000 // len(more)), 0
    with keyed.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(begin)
        while sent < ENDLESS:
            sent += connection.send(part)

    assert sent < ENDLESS
    assert first_line(keyed, asking(BODY, NAMED)) == b"HTTP/1.1 200 OK"
    until(lambda: held(keyed.pid) <= keyed.idle, "every connection is gone")


@pytest.mark.slow
def test_a_key_in_a_trailer_is_none(keyed: Server):
    answered = first_line(keyed, HEAD + CHUNKED + CHUNK + LAST + NAMED + b"\r\n\r\n")

    assert answered.startswith(b"HTTP/1.1 401 ")


def test_a_trailer_is_overlooked_and_the_next_request_is_answered(keyed: Server):
    with keyed.connect() as connection:
        one = (
            KEYED
            + CHUNKED
            + CHUNK
            + LAST
            + b"X-API-Key: wrong\r\nExpect: 100-continue\r\n\r\n"
        )
        answers = ask(connection, one + asking(BODY, NAMED))

    assert answers.count(b"HTTP/1.1 200 OK") == answers.count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize("refused", [False, True])
def test_a_trailer_that_ends_the_connection_ends_it(keyed: Server, *, refused: bool):
    head = (HEAD if refused else KEYED) + CHUNKED
    with keyed.connect() as connection:
        connection.sendall(head)
        answer = connection.recv(65_536) if refused else b""
        answer += ask(connection, CHUNK + LAST + b"Connection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 401 " if refused else b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("name", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_a_trailer_that_says_where_the_body_ends_is_refused(keyed: Server, name: bytes):
    with keyed.connect() as connection:
        answer = ask(
            connection, KEYED + CHUNKED + CHUNK + LAST + name + b"\r\n\r\n" + WHOLE
        )

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_behind_a_key_is_no_part_of_it(keyed: Server, blank: bytes):
    assert first_line(keyed, asking(BODY, NAMED + blank)) == b"HTTP/1.1 200 OK"
    assert (
        first_line(keyed, asking(BODY, b"X-API-Key:" + blank + KEY.encode()))
        == b"HTTP/1.1 200 OK"
    )


@pytest.mark.parametrize("blank", [b"", *BLANKS])
def test_a_length_counts_with_or_without_a_blank_behind(keyed: Server, blank: bytes):
    head = (
        KEYED
        + b"Connection: close\r\nContent-Length: %d" % (MOST_BODY + 1)
        + blank
        + b"\r\n\r\n"
    )

    assert first_line(keyed, head).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("blank", [b"", *BLANKS])
@pytest.mark.slow
def test_a_caller_on_this_host_is_one_with_a_blank_behind_its_name(
    trained: Path, tmp_path: Path, blank: bytes
):
    with started(trained, tmp_path / "own") as server:
        named = asking(BODY).replace(b"Host: localhost", b"Host: localhost" + blank)
        other = asking(BODY).replace(b"Host: localhost", b"Host: example.org" + blank)
        answered = [first_line(server, sent) for sent in (named, other)]

    assert [line.split()[1] for line in answered] == [b"200", b"401"]


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.ended = b"", False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.ended = True

    abort = close

    def is_closing(self) -> bool:
        return self.ended

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


# headers and body of each request
Asked = list[tuple[list[tuple[bytes, bytes]], bytes]]


class Recorder:
    """An application that keeps what it is asked, if it is asked in full."""

    def __init__(self) -> None:
        self.asked: Asked = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.asked.append((list(scope["headers"]), body))
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"0")],
            }
        )
        await send({"type": "http.response.body"})


async def receive(parts: Sequence[bytes]) -> tuple[Asked, bool]:
    """Give a connection whole requests in parts.

    Returns what was asked, and whether the connection was ended.
    """
    app, state, wire = Recorder(), ServerState(), Wire()
    config = uvicorn.Config(app, **server_options("127.0.0.1", 0, CONFIG.serving))
    connection = Connection(config, state, {BOUNDS: CONFIG.serving})
    connection.connection_made(wire)
    for part in takewhile(lambda _: not wire.ended, parts):
        connection.data_received(part)
    if wire.ended:  # so a request that waits for the rest of its body waits no longer
        connection.connection_lost(None)
    async with asyncio.timeout(20):
        while tasks := set(state.tasks):
            await asyncio.wait(tasks)
            await asyncio.sleep(0)  # so that the loop forgets those that are done
    return app.asked, wire.ended


blanks = st.text(" \t", max_size=3).map(str.encode)
chunks = st.lists(st.binary(min_size=1, max_size=20), max_size=5)
tokens = st.text("abcdefghij-", min_size=1, max_size=8).map(str.encode)
values = st.text("abc,;= 0123", min_size=0, max_size=12).map(
    lambda text: text.strip().encode()
)
fields = st.lists(
    st.tuples(tokens.map(b"x-".__add__), blanks, values, blanks), max_size=4
)


def write(sent: Sequence[tuple[bytes, bytes, bytes, bytes]]) -> bytes:
    return b"".join(
        name + b":" + before + value + after + b"\r\n"
        for name, before, value, after in sent
    )


@given(
    requests=st.lists(st.tuples(fields, chunks, fields), min_size=1, max_size=3),
    cuts=st.sets(st.integers(1, 400)),
)
@pytest.mark.slow
def test_however_bytes_arrive_a_header_has_no_blanks_and_a_trailer_is_no_header(
    requests, cuts
):
    stream, expected = b"", []
    for headers, body, trailers in requests:
        stream += b"POST / HTTP/1.1\r\n" + write(headers) + CHUNKED
        stream += b"".join(b"%x\r\n" % len(chunk) + chunk + b"\r\n" for chunk in body)
        stream += LAST + write(trailers) + b"\r\n"
        named = [(name, value) for name, _, value, _ in headers]
        expected.append(([*named, (b"transfer-encoding", b"chunked")], b"".join(body)))
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    parts = [stream[begin:end] for begin, end in pairwise(edges)]

    asked, ended = asyncio.run(receive(parts))

    assert (asked, ended) == (expected, False)


@pytest.mark.parametrize(
    ("trailers", "ended"),
    [(MOST_FRAMING_BYTES - 100, False), (MOST_FRAMING_BYTES + 1, True)],
)
def test_trailers_may_be_as_large_as_a_head_and_no_larger(
    trailers: int, *, ended: bool
):
    sent = b"X: " + b"a" * (trailers - 3)
    parts = [
        b"POST / HTTP/1.1\r\n" + CHUNKED,
        CHUNK,
        LAST,
        *batched(sent, 1000),
        b"\r\n\r\n",
    ]

    asked, was_ended = asyncio.run(receive(parts))

    assert was_ended == ended
    assert asked == ([] if ended else [([(b"transfer-encoding", b"chunked")], BODY)])


def batched(sent: bytes, size: int) -> list[bytes]:
    return [sent[begin : begin + size] for begin in range(0, len(sent), size)]


def waits_and_is_left(server: Server) -> None:
    """Connect and say nothing until the server closes.

    Then its patience with callers is over.
    """
    with server.connect() as connection:
        assert read(connection) == b""


@pytest.mark.slow
def test_a_connection_is_kept_between_requests_for_longer_than_a_slow_caller(
    trained: Path, tmp_path: Path
):
    late = asking(b" " * 100, b"X-API-Key: wrong").replace(
        b"Connection: close\r\n", b""
    )
    with started(trained, tmp_path / "own", keep_alive_seconds=3600) as server:
        with server.connect() as quiet, server.connect() as refused:
            quiet.sendall(WHOLE)
            before = quiet.recv(12)
            refused.sendall(late.removesuffix(b" " * 100))
            refusal = refused.recv(12)
            refused.sendall(b" " * 100)  # only now, when it is answered
            for _ in range(3):
                waits_and_is_left(server)
            after = [ask(each, asking(BODY)) for each in (quiet, refused)]
        until(lambda: held(server.pid) <= server.idle, "every connection is gone")

    assert (before, refusal) == (b"HTTP/1.1 200", b"HTTP/1.1 401")
    assert all(b"HTTP/1.1 200 OK" in answer for answer in after)


@pytest.mark.parametrize(
    ("begun", "bounds"),
    [
        (b"", {"patience": 3600, "keep_alive_seconds": 1}),
        (
            b"POST /predict HTTP/1.1\r\nHost: loc",
            {"patience": 0.5, "keep_alive_seconds": 3600},
        ),
    ],
    ids=["idle", "slow"],
)
@pytest.mark.slow
def test_a_kept_connection_ends_if_nothing_or_no_whole_head_comes(
    trained: Path, tmp_path: Path, begun: bytes, bounds: dict[str, Any]
):
    with (
        started(trained, tmp_path / "own", **bounds) as server,
        server.connect() as connection,
    ):
        answers = ask(connection, WHOLE, begun)  # until the server closes

    assert answers.count(b"HTTP/1.1 200 OK") == answers.count(b"HTTP/1.1 ") == 1
