"""After very many requests the process is no larger and holds no more files."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from own import CONTRACT
from running import ask, serving

MEGABYTE = 1_000_000
# 120 is about a million requests
SECONDS = int(os.environ.get("SOAK_SECONDS", "20"))  # noqa: TID251 - of this test
POST = (
    'wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json"; '
    "wrk.body = [[{}]]"
)


def size(pid: int) -> int:
    """Resident memory, in bytes."""
    kilobytes = re.search(
        r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()
    )[1]
    return int(kilobytes) * 1024


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("wrk")
def test_memory_and_open_files_stay_what_they_were(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # else this test's own record grows by a line each
    monkeypatch.setenv("CHURN_LOG_LEVEL", "warning")
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    script = tmp_path / "post.lua"
    script.write_text(POST.format(json.dumps(CONTRACT.example())))

    with serving(own) as (url, server):

        def load(seconds: int) -> int:
            words = [
                "wrk",
                "-t1",
                "-c32",
                f"-d{seconds}",
                "-s",
                script,
                f"{url}/predict",
            ]
            said = subprocess.check_output(words, text=True)
            assert "Non-2xx" not in said
            return int(re.search(r"(\d+) requests in", said)[1])

        def files() -> int:
            ask(f"{url}/health")  # what was asked before is over
            return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))

        load(5)
        before, files_before = size(server.pid), files()
        requests = load(SECONDS)
        after, files_after = size(server.pid), files()

    print(  # noqa: T201 - what -s shows
        f"{requests} requests: {before / MEGABYTE:.1f} → {after / MEGABYTE:.1f} MB, "
        f"{files_after} files"
    )
    assert after - before < 5 * MEGABYTE
    assert files_after <= files_before + 1
