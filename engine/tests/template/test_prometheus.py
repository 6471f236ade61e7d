"""What Prometheus itself makes of the rules and the dashboards.

It runs alone, and on a real service.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError

import pytest

from own import CONTRACT
from running import ask, serving
from scraping import CONFIG, DASHBOARDS, RULES, Prometheus, queries, rules, scraping
from steady import Load, configure, until
from versions import put

ABSENT = "0.1.0-00000000"
SECONDS = 60  # that Prometheus may take to see what happens
BATCH = {"customers": [CONTRACT.example()] * 7}
FAILED = 'http_request_duration_seconds_count{status="503"}'


class Watched(NamedTuple):
    folder: Path
    url: str
    process: subprocess.Popen
    prometheus: Prometheus


@pytest.fixture
def watched(trained: Path, tmp_path: Path) -> Iterator[Watched]:
    """Start a service on a version, and a Prometheus that watches it."""
    folder = Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )
    configure(folder, "serving", poll_seconds=0.2, deadline_seconds=0.0001)
    with serving(folder) as (url, process), scraping(url, tmp_path) as prometheus:
        yield Watched(folder, url, process, prometheus)


@pytest.mark.needs("promtool")
def test_promtool_reads_the_rules_and_the_configuration():
    for words in (["check", "rules", RULES], ["check", "config", CONFIG]):
        done = subprocess.run(
            ["promtool", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.needs("promtool")
def test_every_scenario_of_the_rules_comes_out():
    words = ["promtool", "test", "rules", RULES.parent / "rules_test.yml"]

    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def drifts(folder: Path, outcomes: str = "ok", **states: str) -> None:
    """Leave what a daily report would."""
    from recorded import figures, week_figures

    now = datetime.now(UTC)
    figures(states, now).write(folder / "predictions")
    week_figures(outcomes, now).write(folder / "predictions")


def fail(url: str) -> None:
    """Ask for more than can be answered in time."""
    with pytest.raises(HTTPError, match="503"):
        ask(f"{url}/predict/batch", {"customers": [CONTRACT.example()] * 100})


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("prometheus")
def test_every_query_of_the_rules_and_dashboards_has_an_answer_before_a_real_service(
    watched: Watched,
):
    prometheus = watched.prometheus
    drifts(watched.folder, revenue="ok")
    # so that there are looks at the registry that did not end well
    put(watched.folder, ABSENT)

    with (
        Load(watched.url, callers=1),
        Load(watched.url, callers=1, path="/predict/batch", body=BATCH),
    ):
        fail(watched.url)
        until(lambda: prometheus.ask(FAILED), "a failure is seen")
        fail(watched.url)
        for query in {query for path in DASHBOARDS for query in queries(path)}:
            until(lambda query=query: prometheus.ask(query), query, SECONDS)

    for rule in rules():
        found = prometheus.ask(rule["expr"])
        assert found or "alert" in rule, rule


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("prometheus")
def test_a_service_that_does_well_raises_no_alarm_and_what_breaks_raises_its_own(
    watched: Watched,
):
    prometheus, raised = watched.prometheus, {}

    def is_raised(name: str, state: str) -> bool:
        raised.update(prometheus.alerts())
        return any(each["state"] == state for each in raised.get(name, ()))

    def wait_for(name: str, state: str) -> None:
        until(lambda: is_raised(name, state), name, SECONDS)

    def is_seen() -> bool:
        ask(f"{watched.url}/predict", CONTRACT.example())
        return bool(prometheus.ask("job_route:http_request_seconds:p99_rate5m"))

    drifts(watched.folder, revenue="ok")
    until(is_seen, "traffic is seen", SECONDS)
    # its start looks like an absence
    until(lambda: prometheus.alerts() == {}, "all is quiet", SECONDS)

    put(watched.folder, ABSENT)
    wait_for("ChurnVersionRefused", "pending")
    fail(watched.url)
    # only a rise from there on counts
    until(lambda: prometheus.ask(FAILED), "a failure is seen", SECONDS)
    for _ in range(20):
        fail(watched.url)
    wait_for("ChurnFailing", "firing")
    drifts(watched.folder, "concept_drift", revenue="drift", city="broken")
    wait_for("ChurnDrift", "firing")
    wait_for("ChurnConceptDrift", "firing")
    wait_for("ChurnColumnBroken", "firing")
    watched.process.kill()
    wait_for("ChurnServiceDown", "pending")

    said = json.dumps(
        [each["annotations"] for cases in raised.values() for each in cases]
    )
    assert not [
        fault for fault in ("no value", "error expanding", "{{") if fault in said
    ]
