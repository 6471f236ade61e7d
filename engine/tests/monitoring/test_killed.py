"""After kill -9 under load, the prediction log holds all that was flushed.

Every whole line can be read.
"""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from running import serving
from steady import Answer, Load, configure, until

TIMES = 10

FLUSH_SECONDS, MARGIN_SECONDS = 0.1, 0.3


def kill(folder: Path, answers: int) -> tuple[list[Answer], float, bytes]:
    """Kill a server under load.

    Returns what it had answered, when it was killed, and what it left in its log.
    """
    before = set(folder.rglob("*.jsonl"))
    with serving(folder) as (url, server), Load(url) as load:
        load.reach(answers)
        until(lambda: flushed(load.answers, time.monotonic()), "the load goes on")
        killed = time.monotonic()
        os.kill(server.pid, signal.SIGKILL)
        server.wait(20)
        load.join()
    (path,) = set(folder.rglob("*.jsonl")) - before
    return load.answers, killed, path.read_bytes()


def flushed(answers: list[Answer], now: float) -> list[Answer]:
    """Return the answers whose lines must be on disk."""
    return [each for each in answers if each.at < now - FLUSH_SECONDS - MARGIN_SECONDS]


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_a_killed_process_loses_only_what_it_had_not_flushed(
    trained: Path, tmp_path: Path
):
    own = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    configure(own, "monitoring", flush_seconds=FLUSH_SECONDS)
    asked, lost = 0, []

    for attempt in range(TIMES):
        answers, killed, written = kill(own, answers=400 + 7 * attempt)
        whole = {
            json.loads(line)["answer"]["prediction_id"]
            for line in written.split(b"\n")[:-1]
        }
        old = flushed(answers, killed)
        asked += len(old)
        lost += [each for each in old if each.body["prediction_id"] not in whole]

    assert asked > 0
    assert lost == []
