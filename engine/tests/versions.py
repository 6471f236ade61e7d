"""Train versions that differ, and put them where a test wants them."""

import json
from pathlib import Path
from typing import Any

import yaml

from conftest import run_command
from skewless.registry.events import Alias, Decided, Event
from skewless.registry.registry import Registry


def train(folder: Path, **sections: dict[str, Any]) -> str:
    """Train with some keys of config.yaml changed; return the version.

    The file is put back afterwards.
    """
    path = folder / "config.yaml"
    before = path.read_text()
    document = yaml.safe_load(before)
    for name, values in sections.items():
        document[name] = document.get(name, {}) | values
    path.write_text(yaml.safe_dump(document))
    done = run_command(folder, "train", "--json")
    path.write_text(before)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["version"]


def put(folder: Path, version: str, alias: Alias = "production") -> Event:
    """Record that a version was promoted, whatever it is worth."""
    registry = Registry(folder / "models")
    decided = Decided(kind="promote", version=version, alias=alias, who="ada@host")
    return registry.record(decided, registry.events())


def holder(folder: Path, alias: Alias = "production") -> str | None:
    """Name what an alias stands for."""
    return Registry(folder / "models").state().holder(alias)
