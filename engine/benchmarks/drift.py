"""How often the drift rule is wrong, and what reading a long log costs.

The rule is shown beside plain "PSI > 0.2". The table is of windows that are drawn as
the training table was, so that every alarm is false. The log is written here and not by
a service; most of its rows are of customers who were asked about twice or more.

Usage: python engine/benchmarks/drift.py [--rows ROWS]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from churn_service.project import project
from skewless.models.artifact import Artifact
from skewless.models.predict import open_predictor
from skewless.registry.registry import Registry
from skewless.tables.simulate import simulate

CONTRACT = project.contract
ROOT = Path(__file__).parents[2]
SIZES = (30, 50, 100, 200, 500, 1_000)
WINDOWS = 1_000
TRAINED = 10_000  # rows
DAYS = 7
RECORDS = 20_000  # that differ; the log repeats them under other ids
LINE = (
    '{"time":"%s","request_id":"r","source":"/predict",'
    '"threshold":0.5,"latency_ms":0.1,'
    f'"record":{{"{CONTRACT.id}":"c%d",%s,"answer":{{"probability":%r,"decision":false,'
    '"tier":"LOW","model_version":"%s","trained_at":"","prediction_id":"p%d"}}\n'
)
DRIFT = """
import resource, sys
from churn_service.__main__ import main
try:
    main(["drift", "--since", "8d"])
finally:
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, kibibytes
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def calibration() -> None:
    """Print how often each rule alarms without drift, and with a column moved.

    The column is moved by half a sigma.
    """
    sys.path.append(str(ROOT / "engine/tests"))
    from skewless.monitoring.drift import LARGE, compare, is_drift
    from windows import POOL, customers, freeze_all, population

    pool = customers(POOL, seed=2)
    number = CONTRACT.columns[0].name  # whatever it is: here it holds numbers
    random = np.random.default_rng(1)
    reference = customers(TRAINED, seed=1) | {number: random.normal(0, 1, TRAINED)}
    healthy = pool | {number: random.normal(0, 1, POOL)}
    frozen = freeze_all(reference)
    moved = population(frozen, healthy | {number: healthy[number] + 0.5})
    healthy = population(frozen, healthy)
    looked_at = 2 * len(CONTRACT.columns) + 1
    print(
        f"{WINDOWS:,} windows, reference of {TRAINED:,} rows, "
        f"{looked_at} things looked at"
    )
    print(
        "| customers | false: PSI > 0.2 | false: this rule | half a sigma: this rule |"
    )
    print("|---:|---:|---:|---:|")
    for rows in SIZES:
        family, shift = compare(frozen, healthy.windows(rows, WINDOWS))
        plain = (shift.psi > LARGE).any(axis=-1).mean()
        wrong = is_drift(shift.psi, shift.p).any(axis=-1).mean()
        place = [member.name for member in family].index(number)
        _, shift = compare(frozen, moved.windows(rows, WINDOWS))
        seen = is_drift(shift.psi, shift.p)[:, place].mean()
        print(f"| {rows:,} | {plain:.1%} | {wrong:.1%} | {seen:.1%} |")


def write_log(folder: Path, version: Artifact, rows: int) -> None:
    """Write a week of answers, a file per day."""
    predictor = open_predictor(version, project)
    made = simulate(RECORDS, 3, CONTRACT)
    customers = {column.name: made[column.name] for column in CONTRACT.columns}
    scores = predictor.probabilities(customers).tolist()
    records = [
        json.dumps(
            {
                name: None if cell != cell else cell  # noqa: PLR0124 - NaN
                for name, cell in zip(customers, row, strict=True)
            }
        )
        for row in zip(*(values.tolist() for values in customers.values()), strict=True)
    ]
    ids = np.random.default_rng(1).integers(0, rows // 2, rows).tolist()
    folder.mkdir(parents=True)
    for day in range(DAYS):
        start = datetime.now(UTC) - timedelta(days=DAYS - day)
        place = range(day * rows // DAYS, (day + 1) * rows // DAYS)
        with (folder / f"{start.date()}.host-1.000.jsonl").open("w") as file:
            for row in place:
                moment = (start + timedelta(microseconds=row)).isoformat(
                    timespec="microseconds"
                )
                which = row % RECORDS
                known = (
                    moment,
                    ids[row],
                    records[which][1:],
                    scores[which],
                    predictor.version,
                    row,
                )
                file.write(LINE % known)


def cost(rows: int) -> None:
    """Print the time and the peak memory of the command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in ("config.yaml", "requirements-dev.lock"):
            shutil.copy(ROOT / path, folder)
        for word in ("sample", "train"):
            subprocess.run(
                [sys.executable, "-m", "churn_service", word],
                cwd=folder,
                check=True,
                capture_output=True,
            )
        log = folder / "predictions"
        write_log(log, Registry(folder / "models").load(), rows)
        size = sum(path.stat().st_size for path in log.iterdir())
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", DRIFT],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
    *_, peak = lines = done.stdout.splitlines()
    print(lines[0])
    print(
        f"{rows:,} logged rows, {size / 1e6:,.0f} MB: {seconds:.1f} s, "
        f"{rows / seconds:,.0f} rows/s"
    )
    print(f"peak memory {int(peak) / 1e6:,.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    calibration()
    print()
    cost(parser.parse_args().rows)
