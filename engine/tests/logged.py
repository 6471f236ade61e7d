"""Read the log of a service while a test asks it."""

import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any

from fastapi.testclient import TestClient

Lines = list[dict[str, Any]]


@contextlib.contextmanager
def logged(client: TestClient) -> Iterator[tuple[TestClient, Lines]]:
    """Run a client; when it is done, the list holds the log.

    Every line of the log must be one JSON object.

    Left out is what other services, whose clients a session keeps open, said of their
    own requests.
    """
    written, lines, own = io.StringIO(), [], {None}
    client.event_hooks["response"].append(
        lambda answer: own.add(answer.headers["x-request-id"])
    )
    with contextlib.redirect_stderr(written), client:
        yield client, lines
    found = [json.loads(line) for line in written.getvalue().splitlines()]
    assert written.getvalue().count("\n") == len(found)
    assert {type(line) for line in found} == {dict}
    assert written.getvalue().isascii()  # so no terminal obeys what a line tells of
    lines += [line for line in found if line.get("request_id") in own]


def requests(lines: Lines) -> Lines:
    """Return the lines that tell of a request's end."""
    return [line for line in lines if line["event"] == "request"]
