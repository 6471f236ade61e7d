"""Rehearse a bad month in minutes, in a folder of its own.

It goes through drift, outcomes, retraining, promotion and rollback. Every step is a
real command or a request to a real server; none touches the project's own registry or
log. A step that does not come out as it should ends the drill with 1.

Usage: python scripts/drill.py [REPORT.html]
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import yaml
from skewless.core.arrays import to_json
from skewless.core.contract import Column
from skewless.core.sections import PLAIN
from skewless.tables.simulate import simulate, true_probability

from churn_service.project import project
from committed import commit_code

ROOT: Final = Path(__file__).parents[1]
COMMAND: Final = [sys.executable, "-m", "churn_service"]
CUSTOMERS = 700  # of each wave
WINDOW_SECONDS = 10.0
FLUSHED_SECONDS = 0.5  # until answers are in the log
DAY_SECONDS = 24 * 60 * 60
PATIENCE = 30  # seconds
ELSEWHERE: Final = {
    name: value
    for name, value in os.environ.items()  # noqa: TID251 - the children inherit it
    if not name.startswith("CHURN_")
}
CONFIG: Final[dict[str, dict[str, Any]]] = {
    "data": {  # never the owner's table
        "path": "data/drill.csv",
        "format": PLAIN.model_dump(mode="json"),
        "sample": {"rows": 6_000, "random_state": 42},
    },
    "serving": {
        "poll_seconds": 0.5,
        "drain_seconds": 0,
        "rate_limit_per_minute": 10**6,
    },
    "monitoring": {"flush_seconds": 0.2},
    "retrain": {
        "window_days": WINDOW_SECONDS / DAY_SECONDS,
        "cool_down_days": 1.0,
        "promote": "production",
    },
    # Customers here behave so differently that a version that knows them decides
    # otherwise. In earnest keep these limits: the gate then stops such a version, and a
    # person looks at it.
    "gate": {
        "replay_requests": CUSTOMERS,
        "max_flip_share": 1.0,
        "max_psi": 10.0,
        "max_latency_ratio": 100.0,
    },
}


class Wave(NamedTuple):
    """Customers who are asked about at the same time."""

    requests: list[dict[str, Any]]
    churns: np.ndarray


def main() -> None:
    """Walk the road once."""
    started = time.monotonic()
    report = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        folder = Path(name)
        document = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
        for section, values in CONFIG.items():
            document[section] = document.get(section, {}) | values
        (folder / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        commit_code(folder)
        do = partial(run, folder)
        step("A version is trained, and put into production on evidence")
        do("sample")
        do("train")
        do("registry", "promote", "newest", "--to", "production")
        with serving(folder) as url:
            rehearse(url, do, report or folder / "report.html")
    print(f"\nthe drill went as it should, in {time.monotonic() - started:.0f} s")


def rehearse(url: str, do: Callable[..., str], report: Path) -> None:
    """Let a server live through a change of its customers."""
    first = version(url)
    stay_calm(url, do, first)
    shifted = [wave(seed, shifts=True) for seed in (8, 9, 10)]
    raise_alarm(url, do, shifted[0], report=report)
    second = close_the_loop(url, do, shifted[1:])

    step("And back, at once")
    do(
        "registry",
        "rollback",
        "--reason",
        "the drill is over",
        shows=f"{first} is in production again",
    )
    expect(follows(url, second) == first, f"{first} answers again")
    do("registry", "history", shows="rollback production")


def stay_calm(url: str, do: Callable[..., str], first: str) -> None:
    """Let nothing happen while nothing changes."""
    step(
        f"{first} answers for customers like those it knows, "
        "and their outcomes come back"
    )
    healthy = wave(7)
    tell(url, healthy, answers(url, healthy, first))
    do("drift", "--since", "1h", shows="what to do: ")
    do("retrain", shows="nothing to do")


def raise_alarm(
    url: str, do: Callable[..., str], shifted: Wave, *, report: Path
) -> None:
    """Let other customers come, who leave for other reasons than before."""
    step("Customers change: an alarm")
    since = datetime.now(UTC).isoformat()
    given = answers(url, shifted, version(url))
    do("drift", "--since", since, code=3, shows=" drift ")
    do("report", report, "--since", since, code=3, shows="page: ")
    size = report.stat().st_size
    expect(size, f"the report is in {report}, {size:,} bytes")

    step("Outcomes come late, and contradict what was predicted")
    tell(url, shifted, given)
    do("performance", code=3, shows="concept_drift")


def close_the_loop(url: str, do: Callable[..., str], shifted: Sequence[Wave]) -> str:
    """Let it go on, train on it, and promote; return the version that answers then."""
    step(
        "It goes on for a second window: "
        "trigger, table, training, gate, staging, production"
    )
    first = version(url)
    for seconds, customers in zip(
        (WINDOW_SECONDS, FLUSHED_SECONDS), shifted, strict=True
    ):
        tell(url, customers, answers(url, customers, first))
        time.sleep(seconds)
    said = do("retrain", shows="production: ")
    expect("yes drift: " in said, "drift in two windows was a reason")
    expect("yes outcomes: " in said, "so were the outcomes")

    step("The server follows, and answers name the new version")
    second = follows(url, first)
    given = answers(url, shifted[1], second)
    time.sleep(FLUSHED_SECONDS)
    do("log", "find", given[0], shows=second)
    do("retrain", shows="yes cool-down: ")
    return second


def step(what: str) -> None:
    """Say what comes now."""
    print(f"\n== {what}", flush=True)


def expect(holds: object, what: str) -> None:
    """Say that something is so, or end with 1 because it is not."""
    print(f"   {'ok' if holds else 'NOT SO'}: {what}", flush=True)
    if not holds:
        sys.exit(1)


def run(folder: Path, *words: object, code: int = 0, shows: str = "") -> str:
    """Run a command, show what it says, and return it.

    The exit code must be `code`, and the text of `shows` must be in what it says.
    """
    said = [str(word) for word in words]
    command = [*COMMAND, *said]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, env=ELSEWHERE, capture_output=True, text=True, check=False
    )
    print(f"$ churn-service {' '.join(said)}")
    print(textwrap.indent(done.stdout, "   "), end="")
    if done.returncode != code:
        print(done.stderr)
    expect(done.returncode == code, f"exit code {done.returncode}, expected {code}")
    if shows:
        expect(shows in done.stdout, f"it says {shows.strip()!r}")
    return done.stdout


def wave(seed: int, *, shifts: bool = False) -> Wave:
    """Draw customers; if they shift, values differ, and who stayed would leave."""
    made = simulate(CUSTOMERS, seed, project.contract)
    if shifts:
        for column in project.contract.columns:
            made[column.name] = move(made[column.name], column)
    chances = true_probability(made, project.contract)
    if shifts:
        chances = 1 - chances
    ids = [f"drill-{seed}-{row}" for row in range(CUSTOMERS)]
    cells = {project.contract.id: ids} | {
        column.name: to_json(made[column.name], column)
        for column in project.contract.columns
    }
    rows = zip(*cells.values(), strict=True)
    requests = [dict(zip(cells, row, strict=True)) for row in rows]
    return Wave(requests, np.random.default_rng(seed).random(CUSTOMERS) < chances)


def move(values: np.ndarray, column: Column) -> np.ndarray:
    """Make numbers three times as high, and any other value the last that there is."""
    if column.kind in {"category", "boolean"}:
        last = column.categories[-1] if column.categories else 1
        return np.array(
            [None if value is None else last for value in values.tolist()],
            dtype=column.dtype,
        )
    low, high = column.bounds
    return np.clip(low + 3 * (values - low), low, high)


def answers(url: str, customers: Wave, expected: str) -> list[str]:
    """Ask about customers; return the ids of the answers.

    The answers must all be of the expected version.
    """
    batch = ask(f"{url}/predict/batch", {"customers": customers.requests})
    given = batch["predictions"]
    found = {each["model_version"] for each in given}
    mean = sum(each["churn_probability"] for each in given) / len(given)
    expect(
        found == {expected},
        f"{len(given):,} answers by {', '.join(found)}, mean probability {mean:.3f}",
    )
    return [each["prediction_id"] for each in given]


def tell(url: str, customers: Wave, ids: list[str]) -> None:
    """Send what became of customers."""
    said = [
        {"prediction_id": name, "outcome": int(outcome)}
        for name, outcome in zip(ids, customers.churns, strict=True)
    ]
    accepted = ask(f"{url}/outcomes", {"outcomes": said})["accepted"]
    expect(
        accepted == len(ids),
        f"{accepted:,} outcomes accepted, {customers.churns.mean():.1%} churned",
    )


def version(url: str) -> str:
    """Name the version that answers."""
    return str(ask(f"{url}/model")["version"])


def follows(url: str, before: str) -> str:
    """Wait until another version answers; name it."""
    started = time.monotonic()
    while version(url) == before and time.monotonic() < started + PATIENCE:
        time.sleep(0.1)
    after = version(url)
    expect(
        after != before,
        f"{after} answers in place of {before}, "
        f"{time.monotonic() - started:.1f} s later",
    )
    return after


def ask(url: str, body: Any = None) -> Any:
    """GET, or POST a JSON body; return the JSON answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own http URL
        url, data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(  # noqa: S310 - ditto
        request, timeout=PATIENCE
    ) as response:
        return json.load(response)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Start a server, wait until it is ready, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, *words], cwd=folder, env=ELSEWHERE, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while (
            server.poll() is None and time.monotonic() < deadline and not is_ready(port)
        ):
            time.sleep(0.1)
        expect(is_ready(port), f"a server is ready on port {port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


def is_ready(port: int) -> bool:
    """Tell whether a server answers predictions."""
    try:
        return ask(f"http://127.0.0.1:{port}/ready") is not None
    except urllib.error.URLError:
        return False


if __name__ == "__main__":
    main()
