"""Prove that the built images work, confined as production confines them.

Usage: python scripts/smoke.py

Ends with 1 if they do not. The image that serves answers by the versions inside it, if
there are any. Then the one for jobs trains into an object store, which is started here,
scores, and the first serves from there. What the engine does not confine stands in
docs/service/image.md.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from engines import ROOT, Engine, Run, pick_engine
from git_status import Refused
from image import HERE, tag

PATIENCE: Final = 60  # seconds to become ready
LOG: Final = ROOT / "dist" / "smoke.log"
GRACE: Final = 35  # seconds that docs/service/operating.md says an end may take
REQUESTS: Final = 40  # of each caller; fewer than the limit per minute
UNPROCESSABLE: Final = 422
CONFINED: Final = """
import errno, os, pathlib
said = dict(line.split(":", 1) for line in open("/proc/self/status"))
for name in ("Uid", "Gid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp"):
    print(f"{name}:", *said[name].split())
assert {*said["Uid"].split(), *said["Gid"].split()} == {"10001"}
assert not int(said["CapEff"], 16) and int(said["NoNewPrivs"])
for folder in ("/", "/app", "/app/models", "/opt/venv", "/tmp", "/var/tmp"):
    try:
        pathlib.Path(folder, "mine").write_text("")
    except OSError as error:
        assert error.errno == errno.EROFS, (folder, error)
    else:
        raise AssertionError(f"{folder} can be written to")
