"""What the prediction log costs an answer, and what reading it takes.

The cost is measured for each place where the log may be kept.

Serving: the service with the log off, in files, in PostgreSQL, and in PostgreSQL while
that is stopped. Throughput is that of 32 connections; p99 is taken at half of what the
service does without a log, the same rate for all. The service has one core; h2load and
PostgreSQL share the other.

Reading: rows per second and the highest memory of all columns through the view
`predictions`, each in a process of its own.

Usage: python engine/benchmarks/log.py [--seconds 5] [--rows 200000]
           [--postgres-rows 200000] [--only serve|read]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from churn_service.project import project
from skewless.monitoring.compact import compact
from skewless.monitoring.place import Log
from skewless.monitoring.postgres import engine
from skewless.monitoring.postgres_log import INSERT, METADATA
from skewless.serving.access import new_key
from skewless.tables.simulate import simulate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from load import Load, service

from postgres import Postgres
from remembered import database_at, line
from running import free_port

ROUNDS = 3
DAYS = 10
PER_FILE = 400_000  # lines, about what is in a file of 256 MiB
BATCH = 5_000  # rows in a statement
CUSTOMERS = 10_000
SPREAD = (
    0x9E3779B97F4A7C15F39CC0605CEDC835,
    0xC2B2AE3D27D4EB4F165667B19E3779F9,
)  # odd, so that ids are unique
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Speed(NamedTuple):
    """Requests per second, and milliseconds in which 99 of 100 are answered."""

    rate: float
    p99_ms: float


def serve(seconds: int) -> None:
    """Measure each kind in turn, several times; print ratios of the best rounds.

    A ratio is to the service without any log.
    """
    if shutil.which("h2load") is None or len(os.sched_getaffinity(0)) < 2:
        sys.exit("needs h2load and two cores: `make services` installs programs")
    key, said = new_key("log", "predict")
    with postgres() as database:
        nobody = f"postgresql+psycopg://churn@127.0.0.1:{free_port()}/churn"
        kinds = {
            "off": {"sections": {"monitoring": {"prediction_log": None}}},
            "files": {},
            "postgres": {"variables": {"CHURN_LOG_URL": database.new_database()}},
            "postgres stopped": {"variables": {"CHURN_LOG_URL": nobody}},
        }
        found: dict[str, list[Speed]] = {kind: [] for kind in kinds}
        rate = 0.0
        for _ in range(ROUNDS):
            for kind, changed in kinds.items():
                with (
                    tempfile.TemporaryDirectory() as name,
                    service(Path(name), said, **changed),
                ):
                    load = Load(Path(name), key)
                    load.run(32, 1)  # to warm up
                    most = len(load.run(32, seconds).accepted_ms) / seconds
                    rate = rate or most / 2
                    found[kind].append(
                        Speed(most, load.run(50, seconds, rate).percentile(0.99))
                    )
    best = {
        kind: Speed(max(s.rate for s in each), min(s.p99_ms for s in each))
        for kind, each in found.items()
    }
    for kind, speed in best.items():
        ratios = (
            f"throughput {speed.rate / best['off'].rate:.2f}, "
            f"p99 {speed.p99_ms / best['off'].p99_ms:.2f}"
        )
        print(
            f"{kind} / off: {ratios} "
            f"({speed.rate:,.0f}/s; {speed.p99_ms:.2f} ms at {rate:,.0f}/s)"
        )


class postgres:  # noqa: N801 - reads as what it gives
    """A PostgreSQL on the core that the service does not have."""

    def __enter__(self) -> Postgres:
        self._folder = tempfile.TemporaryDirectory(prefix="postgres-")
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {1})
        self._server = Postgres(Path(self._folder.name))
        os.sched_setaffinity(0, cores)
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._folder.cleanup()


def lines(rows: int) -> Iterator[tuple[str, list[bytes]]]:
    """Make up lines, so many at a time, with the name of the file that holds them."""
    made = simulate(CUSTOMERS, 1, project.contract)
    columns = [made[name].tolist() for name in made]
    customers = [
        {
            name: None if value != value else value  # noqa: PLR0124 - NaN
            for name, value in zip(made, row, strict=True)
        }
        for row in zip(*columns, strict=True)
    ]
    known = [
        line(number, record=customer)[:-1] for number, customer in enumerate(customers)
    ]
    parts = [
        re.split(rb'(?<="time": ")[^"]+|(?<=")r-\d+|(?<=")p-\d+', each)
        for each in known
    ]
    for start in range(0, rows, BATCH):
        day = NOON + timedelta(days=start * DAYS // rows)
        numbers = range(start, min(start + BATCH, rows))
        yield (
            f"{day.date()}.host-{start // PER_FILE}.000.jsonl",
            [_line(parts, n, day) for n in numbers],
        )


def _line(parts: list[list[bytes]], number: int, day: datetime) -> bytes:
    """Give one of the known lines a time and ids of its own."""
    begin, middle, end, rest = parts[number % CUSTOMERS]
    when = (day + timedelta(microseconds=number * 7919 % 10**10)).isoformat().encode()
    request, prediction = (b"%032x" % (number * odd % 2**128) for odd in SPREAD)
    return b"%s%s%s%s%s%s%s\n" % (begin, when, middle, request, end, prediction, rest)


READ = """
import re, sys, time
from pathlib import Path
from churn_service.project import project
from skewless.core.url import Url
from skewless.monitoring.place import Database, Log
from skewless.monitoring.views import open_views
database = Database(Url(sys.argv[2]), "the URL") if sys.argv[2] else None
log = Log(Path(sys.argv[1]), database)
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", \
Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
started = time.perf_counter()
with open_views(log, project.contract) as views:
    ((rows, _),) = views.ask("SELECT count(*), max(hash(p)) FROM predictions AS p")
