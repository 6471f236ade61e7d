"""Requests per second of this service, against an empty FastAPI endpoint and the plain way of serving.

The empty endpoint has the same request and response models and does nothing. The plain way is what a notebook
turns into: pydantic → DataFrame → features → scikit-learn in a `def` route. The server has one core, wrk the
other.

Usage: python benchmarks/serve.py [SECONDS]
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from churn_service.contract import example

PORT = 9_101
URL = f"http://127.0.0.1:{PORT}/predict"
ROOT = Path(__file__).parents[1]
SERVER = """
import os, sys
from pathlib import Path
import pandas as pd
import uvicorn
from fastapi import FastAPI
from churn_service.config import load_config
from churn_service.features import FeaturesConfig, feature_matrix
from churn_service.messages import Prediction
from churn_service.predict import load_predictor
from churn_service.registry import find_version
from churn_service.schema import Customer
from churn_service.table import typed

kind, port = sys.argv[1], int(sys.argv[2])
config = load_config(Path("config.yaml"))
folder = find_version(Path(config.registry.path))
app = FastAPI()
answer = Prediction(churn_probability=0.5, churn_prediction=True, risk_tier="MEDIUM", model_version="0",
                    trained_at="0", prediction_id="0")
if kind == "empty":
    @app.post("/predict")
    async def empty(customer: Customer) -> Prediction:
        return answer
    @app.get("/ready")
    async def ready() -> None: ...
elif kind == "plain":
    import joblib
    model = joblib.load(folder / "model.joblib")
    @app.post("/predict")
    def plain(customer: Customer) -> Prediction:
        table = typed(pd.DataFrame([customer.model_dump()]))
        probability = model.predict_proba(feature_matrix(table, config.features))[0, 1]
        return answer.model_copy(update={"churn_probability": probability})
    @app.get("/ready")
    def ready() -> None: ...
else:
    from churn_service.api import create_app
    predictor = load_predictor(folder)
    app = create_app(lambda: predictor, config.serving)
os.sched_setaffinity(0, {0})
uvicorn.run(app, port=port, log_level="warning", access_log=False)
"""
POST = 'wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json"; wrk.body = [[{}]]'


def wrk(script: Path, connections: int, seconds: int) -> tuple[float, float]:
    """Return requests per second and the median latency in milliseconds."""
    load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", script, URL]
    said = subprocess.check_output(["taskset", "-c", "1", *load], text=True)
    if "Non-2xx" in said:
        sys.exit(f"the server refused requests:\n{said}")
    median, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", said).groups()
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    return rate, float(median) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def measure(kind: str, script: Path, seconds: int) -> tuple[float, float]:
    """Return requests per second at 32 connections and the median latency at one, in milliseconds."""
    server = subprocess.Popen([sys.executable, "-c", SERVER, kind, str(PORT)], cwd=ROOT)
    try:
        for _ in range(300):
            try:
                urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=1).close()
                break
            except (URLError, ConnectionError):
                time.sleep(0.1)
        wrk(script, 32, 1)  # to warm up
        return wrk(script, 32, seconds)[0], wrk(script, 1, seconds)[1]
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait(timeout=10)


def main(seconds: int) -> None:
    """Measure the three in turn, three times, and print the ratios of the best rounds first."""
    absent = [name for name in ("wrk", "taskset") if shutil.which(name) is None]
    if absent or len(os.sched_getaffinity(0)) < 2:
        sys.exit(f"needs {', '.join(absent) or 'two cores'}: `make services` installs programs")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(POST.format(json.dumps(example())))
        rounds = {kind: [] for kind in ("service", "empty", "plain")}
        for _ in range(3):
            for kind, results in rounds.items():
                results.append(measure(kind, script, seconds))
    report(rounds)


def report(rounds: dict[str, list[tuple[float, float]]]) -> None:
    """Print the ratios of the best rounds, then the best rounds."""
    best = {}
    for kind, results in rounds.items():
        rates, medians = zip(*results, strict=True)
        best[kind] = max(rates), min(medians)
    service = best.pop("service")
    for kind, (rate, median) in best.items():
        print(f"service / {kind}: rate {service[0] / rate:.2f}, median latency {service[1] / median:.2f}")
    for kind, (rate, median) in {"service": service, **best}.items():
        print(f"{kind}: {rate:,.0f} requests/s at 32 connections, median {median:.3f} ms at one")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
