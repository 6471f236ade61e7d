"""Start a real Prometheus on the project's own rules, and read rules and dashboards."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import yaml

from conftest import ROOT
from running import ask, free_port
from steady import until

RULES: Final = ROOT / "deploy/prometheus/rules.yml"
CONFIG: Final = RULES.parent / "prometheus.yml"
LOADED: Final = yaml.safe_load(CONFIG.read_text())
DASHBOARDS: Final = sorted((ROOT / "deploy/grafana").glob("*.json"))


def rules() -> list[dict[str, Any]]:
    """Return the rules, in order."""
    return [
        rule
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
    ]


def panels(path: Path) -> list[dict[str, Any]]:
    """Return the panels of a dashboard."""
    return json.loads(path.read_text())["panels"]


def queries(path: Path) -> list[str]:
    """Return every query of the rules or of a dashboard."""
    if path == RULES:
        return [rule["expr"] for rule in rules()]
    return [target["expr"] for panel in panels(path) for target in panel["targets"]]


class Prometheus:
    """A Prometheus that listens at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Ask for a query's present values.

        A query that Prometheus does not understand is an HTTPError.
        """
        return ask(f"{self.url}/api/v1/query?query={quote(query)}")["data"]["result"]

    def alerts(self) -> dict[str, list[dict[str, Any]]]:
        """Return what fires or is about to: alert → each case of it."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in ask(f"{self.url}/api/v1/alerts")["data"]["alerts"]:
            found.setdefault(each["labels"]["alertname"], []).append(each)
        return found


@contextlib.contextmanager
def scraping(service: str, folder: Path) -> Iterator[Prometheus]:
    """Start a Prometheus with the project's configuration.

    But its intervals are one second, and its target is this service.
    """
    loaded = yaml.safe_load(CONFIG.read_text())
    loaded["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    loaded["rule_files"] = [str(RULES)]
    loaded["scrape_configs"][0]["static_configs"] = [
        {"targets": [service.removeprefix("http://")]}
    ]
    config, url = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    config.write_text(yaml.safe_dump(loaded))
    words = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={url}",
    ]
    with subprocess.Popen(
        ["prometheus", *words, "--log.level=warn"], cwd=folder
    ) as process:
        try:
            until(lambda: _is_ready(url), "Prometheus is ready", seconds=60)
            yield Prometheus(f"http://{url}")
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        urlopen(f"http://{url}/-/ready", timeout=5).close()
    except (URLError, ConnectionError):
        return False
    return True
