"""Rehearse a release under load.

Another image comes, then another model; both go back, and a process is killed. Two real
processes stand behind a real HAProxy, by deploy/compose/haproxy.cfg and with the
secrets that deploy/compose/secrets.sh makes, in a folder of its own. An image is a copy
of the code, as no container is started here. Every request is counted; if one fails
that should not, this ends with 1.

Usage: python scripts/rehearse.py
"""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

import yaml
from skewless.core.arrays import to_json
from skewless.core.sections import PLAIN
from skewless.tables.simulate import simulate

from churn_service.project import project
from committed import SOURCES, commit_code

ROOT: Final = Path(__file__).parents[1]
COMPOSE: Final = ROOT / "deploy/compose"
COMMAND: Final = [sys.executable, "-m", "churn_service"]
HERE: Final = "127.0.0.1"
CALLERS = 6
CUSTOMERS = 500  # at once they are more than the proxy keeps to send it again
STAGE_ANSWERS = 300  # that every stage waits for
PATIENCE = 60  # seconds
ELSEWHERE: Final = {
    name: value
    for name, value in os.environ.items()  # noqa: TID251 - the children inherit it
    if not name.startswith("CHURN_")
}
CONFIG: Final[dict[str, dict[str, Any]]] = {
    "data": {  # never the owner's table
        "path": "data/rehearsal.csv",
        "format": PLAIN.model_dump(mode="json"),
        "sample": {"rows": 6_000, "random_state": 42},
    },
    "serving": {"poll_seconds": 0.5, "rate_limit_per_minute": 10**9},
    # Two versions that are about the same, one of them timed beside processes under
    # load.
    "gate": {"max_flip_share": 1.0, "max_psi": 10.0, "max_latency_ratio": 100.0},
}


