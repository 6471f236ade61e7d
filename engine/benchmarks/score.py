"""Score a folder of many rows by one thread, all cores and a Dask cluster.

Each is shown beside the bare limit.

The bare limit reads the same files, makes the same features, runs the same model on all
cores and writes probabilities: it checks no cell, decides nothing and could not go on
after a crash. Each is a process of its own, timed from its start to its end; memory is
the highest sum over it and its children.

Usage: python engine/benchmarks/score.py [--rows ROWS] [--rounds ROUNDS]
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import psutil
from joblib import cpu_count

from churn_service.project import project
from skewless.tables.simulate import simulate
from skewless.tables.table import write_table

ROOT = Path(__file__).parents[2]
FILES = 20
SAMPLED_SECONDS = 0.05
BARE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq

from skewless.models.artifact import ONNX, read_artifact
from skewless.core.feature_matrix import feature_matrix
from skewless.models.predict import INPUT, OUTPUT
from churn_service.project import project

version, source, out, cores = Path(sys.argv[1]), Path(sys.argv[2]), \
Path(sys.argv[3]), int(sys.argv[4])
artifact = read_artifact(version)
identity = artifact.metadata.identity
contract = project.contract
config = project.features_config.model_validate(identity.features)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # a file per core: no core waits for another
session = onnxruntime.InferenceSession(artifact.files[ONNX], options)
out.mkdir()


def score(path):
    table = pq.read_table(path, columns=[contract.id, \
*(column.name for column in contract.columns)])
    customers = {column.name: table[column.name].to_numpy() \
for column in contract.columns}
    matrix = feature_matrix(project, customers, config, names=identity.feature_names)
    (probabilities,) = session.run([OUTPUT], {INPUT: matrix})
    answers = pa.table({contract.id: table[contract.id], \
"probability": probabilities.ravel()})
    pq.write_table(answers, out / path.name)


with ThreadPoolExecutor(cores) as pool:
    list(pool.map(score, sorted(source.iterdir())))
"""


class Memory(threading.Thread):
    """Watch what a process and its children hold."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process, self.peak = process, 0

    def run(self) -> None:
        """Look until it has ended."""
        while (
            self._process.is_running()
            and self._process.status() != psutil.STATUS_ZOMBIE
        ):
            held = 0
            for each in (self._process, *self._process.children(recursive=True)):
                try:
                    held += each.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, held)
            time.sleep(SAMPLED_SECONDS)


def measure(words: Sequence[object], folder: Path) -> tuple[float, int]:
    """Run a program; return its seconds, and the most bytes that it held."""
    started = time.perf_counter()
    with subprocess.Popen(
        list(map(str, words)), cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        watch = Memory(psutil.Process(process.pid))
        watch.start()
        if process.wait():
            sys.exit(f"{words} ended with {process.returncode}")
    seconds = time.perf_counter() - started
    watch.join()
    return seconds, watch.peak


def prepare(folder: Path, rows: int) -> Path:
    """Write the tables, train; return the version."""
    for path in ("config.yaml", "requirements-dev.lock"):
        shutil.copy(ROOT / path, folder)
    for word in ("sample", "train"):
        words = [sys.executable, "-m", "churn_service", word]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
    (folder / "in").mkdir()
    contract = project.contract
    for number in range(FILES):
        made = pd.DataFrame(simulate(rows // FILES, number, contract)).drop(
            columns=contract.target
        )
        write_table(made, folder / f"in/{number:02}.parquet", contract)
    (version,) = (folder / "models").glob("*-*")
    return version


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=1, help="the median counts")
    asked = parser.parse_args()
    cores = cpu_count()
    score = [sys.executable, "-m", "churn_service", "score", "in", "out"]
    found: dict[str, list[tuple[float, int]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        version = prepare(folder, asked.rows)
        roads = {
            "bare limit, all cores": [
                sys.executable,
                "-c",
                BARE,
                version,
                "in",
                "out",
                cores,
            ],
            "score --threads 1": [*score, "--threads", 1],
            f"score, {cores} cores": score,
            f"score --dask local, {cores} workers": [*score, "--dask", "local"],
        }
        for _ in range(asked.rounds):
            for road, words in roads.items():
                found.setdefault(road, []).append(measure(words, folder))
                shutil.rmtree(folder / "out")
    limit, *_ = (
        statistics.median(seconds for seconds, _ in runs) for runs in found.values()
    )
    print(f"{asked.rows:,} rows in {FILES} Parquet files")
    print("| | seconds | rows/s | peak memory | rate / bare limit |")
    print("|---|---:|---:|---:|---:|")
    for road, runs in found.items():
        seconds = statistics.median(each for each, _ in runs)
        peak = max(held for _, held in runs)
        figures = (
            f"{seconds:.1f} | {asked.rows / seconds:,.0f} | {peak / 1e6:,.0f} MB | "
            f"{limit / seconds:.2f}"
        )
        print(f"| {road} | {figures} |")


if __name__ == "__main__":
    main()
