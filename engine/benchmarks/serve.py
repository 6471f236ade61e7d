"""Requests per second of this service, beside those of simpler servers.

They are an empty FastAPI endpoint, a raw application and the plain way of serving.

Every server has one core and wrk has the other. `service` has everything on: keys,
limits, metrics, both logs. `empty` is a FastAPI endpoint with the same request and
response models that does nothing; `raw` is an ASGI application that answers a constant.
`plain` is what a notebook turns into: pydantic → DataFrame → features → scikit-learn in
a `def` route.

Usage: python engine/benchmarks/serve.py [SECONDS]
"""

import asyncio
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from fastapi import FastAPI
from starlette.types import ASGIApp, Message

from churn_service.api import BatchRequest, Prediction, app
from churn_service.project import project
from churn_service.schema import Customer
from skewless.core.arrays import as_columns
from skewless.core.workspace import open_workspace
from skewless.models.predict import open_predictor
from skewless.registry.registry import Registry
from skewless.serving.access import new_key
from skewless.serving.follow import find_models
from skewless.serving.json_route import parse
from skewless.serving.service import Service

EXAMPLE = project.contract.example()
PORT = 9_101
ROOT = Path(__file__).parents[2]
ROWS = 1_000
ROUNDS = 3
LIBRARIES = (
    "fastapi",
    "numpy",
    "onnxruntime",
    "pydantic",
    "scikit-learn",
    "uvicorn",
    "uvloop",
)
SERVER = Path(__file__).with_name("served.py")
POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-API-Key"] = "{key}"
wrk.body = [[{body}]]
"""


class Speed(NamedTuple):
    """Requests per second and median milliseconds per request."""

    rate: float
    median_ms: float


def wrk(script: Path, path: str, *, connections: int, seconds: int) -> Speed:
    """Load the server and read wrk's summary."""
    load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", script]
    said = subprocess.check_output(
        ["taskset", "-c", "1", *load, f"http://127.0.0.1:{PORT}{path}"], text=True
    )
    if "Non-2xx" in said:
        sys.exit(f"the server refused requests:\n{said}")
    median, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", said).groups()
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    return Speed(rate, float(median) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit])


def measure(kind: str, folder: Path, seconds: int) -> dict[str, Speed]:
    """Start a server, load it in each way, end it."""
    line = (folder / "line").read_text()
    server = subprocess.Popen(
        ["taskset", "-c", "0", sys.executable, SERVER, kind, str(PORT), folder / "log"],
        cwd=ROOT,
        env={
            **os.environ,  # noqa: TID251 - of the server
            "CHURN_API_KEYS": line,
            "OMP_NUM_THREADS": "1",
        },
        stderr=subprocess.DEVNULL if kind == "service" else None,
    )
    try:
        wait_until_it_answers()
        wrk(folder / "one.lua", "/predict", connections=32, seconds=1)  # to warm up
        speeds = {
            "one connection": wrk(
                folder / "one.lua", "/predict", connections=1, seconds=seconds
            ),
            "32 connections": wrk(
                folder / "one.lua", "/predict", connections=32, seconds=seconds
            ),
        }
        if kind in {"service", "plain"}:
            speeds["batches"] = wrk(
                folder / "many.lua", "/predict/batch", connections=4, seconds=seconds
            )
        return speeds
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(timeout=10)
        shutil.rmtree(folder / "log", ignore_errors=True)


