"""What a batch costs beside the model alone, in process and without a server.

A batch of 1,000 customers is sent as records and as columns, and one customer alone,
to the whole application: layers, log and metrics included. Beside them ONNX Runtime
scores the same rows with the same options. All run in turn, so that they have the same
neighbours, and of each the best block counts, what was left to background threads
included; so a `single` is also its part of the work that is done twenty times a second.

Usage: python engine/benchmarks/batches.py [SECONDS]
"""

import asyncio
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.types import ASGIApp, Message

from churn_service.project import project
from skewless.core.arrays import to_arrays, to_json
from skewless.core.feature_matrix import feature_matrix
from skewless.core.workspace import open_workspace
from skewless.models.predict import onnx_scorer
from skewless.registry.registry import Registry
from skewless.serving.follow import find_models
from skewless.serving.service import Service
from skewless.serving.worker import spare_the_collector
from skewless.tables.simulate import simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from own import fresh_app

ROOT = Path(__file__).parents[2]
ROWS = 1_000
SEED = 5
QUIET_SECONDS = 0.1  # in which background threads end what a block left to them
TYPES = [(b"host", b"localhost"), (b"content-type", b"application/json")]


class Block(NamedTuple):
    """Runs that are measured together."""

    run: Callable[[], Awaitable[None]]
    runs: int


def columns() -> dict[str, list[Any]]:
    """Make up customers, as a caller writes them."""
    table = simulate(ROWS, SEED, project.contract)
    cells = {project.contract.id: [f"c-{row}" for row in range(ROWS)]}
    for column in project.contract.columns:
        whole = int if column.kind == "integer" else lambda value: value
        cells[column.name] = [
            None if value is None else whole(value)
            for value in to_json(table[column.name], column)
        ]
    return cells


def ask(app: ASGIApp, path: str, document: Any) -> Callable[[], Awaitable[None]]:
    """Return what asks the application as a server would, and stops if it refuses."""
    body = json.dumps(document).encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        if message.get("status", 200) != 200:
            sys.exit(f"the application refused: {message}")

    async def asking() -> None:
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b""}
        scope |= {"headers": TYPES, "client": ("127.0.0.1", 1)}
        await app(scope, receive, send)

    return asking


async def best_of(blocks: dict[str, Block], seconds: float) -> dict[str, float]:
    """Return of each block the least milliseconds of CPU that a run took."""
    best = dict.fromkeys(blocks, math.inf)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, block in blocks.items():
            started = time.process_time()
            for _ in range(block.runs):
                await block.run()
            await asyncio.sleep(QUIET_SECONDS)
            spent_ms = (time.process_time() - started) * 1_000 / block.runs
            best[name] = min(best[name], spent_ms)
    return best


def blocks_of(app: FastAPI, cells: dict[str, list[Any]]) -> dict[str, Block]:
    """Ask an application for the same rows in each way."""
    cut = zip(*cells.values(), strict=True)
    rows = [dict(zip(cells, row, strict=True)) for row in cut]
    return {
        "records": Block(ask(app, "/predict/batch", {"customers": rows}), 10),
        "columns": Block(ask(app, "/predict/batch", {"columns": cells}), 10),
        "single": Block(ask(app, "/predict", rows[0]), 500),
    }


def service_with(log: Path | None) -> FastAPI:
    """Build the project's application with a log, or without one."""
    work = open_workspace(project, ROOT / "config.yaml")
    kept = work.config.monitoring.model_copy(update={"prediction_log": log})
    config = work.config.model_copy(update={"monitoring": kept})
    work = replace(work, config=config)
    app = fresh_app()
    Service(find_models(work), work, app)
    return app


async def measure(folder: Path, seconds: float) -> dict[str, float]:
    """Measure the model, and the service with a log and without, in turn."""
    cells = columns()
    features = open_workspace(project, ROOT / "config.yaml").config.features
    matrix = feature_matrix(project, to_arrays(cells, project.contract), features)
    score = onnx_scorer(Registry(ROOT / "models").load().files["model.onnx"])

    async def model() -> None:
        score(matrix)

    logged, unlogged = service_with(folder), service_with(None)
    blocks = {"model": Block(model, 10), **blocks_of(logged, cells)}
    for name, block in blocks_of(unlogged, cells).items():
        blocks[f"{name}, no log"] = block
    async with (
        logged.router.lifespan_context(logged),
        unlogged.router.lifespan_context(unlogged),
    ):
        spare_the_collector()
        return await best_of(blocks, seconds)


def main(seconds: float) -> None:
    """Print what each costs, beside the model alone and without the log."""
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(measure(Path(name), seconds))
    print(f"model: {found['model']:.3f} ms")
    for name in ("records", "columns", "single"):
        times = f", {found[name] / found['model']:.2f} times the model alone"
        share = 1 - found[f"{name}, no log"] / found[name]
        print(
            f"{name}: {found[name]:.3f} ms{times if name != 'single' else ''}; "
            f"{share:.0%} of it for the log"
        )
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20)