def main() -> None:
    """Walk the road once."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name, ExitStack() as stack:
        folder = Path(name)
        subprocess.run(  # noqa: S603 - our own command
            [COMPOSE / "secrets.sh", folder / "secrets"], check=True
        )
        commit_code(folder)
        first = train(folder, "0.1.0")
        second = train(folder, "0.2.0")
        do(folder, "registry", "promote", first, "--to", "production")
        apps = [App(folder, image="1") for _ in range(2)]
        for app in apps:
            stack.callback(app.end)
        with proxied(folder, apps) as port, Load(folder, port) as load:
            rehearse(folder, apps, load, versions=(first, second))
            refuse(load)
    print(f"\nthe rehearsal went as it should, in {time.monotonic() - started:.0f} s")


def rehearse(
    folder: Path, apps: list["App"], load: "Load", *, versions: tuple[str, str]
) -> None:
    """Change everything that can be changed, and back."""
    first, second = versions
    load.stage("both processes answer", lambda: None)
    load.stage("another image, one process after the other", lambda: release(apps, "2"))
    registry = partial(do, folder, "registry")
    registry("promote", second, "--to", "staging")
    load.stage(
        "the model's promotion",
        lambda: registry("promote", "staging", "--to", "production"),
        second,
    )
    load.stage(
        "the model's rollback",
        lambda: registry("rollback", "--reason", "the rehearsal"),
        first,
    )
    load.stage(
        "the image's rollback, one process after the other", lambda: release(apps, "1")
    )
    expect(set(load.versions) == set(versions), "both versions answered, and no other")
    refuse(load)

    load.stage("one of two processes is killed (kill -9)", lambda: kill(apps[0]))
    expect(
        len(load.failed) <= CALLERS,
        f"{len(load.failed)} requests were lost with it: {load.failed}",
    )
    load.failed.clear()
    load.stage("it is started again", lambda: apps[0].start("1"))


def refuse(load: "Load") -> None:
    """End if a request failed."""
    expect(not load.failed, f"{load.failed[:3] or 'no request'} failed")


def release(apps: list["App"], image: str) -> None:
    """Replace the processes; each is asked by the proxy before the next goes."""
    for app in apps:
        app.drain()
        app.start(image)


def kill(app: "App") -> None:
    """End a process as a power cut would."""
    app.process.send_signal(signal.SIGKILL)
    app.process.wait(PATIENCE)


class App:
    """A place where a process of the service listens."""

    def __init__(self, folder: Path, image: str) -> None:
        self._folder = folder
        self.port = free_port()
        self.start(image, asked=False)

    def start(self, image: str, *, asked: bool = True) -> None:
        """Start a process of an image; wait until it is ready or the proxy asks it."""
        code = self._folder / "images" / image
        if not code.exists():
            for sources in SOURCES:
                leave_out = shutil.ignore_patterns("__pycache__")
                shutil.copytree(
                    ROOT / sources, code, ignore=leave_out, dirs_exist_ok=True
                )
        variables = (self._folder / "secrets/service.env").read_text().splitlines()
        keys = dict(line.split("=", 1) for line in variables)
        environment = ELSEWHERE | {
            "PYTHONPATH": str(code),
            "CHURN_IMAGE_TAG": image,
            "CHURN_API_KEYS": keys["CHURN_API_KEYS"],
        }
        words = ["serve", "--port", str(self.port)]
        with (self._folder / "app.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [*COMMAND, *words],
                cwd=self._folder,
                env=environment,
                stdout=log,
                stderr=log,
            )
        until(
            lambda: self.answered() >= asked,
            f"image {image} answers on port {self.port}",
        )
        print(f"   image {image} answers on port {self.port}", flush=True)

    def drain(self) -> None:
        """Ask a process to end, as a cluster does, and wait until it has."""
        answered = self.answered()
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        expect(
            code == 0 and answered,
            f"port {self.port} drained with {code}, after {answered:,} answers",
        )

    def end(self) -> None:
        """End whatever runs."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def answered(self) -> int:
        """Count what it answered; -1 while it does not listen."""
        try:
            with urllib.request.urlopen(
                f"http://{HERE}:{self.port}/metrics", timeout=10
            ) as metrics:
                lines = metrics.read().decode().splitlines()
        except urllib.error.URLError:
            return -1
        predicted = [line for line in lines if "/predict" in line]
        counts = [
            float(line.rpartition(" ")[2])
            for line in predicted
            if line.startswith("http_request_duration_seconds_count")
        ]
        return int(sum(counts))


