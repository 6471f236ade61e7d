"""From starting `serve` to its first good answer.

That is shown beside importing what a service cannot do without.

Usage: python engine/benchmarks/start.py [TIMES]
"""

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException

from churn_service.project import project

REFERENCE = "import fastapi, uvicorn, numpy, onnxruntime"


def reference() -> float:
    """Seconds to import the libraries in a fresh process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", REFERENCE], check=True)
    return time.perf_counter() - started


def first_answer() -> tuple[float, int]:
    """Seconds until the service answered a prediction, and its resident bytes then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "churn_service", "serve", "--port", str(port)]
    body = json.dumps(project.contract.example())
    started = time.perf_counter()
    service = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while service.poll() is None:
            with contextlib.suppress(OSError, HTTPException):
                connection = HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request(
                    "POST", "/predict", body, {"Content-Type": "application/json"}
                )
                if connection.getresponse().status == 200:
                    return time.perf_counter() - started, resident(service.pid)
            time.sleep(0.005)
        sys.exit("the service ended; `make run` shows why")
    finally:
        service.terminate()
        service.wait(timeout=30)


def resident(pid: int) -> int:
    """Resident size of a process, in bytes."""
    kibibytes = subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)], text=True)
    return int(kibibytes) * 1024


def main(times: int) -> None:
    """Measure both in turn and print the ratio of the medians first."""
    pairs = [(reference(), *first_answer()) for _ in range(times)]
    imports, answers, sizes = (
        statistics.median(column) for column in zip(*pairs, strict=True)
    )
    print(f"start to first answer / imports alone: {answers / imports:.2f}")
    print(f"median of {times}: imports {imports:.2f} s, first answer {answers:.2f} s")
    print(f"resident after it: {sizes / 1e6:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
