"""A database that takes connections and says nothing keeps nobody waiting.

That holds whoever asks it first.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from own import ID
from remembered import NOON, database_at, line, remembered
from skewless.core.errors import LogStoreError
from skewless.monitoring import postgres
from skewless.monitoring.line_log import LineLog
from skewless.monitoring.outcomes import OutcomeFiles
from skewless.monitoring.postgres_log import PostgresLog
from skewless.monitoring.postgres_outcomes import PostgresOutcomes
from steady import until

pytestmark = [pytest.mark.fault, pytest.mark.posix]

# A server's first words: it trusts the user, who it is, and that it waits for a
# question.
WELCOME = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
# until the server leaves after all, so that a test fails and does not hang
LONG_SECONDS = 20


class Mute:
    """A server that listens, says its first words at most, and then nothing more."""

    def __init__(self, words: bytes) -> None:
        self._words, self._listener = words, socket.create_server(("127.0.0.1", 0))
        self._done, self.left = threading.Event(), False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        port = self._listener.getsockname()[1]
        self.url = (
            f"postgresql+psycopg://churn@127.0.0.1:{port}/churn"
            "?sslmode=disable&gssencmode=disable"
        )

    def close(self) -> None:
        self._done.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LONG_SECONDS)
        self._listener.close()

    def _accept(self) -> None:
        while not self._done.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._hold, args=[connection]))
            self._threads[-1].start()

    def _hold(self, connection: socket.socket) -> None:
        with connection:
            if connection.recv(1024):
                connection.sendall(self._words)
            self.left |= not self._done.wait(LONG_SECONDS)


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mute]:
    monkeypatch.setattr(postgres, "PATIENCE_SECONDS", 0.2)
    with closing(Mute(WELCOME)) as server:
        yield server


@pytest.mark.slow
def test_a_reader_says_that_one_does_not_even_welcome_it(tmp_path: Path):
    with (
        closing(Mute(b"")) as mute,
        pytest.raises(LogStoreError, match="does not answer"),
    ):
        remembered(tmp_path, mute.url)

    assert not mute.left


def test_a_reader_says_that_it_does_not_answer(mute: Mute, tmp_path: Path):
    with pytest.raises(LogStoreError, match="does not answer"):
        remembered(tmp_path, mute.url)

    assert not mute.left


def test_predictions_go_to_files(mute: Mute, tmp_path: Path):
    aside: list[int] = []
    report = (aside.append, lambda *_, **__: None)
    files = LineLog(tmp_path, 0.01, report)
    log = PostgresLog(
        database_at(mute.url), files, id_name=ID, seconds=0.01, report=report
    )

    log.put(NOON, line(1), 1)
    until(lambda: aside, "the line went aside", LONG_SECONDS)
    log.close()

    assert not mute.left
    assert len(remembered(tmp_path).answers) == 1


def test_outcomes_go_to_files(mute: Mute, tmp_path: Path):
    outcomes = PostgresOutcomes(
        database_at(mute.url), OutcomeFiles(tmp_path / "outcomes")
    )

    outcomes.append(lambda: (datetime.now(UTC), b"{}\n"))

    assert not mute.left
    assert len(list((tmp_path / "outcomes").iterdir())) == 1