class Load:
    """Callers who ask one thing after the other, by TLS and with a key.

    Every request is accounted for.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._address = (HERE, port)
        self._done = threading.Event()
        self._trust = ssl.create_default_context(cafile=folder / "secrets/tls.crt")
        key = (folder / "secrets/caller.key").read_text()
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self.versions = Counter[str]()
        self.failed = list[str]()
        self._lock = threading.Lock()
        self._latest = deque[str](maxlen=50)
        self._requests = requests()
        self._threads = [
            threading.Thread(target=self._call, args=(number,))
            for number in range(CALLERS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def stage(self, what: str, act: Callable[[], object], version: str = "") -> None:
        """Do something under load, and tell what became of the requests.

        First wait until only `version` answers.
        """
        print(f"\n== {what}", flush=True)
        before = self.versions.copy()
        failed = len(self.failed)
        started = time.monotonic()
        act()
        until(
            lambda: not version or self._latest_are(version), f"only {version} answers"
        )
        until(
            lambda: (self.versions - before).total() >= STAGE_ANSWERS,
            "the load goes on",
        )
        given = self.versions - before
        counts = ", ".join(f"{number:,} by {name}" for name, number in given.items())
        seconds = time.monotonic() - started
        print(
            f"   requests answered: {counts}; "
            f"failed: {len(self.failed) - failed}; {seconds:.1f} s",
            flush=True,
        )

    def _latest_are(self, version: str) -> bool:
        with self._lock:
            return {*self._latest} == {version}

    def _call(self, number: int) -> None:
        """Ask on, some with a new connection now and then."""
        connection = http.client.HTTPSConnection(
            *self._address, context=self._trust, timeout=20
        )
        for turn in count(number):
            if self._done.is_set():
                break
            if number % 2 and turn % 50 == 0:
                connection.close()
            path, sent = self._requests[turn % len(self._requests)]
            try:
                connection.request("POST", path, sent, self._headers)
                answer = connection.getresponse()
                self._account(answer.status, answer.read())
            except (
                OSError,
                http.client.HTTPException,
                LookupError,
                ValueError,
            ) as error:
                self.failed.append(f"{path}: {error!r}")
                connection.close()
        connection.close()

    def _account(self, status: int, sent: bytes) -> None:
        if status != HTTPStatus.OK:
            self.failed.append(f"{status}: {sent.decode()}")
            return
        body = json.loads(sent)
        (version,) = {each["model_version"] for each in body.get("predictions", [body])}
        with self._lock:
            self.versions[version] += 1
            self._latest.append(version)


def requests() -> list[tuple[str, str]]:
    """Return what is asked: customers one by one, at times many at once."""
    made = simulate(CUSTOMERS, 7, project.contract)
    cells = {project.contract.id: [f"rehearsal-{row}" for row in range(CUSTOMERS)]}
    cells |= {
        column.name: to_json(made[column.name], column)
        for column in project.contract.columns
    }
    rows = zip(*cells.values(), strict=True)
    customers = [dict(zip(cells, row, strict=True)) for row in rows]
    single = [("/predict", json.dumps(customer)) for customer in customers]
    return [*single, ("/predict/batch", json.dumps({"customers": customers}))]


@contextmanager
def proxied(folder: Path, apps: list[App]) -> Iterator[int]:
    """Start the proxy in front of two processes; return its port."""
    port = free_port()
    probe = free_port()
    environment = ELSEWHERE | {
        "LISTEN": f"{HERE}:{port}",
        "PROBE": f"{HERE}:{probe}",
        "CERTIFICATE": str(folder / "secrets/tls.pem"),
        "FIRST": f"{HERE}:{apps[0].port}",
        "SECOND": f"{HERE}:{apps[1].port}",
    }
    words = ["haproxy", "-db", "-f", str(COMPOSE / "haproxy.cfg")]
    with (folder / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen(  # noqa: S603 - on PATH
            words, env=environment, stdout=log, stderr=log
        )
    try:
        until(
            lambda: proxy.poll() is not None or answers(f"http://{HERE}:{probe}/"),
            "the proxy has servers",
        )
        expect(proxy.poll() is None, f"HAProxy answers on port {port}")
        yield port
    finally:
        proxy.terminate()
        proxy.wait(PATIENCE)


def train(folder: Path, number: str) -> str:
    """Train a version under a number; return its name."""
    document = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for section, values in {**CONFIG, "model": {"version": number}}.items():
        document[section] = document.get(section, {}) | values
    (folder / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    if not (folder / "data").exists():
        do(folder, "sample")
    return str(json.loads(do(folder, "train", "--json"))["version"])


def do(folder: Path, *words: str) -> str:
    """Run a command; return what it says, or end if it fails."""
    command = [*COMMAND, *words]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, env=ELSEWHERE, capture_output=True, text=True, check=False
    )
    why = done.stderr if done.returncode else ""
    said = " ".join(["churn-service", *words, why])
    expect(done.returncode == 0, said.rstrip())
    return done.stdout


def expect(holds: object, what: str) -> None:
    """Say that something is so, or end with 1 because it is not."""
    print(f"   {'ok' if holds else 'NOT SO'}: {what}", flush=True)
    if not holds:
        sys.exit(1)


def until(holds: Callable[[], object], what: str) -> None:
    """Wait until something is so, or end with 1 because it never is."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            expect(holds=False, what=what)
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Tell whether a URL answers well."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own http URL
            return True
    except urllib.error.URLError:
        return False


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as free:
        free.bind((HERE, 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