"""
INSIDE: Final = "import pathlib; print(len([*pathlib.Path('/app/models').glob('*-*')]))"
LINES: Final = (
    "\nimport pathlib\n"
    "print(sum(len(path.read_text().splitlines()) "
    'for path in pathlib.Path("/app/predictions").rglob("*.jsonl")))\n'
)


class Place(NamedTuple):
    """Where containers run, and with what."""

    engine: Engine
    volumes: dict[str, str]
    env: dict[str, str]


class Asked(NamedTuple):
    """A service that runs."""

    url: str
    key: str

    def __call__(self, road: str, body: Any = None) -> Any:
        """Ask for a road; read JSON where the answer is JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.url + road,
            data,
            {"X-API-Key": self.key, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(  # noqa: S310 - loopback
            request, timeout=10
        ) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith(("{", "[")) else text


def step(what: str) -> None:
    """Say what comes now."""
    print(f"\n== {what}", flush=True)


def expect(holds: object, what: str) -> None:
    """Say that something is so.

    Raises
    ------
    Refused
        It is not so.
    """
    if not holds:
        raise Refused(what)
    print(f"   ok: {what}", flush=True)


def command(
    place: Place,
    target: str,
    *words: str,
    codes: tuple[int, ...] = (0,),
    code: str = "",
) -> str:
    """Run a command in a container to its end; return what it printed.

    With `code` it runs a program in Python.
    """
    entry = ["python", "-c", code] if code else None
    run = Run(words, entrypoint=entry, env=place.env, volumes=place.volumes)
    with place.engine.start(
        tag(target), run, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as started:
        said = started.communicate()[0].decode()
    if not code:
        print(
            f"$ {target}: {' '.join(words)}  → {started.returncode}\n"
            f"   {said.strip()[:300]}"
        )
    expect(started.returncode in codes, f"exit code {started.returncode}, of {codes}")
    return said


@contextlib.contextmanager
def serving(place: Place) -> Iterator[tuple[Asked, subprocess.Popen[bytes]]]:
    """Start the service, wait until it is ready, and kill it if it was not ended."""
    said = command(
        place, "serve", "keys", "new", "--id", "smoke", "--scope", "admin", "--json"
    )
    made = json.loads(said)
    asked = Asked(f"http://127.0.0.1:{free_port()}", made["key"])
    port = asked.url.rpartition(":")[2]
    here = {
        "CHURN_HOST": "127.0.0.1",
        "CHURN_PORT": port,
        "CHURN_API_KEYS": made["line"],
    }
    run = Run([], env=place.env | here, volumes=place.volumes)
    started = time.monotonic()
    with LOG.open("wb") as log:
        service = place.engine.start(tag("serve"), run, stderr=log)
    try:
        wait_until_ready(asked, service)
        print(f"   ready after {time.monotonic() - started:.1f} s")
        yield asked, service
    finally:
        if service.poll() is None:
            place.engine.kill(service)


def wait_until_ready(asked: Asked, service: subprocess.Popen[bytes]) -> None:
    """Ask until it is ready, it ends, or patience does."""
    deadline = time.monotonic() + PATIENCE
    while True:
        expect_running(service, deadline)
        with contextlib.suppress(OSError):
            asked("/ready")
            return
        time.sleep(0.1)


def expect_running(service: subprocess.Popen[bytes], deadline: float) -> None:
    """Give up on a service that ended or takes too long."""
    if service.poll() is not None or time.monotonic() > deadline:
        msg = f"the service did not become ready (exit code {service.poll()})"
        raise Refused(msg)


def answers(place: Place, version: str | None = None) -> None:
    """Let a service answer, refuse, measure, remember, and end while still asked."""
    customer = json.loads(command(place, "serve", "example"))
    before = int(command(place, "serve", code=LINES))
    with serving(place) as (asked, service):
        expect(asked("/health")["model_loaded"], "/health says that a model is loaded")
        first = asked("/predict", customer)
        expect(
            0 <= first["churn_probability"] <= 1,
            f"/predict answers by {first['model_version']}",
        )
        expect(
            version in {None, first["model_version"]}, "that is the version asked for"
        )
        expect(refuses(asked), "/predict refuses an empty record with 422")
        expect(
            "model_predictions_total" in asked("/metrics"),
            "/metrics counts predictions",
        )
        expect_health(place, asked.url.rpartition(":")[2], codes=(0,))
        given = 1 + end_while_asked(asked, service, customer)
        expect_health(place, asked.url.rpartition(":")[2], codes=(1,))
    print(f"   {given} answers were given")
    remembered = int(command(place, "serve", code=LINES)) - before
    expect(remembered == given, f"{remembered} are in the prediction log")


def refuses(asked: Asked) -> bool:
    """Tell whether a record that breaks the contract is refused."""
    try:
        asked("/predict", {})
    except urllib.error.HTTPError as error:
        return error.code == UNPROCESSABLE
    return False


def expect_health(place: Place, port: str, *, codes: tuple[int, ...]) -> None:
    """Run what the image says tells its health."""
    _, *words = place.engine.config(tag("serve"))["Healthcheck"]["Test"]
    run = Run([], entrypoint=words, env={"CHURN_PORT": port})
    with place.engine.start(tag("serve"), run, stderr=subprocess.DEVNULL) as check:
        code = check.wait()
    expect(code in codes, f"the health check ends with {code}")


def end_while_asked(
    asked: Asked, service: subprocess.Popen[bytes], customer: Mapping[str, Any]
) -> int:
    """End the service while it is asked; return how many answers it gave."""
    given = list[Any]()
    begun = threading.Event()

    def ask() -> None:
        for _ in range(REQUESTS):
            try:
                given.append(asked("/predict", customer))
            except OSError:
                return
            begun.set()
            time.sleep(0.02)

    caller = threading.Thread(target=ask)
    caller.start()
    begun.wait(PATIENCE)
    before = len(given)
    started = time.monotonic()
    service.send_signal(signal.SIGTERM)
    code = service.wait(GRACE)
    caller.join()
    expect(
        code == 0,
        f"SIGTERM ended it with {code} "
        f"after {time.monotonic() - started:.1f} s, of {GRACE}",
    )
    expect(len(given) > before, f"{len(given) - before} answers came after SIGTERM")
    return len(given)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """Start an S3 server with a bucket on loopback.

    Yield the variables that lead to a registry in it.
    """
    url = f"http://127.0.0.1:{free_port()}"
    words = [
        sys.executable,
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        url.rpartition(":")[2],
    ]
    with subprocess.Popen(  # noqa: S603 - our own
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            bucket = urllib.request.Request(  # noqa: S310 - loopback
                f"{url}/bucket", method="PUT"
            )
            until_answered(bucket)
            yield {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "smoke",
                "AWS_SECRET_ACCESS_KEY": "smoke",
                "AWS_DEFAULT_REGION": "us-east-1",
                "CHURN_REGISTRY_URL": "s3://bucket/versions",
            }
        finally:
            server.terminate()


def until_answered(request: urllib.request.Request) -> None:
    """Ask until there is an answer, or patience ends."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - loopback
            return
        time.sleep(0.1)
    msg = "the object store never answered; is moto installed?"
    raise Refused(msg)


@contextlib.contextmanager
def volumes(engine: Engine) -> Iterator[dict[str, str]]:
    """Make what the images say is written to; remove it at the end."""
    made = {
        engine.volume(f"smoke-{os.getpid()}-{name}"): f"/app/{name}"
        for name in ("models-cache", "data", "predictions")
    }
    try:
        yield made
    finally:
        for name in made:
            engine.remove_volume(name)


def do_jobs(place: Place) -> str:
    """Make a table, train on it, promote and score; return the version."""
    command(place, "jobs", "sample", "--rows", "3000")
    version = json.loads(command(place, "jobs", "train", "--json"))["version"]
    # Forced, as the images may be of code that is being worked on.
    forced = ("--force", "--reason", "to show that the images work")
    command(
        place, "jobs", "registry", "promote", "newest", "--to", "production", *forced
    )
    command(
        place, "jobs", "score", "data/customers.csv", "data/scored.csv", "--overwrite"
    )
    return str(version)


def watch(place: Place) -> None:
    """Look at what was answered; exit code 3 means that something moved."""
    command(place, "jobs", "drift", "--since", "1h", codes=(0, 3))
    command(place, "jobs", "retrain", "--dry-run")


def main() -> None:
    """Walk both roads."""
    engine = pick_engine(HERE.get("IMAGE_ENGINE"))
    LOG.parent.mkdir(exist_ok=True)
    with volumes(engine) as mounted:
        written = {name: path for name, path in mounted.items() if path != "/app/data"}
        inside = Place(engine, written, {})
        step("Confined as it should be")
        print(textwrap.indent(command(inside, "serve", code=CONFINED), "   "), end="")
        if int(command(inside, "serve", code=INSIDE)):
            step("The versions in the image answer")
            answers(inside)
        else:
            print(
                "no version is in the image: it needs a registry, "
                "which CHURN_REGISTRY_URL names"
            )
        with object_store() as env:
            step("Jobs train into an object store, promote there, and score")
            jobs = Place(
                engine,
                mounted | {"": "/tmp"},  # noqa: S108 - in the container
                env,
            )
            version = do_jobs(jobs)
            step("The service answers from that store")
            answers(Place(engine, written, env), version)
            step("Jobs look at what was answered")
            watch(jobs)
    print("\nboth images work")


if __name__ == "__main__":
    try:
        main()
    except Refused as why:
        sys.exit(f"NOT SO: {why}; what the service said last is in {LOG}")
