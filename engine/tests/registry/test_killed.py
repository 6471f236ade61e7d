"""kill -9 while a version is registered, promoted or downloaded.

What is there afterwards is whole, and the work can go on.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import UNTRACED
from own import PROJECT
from skewless.core.sections import RegistryConfig
from skewless.models.artifact import MANIFEST
from skewless.models.predict import open_predictor
from skewless.registry.remote import open_registry

TIMES = 24

pytestmark = [pytest.mark.fault, pytest.mark.posix]

LONGEST_SECONDS = 0.12  # a little more than any of the three takes
SCRIPT = """
import sys
from pathlib import Path
from skewless.models.artifact import MANIFEST
from skewless.core.checkout import Checkout
from skewless.registry.events import Decided
from skewless.registry.remote import open_registry
from skewless.core.sections import RegistryConfig
what, source, path, root = sys.argv[1:]
source, registry = Path(source), \
open_registry(RegistryConfig(path=path, cache="mirror"), Path(root))
files = {each.name: each.read_bytes() for each in source.iterdir() \
if each.name != MANIFEST}
promoted = Decided(kind="promote", version=source.name, alias="production", \
who="ada@host")
print("ready", flush=True)
if what == "register":
    registry.write(source.name, files, who="ada@host", \
checkout=Checkout("unknown", reason="a test"))
elif what == "promote":
    for _ in range(20):
        registry.record(promoted, registry.events())
else:
    registry.load()
print("done", flush=True)
"""


def killed(*words: object, after: float) -> bool:
    """Kill a process at a moment of its work; tell whether it was done already."""
    command = [sys.executable, "-c", SCRIPT, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)  # the moment is what is tried out
        os.kill(process.pid, signal.SIGKILL)
        return process.stdout.read() == "done\n"


@pytest.mark.slow
def test_whenever_it_is_killed_what_is_there_is_whole_and_it_can_go_on(
    s3: str, version: Path, tmp_path: Path
):
    files = {
        path.name: path.read_bytes()
        for path in version.iterdir()
        if path.name != MANIFEST
    }
    open_registry(RegistryConfig(path=s3, cache="first"), tmp_path).write(
        version.name, files, who="ada@host", checkout=UNTRACED
    )
    moments, done = np.random.default_rng(1), 0
    for attempt in range(TIMES):
        what, root = (
            ("register", "promote", "download")[attempt % 3],
            tmp_path / str(attempt),
        )
        path = s3 if what == "download" else "models"
        registry = open_registry(RegistryConfig(path=path, cache="mirror"), root)
        if what == "promote":
            registry.write(version.name, files, who="ada@host", checkout=UNTRACED)
        done += killed(
            what, version, path, root, after=moments.uniform(0, LONGEST_SECONDS)
        )

        for name in registry.versions() if path == "models" else []:
            registry.load(name)
        assert registry.state().newest in {None, version.name}
        registry.write(version.name, files, who="ada@host", checkout=UNTRACED)
        assert open_predictor(registry.load(), PROJECT).version == version.name

    assert 0 < done < TIMES
