"""kill -9 under load: the prediction log holds all that was flushed, and every whole line can be read."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from running import serving
from steady import Answer, Load, configure

FLUSH_SECONDS, MARGIN_SECONDS = 0.1, 0.3


def kill(folder: Path, answers: int) -> tuple[list[Answer], float, bytes]:
    """Kill a server under load; return what it had answered, when it was killed, what it left in its log."""
    before = set(folder.rglob("*.jsonl"))
    with serving(folder) as (url, server), Load(url) as load:
        load.reach(answers)
        killed = time.monotonic()
        os.kill(server.pid, signal.SIGKILL)
        server.wait(20)
        load.join()
    (path,) = set(folder.rglob("*.jsonl")) - before
    return load.answers, killed, path.read_bytes()


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_a_killed_process_loses_only_what_it_had_not_flushed(trained: Path, tmp_path: Path, times: int):
    own = Path(shutil.copytree(trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")))
    configure(own, "monitoring", flush_seconds=FLUSH_SECONDS)
    old, lost = 0, []

    for attempt in range(times):
        answers, killed, written = kill(own, answers=400 + 7 * attempt)
        whole = {json.loads(line)["answer"]["prediction_id"] for line in written.split(b"\n")[:-1]}
        flushed = [each for each in answers if each.at < killed - FLUSH_SECONDS - MARGIN_SECONDS]
        old += len(flushed)
        lost += [each for each in flushed if each.body["prediction_id"] not in whole]

    assert old > 0
    assert lost == []
