"""One of the servers that serve.py compares: `served.py KIND PORT LOG`.

KIND is service, empty, raw or plain; serve.py says what they are.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI

from churn_service.api import BatchPrediction, BatchRequest, Prediction
from churn_service.project import project
from churn_service.schema import Customer
from skewless.core.config_file import load_config
from skewless.core.settings import load_settings
from skewless.core.workspace import Workspace
from skewless.serving.follow import find_models
from skewless.serving.server import server_options
from skewless.serving.service import Service
from skewless.serving.worker import spare_the_collector


def work_with(log: str) -> Workspace:
    """Return the project's settings, with a log of its own and no limit of a rate."""
    root = Path.cwd()
    config = load_config(root / "config.yaml", project)
    monitoring = config.monitoring.model_copy(update={"prediction_log": log})
    serving = config.serving.model_copy(update={"rate_limit_per_minute": 10**9})
    config = config.model_copy(update={"monitoring": monitoring, "serving": serving})
    return Workspace(project, config, root, load_settings(project.prefix))


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """Answer a constant."""
    if scope["type"] != "http":
        return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def empty() -> FastAPI:
    """Make an application that validates, and does nothing."""
    app = FastAPI()
    answer = Prediction(0.5, True, "MEDIUM", "0", "0", "0")  # noqa: FBT003 - in order

    @app.post("/predict")
    async def predict(_: Customer) -> Prediction:
        return answer

    return app


def plain(work: Workspace) -> FastAPI:
    """Make an application as a notebook turns into one."""
    import joblib
    import pandas as pd

    from skewless.core.feature_matrix import feature_matrix
    from skewless.registry.remote import open_registry
    from skewless.tables.table import typed

    app = FastAPI()
    version = open_registry(work.config.registry, work.root).load()
    model = joblib.load(io.BytesIO(version.files["model.joblib"]))

    def probabilities(customers: Sequence[Customer]) -> np.ndarray:
        rows = pd.DataFrame([customer.model_dump() for customer in customers])
        table = typed(rows, project.contract)
        matrix = feature_matrix(project, table, work.config.features)
        return model.predict_proba(matrix)[:, 1]

    def predictions(customers: Sequence[Customer]) -> list[Prediction]:
        return [
            Prediction(each, each >= 0.5, "LOW", "0", "0", "0")
            for each in probabilities(customers).tolist()
        ]

    @app.post("/predict")
    def predict(customer: Customer) -> Prediction:
        return predictions([customer])[0]

    @app.post("/predict/batch")
    def predict_batch(batch: BatchRequest) -> BatchPrediction:
        several = predictions(batch.customers)
        return BatchPrediction(predictions=several, batch_size=1, latency_ms=0)

    return app


def main(kind: str, port: int, log: str) -> None:
    """Serve until killed."""
    options = {"port": port, "log_level": "warning", "access_log": False}
    work = work_with(log)
    match kind:
        case "raw":
            app: Any = raw
        case "empty":
            app = empty()
        case "plain":
            app = plain(work)
        case _:
            app = project.load_app()
            Service(find_models(work), work, app)
            spare_the_collector()
            options = server_options("127.0.0.1", port, work.config.serving)
    uvicorn.run(app, **options)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