seconds = time.perf_counter() - started
print(f"{rows:,} rows in {seconds:.1f} s: {rows / seconds:,.0f} rows/s, "
      f"at most {peak():,.0f} MB, of which {before:,.0f} MB to import")
"""


def read(rows: int, postgres_rows: int) -> None:
    """Write a log quickly, read it back from each store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "log"
        folder.mkdir()
        for file, made in lines(rows):
            with (folder / file).open("ab") as out:
                out.writelines(made)
        report("JSONL", folder)
        started = time.perf_counter()
        done = list(
            compact(
                Log(folder),
                before=NOON.date() + timedelta(days=365),
                now=time.time() + 10**6,
            )
        )
        sizes = [
            sum(getattr(each, when) for each in done) / 1e6
            for when in ("bytes_before", "bytes_after")
        ]
        seconds = time.perf_counter() - started
        print(
            f"compact: {seconds:.1f} s, {sizes[0]:,.0f} MB -> {sizes[1]:,.0f} MB",
            flush=True,
        )
        report("Parquet", folder)
    with postgres() as server:
        url = server.new_database()
        known = engine(database_at(url))
        with known.begin() as connection:
            METADATA.create_all(connection)
        started = time.perf_counter()
        for _, made in lines(postgres_rows):
            with known.begin() as connection:
                array = b"[" + b",".join(each[:-1] for each in made) + b"]"
                connection.execute(
                    INSERT, {"lines": array.decode(), "id": project.contract.id}
                )
        print(
            "PostgreSQL takes "
            f"{postgres_rows / (time.perf_counter() - started):,.0f} rows/s"
        )
        known.dispose()
        report(
            "PostgreSQL",
            Path(tempfile.gettempdir()) / "no-such-log",
            url,
        )


def report(kind: str, folder: Path, url: str = "") -> None:
    """Read in a process of its own, so that its memory is its own."""
    said = subprocess.check_output(
        [sys.executable, "-c", READ, str(folder), url], text=True
    )
    print(f"{kind}: {said.strip()}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--postgres-rows", type=int, default=200_000)
    parser.add_argument("--only", choices=("serve", "read"))
    asked = parser.parse_args()
    if asked.only != "read":
        serve(asked.seconds)
    if asked.only != "serve":
        read(asked.rows, asked.postgres_rows)
