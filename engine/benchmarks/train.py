"""What training costs beside importing scikit-learn, reading the CSV and fitting.

Training is measured end to end.

Usage: python engine/benchmarks/train.py [ROWS]
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = """
import time
started = time.perf_counter()
import pandas as pd
import sklearn.ensemble
table = pd.read_csv("data/customers.csv")
read = time.perf_counter() - started

from pathlib import Path
from skewless.core.config_file import load_config
from skewless.core.feature_matrix import feature_matrix
from churn_service.project import project
from skewless.tables.split import is_holdout
from churn_service.train import build_model
contract = project.contract
config = load_config(Path("config.yaml"), project)
data = config.data
training = ~is_holdout(table[contract.id], fraction=data.holdout_fraction, \
salt=data.holdout_salt)
matrix = feature_matrix(project, table, config.features)[training]
target = table[contract.target].to_numpy()[training]
started = time.perf_counter()
build_model(config.model).fit(matrix, target)
print(read, time.perf_counter() - started)
"""
# The largest resident size of the child, by the child itself, works on Linux and macOS
# alike.
TRAIN = """
import resource, sys
from churn_service.__main__ import main
try:
    main(["train"])
finally:
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, kibibytes
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def run(code: str, folder: str) -> str:
    """Run code in a process of its own; return the last line that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def main(rows: int) -> None:
    """Measure both in the same run and print the ratio first."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "config.yaml", folder)
        command = [sys.executable, "-m", "churn_service", "sample"]
        subprocess.run(
            [*command, "data/customers.csv", "--rows", str(rows)],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        read, fit = map(float, run(REFERENCE, folder).split())
        started = time.perf_counter()
        peak = int(run(TRAIN, folder))
        total = time.perf_counter() - started
    print(
        "everything around fit / (import + read + fit): "
        f"{(total - fit) / (read + fit):.2f}"
    )
    print(f"{rows:,} rows: import + read {read:.1f} s, fit {fit:.1f} s")
    print(f"train in all {total:.1f} s, peak {peak / 1e9:.2f} GB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
