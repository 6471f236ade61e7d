"""A steady load on a real server, of which every request is accounted for."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import yaml

from own import CONTRACT

JSON = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    """What came back, and when by the clock that processes share."""

    status: int
    closes: bool
    body: Any
    at: float


class Load:
    """A few callers who ask one thing after the other.

    They connect again after a reset, and leave if they are refused.

    `sent` counts requests of which at least the head went out. Each becomes one of
    `answers` or of `reset`. Of each answer's body what `keep` returns is kept.
    """

    def __init__(
        self,
        url: str,
        callers: int = 4,
        *,
        path: str = "/predict",
        body: Any = None,
        keep: Callable[[Any], Any] = lambda body: body,
    ) -> None:
        self.address = urlsplit(url).netloc
        self._request, self._keep = (path, json.dumps(body or CONTRACT.example())), keep
        self.answers: list[Answer] = []
        self.reset: list[str] = []
        self.sent = 0
        self._lock, self._done = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def join(self) -> None:
        """Wait until every caller has left."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a caller waits for ever"

    def reach(self, answers: int) -> None:
        """Wait for so many more answers."""
        goal = len(self.answers) + answers
        until(lambda: len(self.answers) >= goal, "the load goes on")

    def _call(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=20)
        while not self._done.is_set():
            try:
                connection.connect()
            except ConnectionError:
                return
            with contextlib.closing(connection):
                self._ask_on(connection)

    def _ask_on(self, connection: http.client.HTTPConnection) -> None:
        while not self._done.is_set():
            with self._lock:
                self.sent += 1
            try:
                connection.request("POST", *self._request, JSON)
                with connection.getresponse() as answer:
                    body = self._keep(json.load(answer))
            except (OSError, http.client.HTTPException) as error:
                self.reset.append(type(error).__name__)
                return
            self.answers.append(
                Answer(answer.status, bool(answer.will_close), body, time.monotonic())
            )
            if answer.will_close:
                return


def until(holds: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Look again and again until it comes true, or fail; return what it came to."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.02)
    return found


def configure(folder: Path, section: str, **values: Any) -> Path:
    """Change a section of a project's config.yaml."""
    path = folder / "config.yaml"
    document = yaml.safe_load(path.read_text())
    document[section] = document.get(section, {}) | values
    path.write_text(yaml.safe_dump(document))
    return folder


def counted(metrics: str, name: str) -> float:
    """Sum up a metric in Prometheus' text, over all its labels.

    `name` may hold some of them.
    """
    return sum(
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith(name)
    )
