"""Notes of requests → lines on standard error: none is torn, none is lost uncounted."""

import io
import json
import sys
from typing import Any

from scraped import read
from skewless.core.answer import Answer, Answered
from skewless.models.predict import Predictor
from skewless.serving.journal import Journal, Note
from skewless.serving.logs import open_log
from skewless.serving.metrics import Meter

A_PIPE_TAKES_WHOLE = 4096  # bytes, on Linux


class Pipe(io.StringIO):
    """Standard error that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


class Closed(io.StringIO):
    """Standard error that nobody reads any more."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


def note(predictor: Predictor, request_id: str) -> Note:
    """Return the note of a request that was answered."""
    prediction = Answer(
        0.5,
        decision=True,
        tier="LOW",
        model_version="1",
        trained_at=None,
        prediction_id="2",
    )
    answer = Answered([], [prediction], predictor.source, 1.0)
    return Note(0.0, request_id, "POST", "/predict", 200, 0.001, None, {}, answer)


def test_no_write_is_longer_than_a_pipe_takes_whole_so_that_workers_tear_no_line(
    monkeypatch,
):
    monkeypatch.setattr(sys, "stderr", pipe := Pipe())
    log, close = open_log("info", [].append)

    for number in range(500):
        log.info("request", number=number, padding="x" * (number % 400))
    close()

    assert [
        json.loads(line)["number"] for line in pipe.getvalue().splitlines()
    ] == list(range(500))
    assert max(len(text.encode()) for text in pipe.writes) <= A_PIPE_TAKES_WHOLE
    assert {text[-1] for text in pipe.writes} == {"\n"}


def test_lines_that_nobody_reads_are_counted(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Closed())
    lost: list[int] = []
    log, close = open_log("info", lost.append)

    for number in range(5):
        log.info("request", number=number)
    close()

    assert sum(lost) == 5


def test_an_observer_that_fails_costs_neither_a_line_nor_a_count_nor_the_next_request(
    predictor: Predictor, monkeypatch
):
    def observe(_note: Note, answer: Answered) -> Any:
        raise RuntimeError(str(answer))

    monkeypatch.setattr(sys, "stderr", written := io.StringIO())
    meter, (log, close) = Meter(), open_log("info", [].append)
    journal = Journal(meter, log, [observe])

    for request_id in ("first", "second"):
        journal.end(note(predictor, request_id))
    journal.flush()
    close()

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["request_id"] for line in lines if line["event"] == "request"] == [
        "first",
        "second",
    ]
    assert [line["error"] for line in lines if line["event"] != "request"] == [
        "RuntimeError"
    ] * 2
    assert "Answer(" not in written.getvalue()
    assert read(meter.render().decode())["http_request_duration_seconds_count"] == {
        ("/predict", "200"): 2
    }
