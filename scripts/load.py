"""The service at its expected peak, and beyond what it can do.

First a fixed rate, whatever the answers take (open loop:
`serving.expected_per_second`), against the threshold that 99 of 100 answers come within
100 ms. Then one, two and five times the rate that it reached at most: what was accepted
should stay fast and plenty, the rest be refused, and /health answer throughout.

The service, started by its own command with everything on, has one core; h2load has the
other.

Usage: python scripts/load.py [SECONDS]
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import yaml
from skewless.serving.access import new_key

from churn_service.project import project

PORT = 9_102
URL = f"http://127.0.0.1:{PORT}"
ROOT = Path(__file__).parents[1]
THRESHOLD_MS = 100  # for p99 at the expected peak
CONNECTIONS = 1_000
MULTIPLES = (1, 2, 5)


class Outcome(NamedTuple):
    """What a load came to."""

    sent: int
    accepted_ms: list[float]
    refused: int
    failed: int
    seconds: float

    def percentile(self, share: float) -> float:
        """Milliseconds within which a share of the accepted requests was answered."""
        cuts = statistics.quantiles(self.accepted_ms, n=1000, method="inclusive")
        return cuts[round(share * 1000) - 1]


@contextlib.contextmanager
def service(
    folder: Path,
    line: str,
    *,
    sections: dict[str, dict[str, Any]] | None = None,
    variables: dict[str, str] | None = None,
) -> Iterator[None]:
    """Serve with the project's configuration, but for limits that are about callers.

    `sections` and `variables` change it further.
    """
    document = yaml.safe_load((ROOT / "config.yaml").read_text())
    document["registry"]["path"] = str(ROOT / document["registry"]["path"])
    document["serving"] |= {"rate_limit_per_minute": 10**9, "drain_seconds": 0}
    for name, values in (sections or {}).items():
        document[name] = document.get(name, {}) | values
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "churn_service"]
    command += ["serve", "--port", str(PORT)]
    environment = {
        **os.environ,  # noqa: TID251 - of the service
        "CHURN_API_KEYS": line,
        **(variables or {}),
    }
    log = (folder / "stderr").open("w")
    pinned = ["taskset", "-c", "0", *command]
    served = subprocess.Popen(  # noqa: S603 - our own command
        pinned, cwd=folder, env=environment, stdout=log, stderr=log
    )
    try:
        for _ in range(300):
            with contextlib.suppress(URLError, ConnectionError):
                urlopen(f"{URL}/ready", timeout=1).close()  # noqa: S310 - loopback
                break
            time.sleep(0.1)
        yield
    finally:
        served.terminate()
        served.wait(timeout=30)
        log.close()


class Load:
    """Requests for one prediction, from the other core."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        (folder / "body").write_text(json.dumps(project.contract.example()))
        headers = ["-H", "content-type: application/json", "-H", f"x-api-key: {key}"]
        self._command = [
            "taskset",
            "-c",
            "1",
            "h2load",
            "--h1",
            *headers,
            "-d",
            str(folder / "body"),
        ]

    def run(self, connections: int, seconds: int, rate: float | None = None) -> Outcome:
        """Send at a rate, or as fast as answers come; read what came of each."""
        log = self._folder / "log"
        log.unlink(missing_ok=True)
        words = ["-c", str(connections), "-D", str(seconds), f"--log-file={log}"]
        pace = [f"--rps={rate / connections:.4f}"] if rate else []
        command = [*self._command, *words, *pace, f"{URL}/predict"]
        subprocess.run(  # noqa: S603 - a program of ours
            command, check=True, stdout=subprocess.DEVNULL
        )
        rows = [row.split("\t") for row in log.read_text().splitlines()]
        accepted = [int(row[2]) / 1000 for row in rows if row[1] == "200"]
        refused = sum(row[1] == "503" for row in rows)
        failed = len(rows) - len(accepted) - refused
        return Outcome(len(rows), accepted, refused, failed, seconds)


@contextlib.contextmanager
def probing() -> Iterator[list[float]]:
    """Ask /health ten times a second meanwhile; collect milliseconds."""
    times: list[float] = []
    done = threading.Event()

    def probe() -> None:
        while not done.wait(0.1):
            started = time.perf_counter()
            urlopen(f"{URL}/health", timeout=30).close()  # noqa: S310 - loopback
            times.append((time.perf_counter() - started) * 1000)

    prober = threading.Thread(target=probe)
    prober.start()
    try:
        yield times
    finally:
        done.set()
        prober.join()


CORES = 2  # one for the service, one for who asks


def main(seconds: int) -> None:
    """Try the expected peak, find the capacity, go beyond it."""
    absent = [name for name in ("h2load", "taskset") if shutil.which(name) is None]
    if absent or len(os.sched_getaffinity(0)) < CORES:
        needed = ", ".join(absent) or "two cores"
        sys.exit(f"needs {needed}: `make services` installs programs")
    document = yaml.safe_load((ROOT / "config.yaml").read_text())
    expected = document["serving"]["expected_per_second"]
    key, line = new_key("load", "predict")
    with tempfile.TemporaryDirectory() as name, service(Path(name), line):
        load = Load(Path(name), key)
        load.run(32, 1)  # to warm up
        peak = load.run(min(50, expected), seconds, expected)
        p50 = peak.percentile(0.5)
        p99 = peak.percentile(0.99)
        p999 = peak.percentile(0.999)
        verdict = "met" if p99 < THRESHOLD_MS else "missed"
        print(
            f"{expected}/s for {seconds} s: "
            f"{peak.sent} sent, {len(peak.accepted_ms)} answered"
        )
        print(
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms; "
            f"p99 < {THRESHOLD_MS} ms: {verdict}"
        )
        capacity = len(load.run(32, seconds).accepted_ms) / seconds
        print(f"capacity: {capacity:,.0f}/s at 32 connections")
        for multiple in MULTIPLES:
            with probing() as times:
                outcome = load.run(CONNECTIONS, seconds, multiple * capacity)
            report(multiple, outcome, capacity, slowest_probe=max(times))


def report(
    multiple: int, outcome: Outcome, capacity: float, *, slowest_probe: float
) -> None:
    """Print a line of the overload curve."""
    goodput = len(outcome.accepted_ms) / outcome.seconds
    print(
        f"{multiple}x of capacity, {outcome.sent / outcome.seconds:,.0f}/s sent: "
        f"goodput {goodput:,.0f}/s ({goodput / capacity:.2f} of capacity), "
        f"p99 of the accepted {outcome.percentile(0.99):.0f} ms, "
        f"refused {outcome.refused / max(outcome.sent, 1):.0%}, "
        f"failed {outcome.failed}, "
        f"slowest /health {slowest_probe:.0f} ms"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