def wait_until_it_answers() -> None:
    """Ask until something listens."""
    for _ in range(300):
        try:
            urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=1).close()
        except HTTPError:
            return
        except (URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    sys.exit("the server did not start")


def in_process(seconds: int) -> float:
    """Rows per second from bytes to answers of ONNX, without a server.

    The bytes are parsed and validated, and features are made of them.
    """
    predictor = open_predictor(Registry(ROOT / "models").load(), project)
    body = json.dumps({"customers": [EXAMPLE] * ROWS}).encode()
    rows, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        batch = BatchRequest.model_validate(parse(body))
        predictor.probabilities(as_columns(batch.customers, project.contract))
        rows += ROWS
    return rows / (time.perf_counter() - started)


def single_in_process(seconds: int) -> dict[str, float]:
    """Microseconds of one prediction and of an empty endpoint, without a server.

    The empty endpoint is FastAPI's. Of each, the best time is returned.
    """
    work = open_workspace(project, ROOT / "config.yaml")
    quiet = work.config.monitoring.model_copy(update={"prediction_log": None})
    work = replace(work, config=work.config.model_copy(update={"monitoring": quiet}))
    Service(find_models(work), work, app)
    empty = FastAPI()
    body = json.dumps(EXAMPLE).encode()
    answer = Prediction(0.5, True, "MEDIUM", "0", "0", "0")  # noqa: FBT003 - in order

    @empty.post("/predict")
    async def nothing(_: Customer) -> Prediction:
        return answer

    async def best() -> dict[str, float]:
        async with app.router.lifespan_context(app):
            end = time.perf_counter() + seconds
            fastest = {"service": math.inf, "empty": math.inf}
            # in turn, so that both have the same neighbours
            while time.perf_counter() < end:
                for kind, asked in (("service", app), ("empty", empty)):
                    started = time.process_time()
                    for _ in range(500):
                        await ask(asked, body)
                    fastest[kind] = min(
                        fastest[kind], (time.process_time() - started) / 500 * 1e6
                    )
            return fastest

    return asyncio.run(best())


async def ask(app: ASGIApp, body: bytes) -> None:
    """Ask an application for a prediction as a server would; stop if it gives none."""
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "query_string": b"",
        "headers": headers,
    }
    scope |= {"client": ("127.0.0.1", 1)}

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        if message.get("status", 200) != 200:
            sys.exit(f"the application refused: {message}")

    await app(scope, receive, send)


def main(seconds: int) -> None:
    """Measure each kind in turn, three times; print ratios of the best rounds first."""
    absent = [name for name in ("wrk", "taskset") if shutil.which(name) is None]
    if absent or len(os.sched_getaffinity(0)) < 2:
        sys.exit(
            f"needs {', '.join(absent) or 'two cores'}: "
            "`make services` installs programs"
        )
    rounds = {kind: [] for kind in ("service", "empty", "plain", "raw")}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key, line = new_key("bench", "predict")
        (folder / "line").write_text(line)
        for script, body in {
            "one": EXAMPLE,
            "many": {"customers": [EXAMPLE] * ROWS},
        }.items():
            (folder / f"{script}.lua").write_text(
                POST.format(key=key, body=json.dumps(body))
            )
        for _ in range(ROUNDS):
            for kind, results in rounds.items():
                results.append(measure(kind, folder, seconds))
            rows.append(in_process(seconds))
    single = single_in_process(seconds)
    print(
        f"in process: a prediction {single['service']:.1f} µs, "
        f"an empty endpoint {single['empty']:.1f} µs"
    )
    report(rounds, max(rows))


def report(rounds: dict[str, list[dict[str, Speed]]], rows: float) -> None:
    """Print the ratios, then what they are made of, then the machine."""
    rate = {
        kind: {load: max(each[load].rate for each in results) for load in results[0]}
        for kind, results in rounds.items()
    }
    median = {
        kind: min(each["one connection"].median_ms for each in results)
        for kind, results in rounds.items()
    }
    for other in ("empty", "plain", "raw"):
        print(
            f"service / {other}: rate at 32 connections "
            f"{rate['service']['32 connections'] / rate[other]['32 connections']:.2f}, "
            f"median time at one {median['service'] / median[other]:.2f}"
        )
    batches = rate["service"]["batches"]
    print(
        f"service / plain: rows in batches of {ROWS} "
        f"{batches / rate['plain']['batches']:.2f}"
    )
    print(f"service / in process: the same rows {batches * ROWS / rows:.2f}")
    for kind, rates in rate.items():
        single = rates["32 connections"]
        said = (
            f"{kind}: {single:,.0f} requests/s at 32 connections, "
            f"{median[kind]:.3f} ms at one"
        )
        print(
            said
            + (f", {rates['batches'] * ROWS:,.0f} rows/s" if "batches" in rates else "")
        )
    print(f"in process: {rows:,.0f} rows/s")
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{platform.platform()}"
    )
    print(", ".join(f"{name} {version(name)}" for name in LIBRARIES))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
