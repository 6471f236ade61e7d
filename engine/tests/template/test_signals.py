"""Rules, dashboards and runbook agree with each other and with what services show."""

import json
import re
from pathlib import Path

import pytest
import yaml
from fastapi.routing import APIRoute

from conftest import ROOT
from own import CONTRACT
from scraped import read
from scraping import DASHBOARDS, LOADED, RULES, panels, queries, rules
from skewless.serving.fallback import VERSION

RUNBOOK = ROOT / "docs/service/runbook.md"
SCENARIOS = yaml.safe_load((RULES.parent / "rules_test.yml").read_text())["tests"]
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
PARTS = ("bucket", "count", "sum")
KINDS = {"stat", "timeseries", "state-timeline"}  # panels that Grafana brings along
COLUMNS = 24  # of Grafana's grid
SOURCE = ("datasource", "datasource", "prometheus")
WORDS = {"and", "or", "by", "on", "group_left", "bool", "offset", "unless", "without"}
ALL = {
    f"{path.stem}: {query}": query
    for path in [RULES, *DASHBOARDS]
    for query in queries(path)
}


def named(query: str) -> set[str]:
    """Name the series that a query asks for."""
    bare = re.sub(
        r'"[^"]*"|\{[^}]*\}|\[\w+\]|\b(by|on)\s*\([^)]*\)|\b\d+\w*', " ", query
    )
    return {
        name
        for name in re.findall(r"[A-Za-z_][\w:]*\b(?!\s*\()", bare)
        if name not in WORDS
    }


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, build, connect) -> set[str]:
    """Name every series that a service shows, even if nothing has counted it yet."""
    root = tmp_path_factory.mktemp("shown")
    from recorded import figures, week_figures

    figures({"revenue": "drift"}).write(root / "predictions")
    week_figures("ok").write(root / "predictions")
    with connect(build(root=root)) as asked:
        asked.post("/predict/batch", json={"customers": [CONTRACT.example()] * 2})
        text = asked.get("/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)", text, re.MULTILINE))
    parts = {
        f"{name}_{part}"
        for name, kind in kinds.items()
        if kind == "histogram"
        for part in ("bucket", "count", "sum")
    }
    return read(text).keys() | parts | kinds.keys()


def test_a_query_names_its_series():
    query = (
        'sum by (job) (rate(a_total{job="b"}[5m])) '
        "/ on (job) group_left x:y:rate5m offset 36h > 0.2"
    )

    assert named(query) == {"a_total", "x:y:rate5m"}


@pytest.mark.parametrize("query", ALL.values(), ids=ALL)
def test_every_query_asks_for_what_is_shown_or_recorded(query: str, shown: set[str]):
    asked = named(query)

    assert asked
    assert asked <= shown | RECORDED | {"up"}


def test_every_recorded_series_is_used():
    assert {
        name for query in ALL.values() for name in named(query)
    } & RECORDED == RECORDED


def test_the_failures_that_count_are_those_of_every_road_that_answers_callers(build):
    (pattern,) = set(re.findall(r'route=~"(\.[^"]*)"', RULES.read_text()))
    routes = [route for route in build().app.routes if isinstance(route, APIRoute)]

    counted = {route.path for route in routes if re.fullmatch(pattern, route.path)}

    posted = {route.path for route in routes if "POST" in route.methods}
    assert counted == {path for path in posted if not path.endswith("/admin/reload")}


def test_the_fallback_is_asked_for_by_its_name():
    assert f'version="{VERSION}"' in ALERTS["ChurnFallback"]["expr"]


def test_every_alert_tells_who_gets_up_what_happens_and_where_to_read_on():
    for name, alert in ALERTS.items():
        assert alert["labels"]["severity"] in {"page", "ticket"}, name
        assert alert["annotations"].keys() == {"summary", "description", "runbook"}, (
            name
        )
        assert (
            alert["annotations"]["runbook"] == f"docs/service/runbook.md#{name.lower()}"
        )


def test_every_alert_has_a_section_of_the_runbook_and_every_section_an_alert():
    sections = re.findall(r"^## (Churn\w+)$", RUNBOOK.read_text(), re.MULTILINE)

    assert sections == list(ALERTS)


def test_the_runbook_says_who_gets_up_as_the_alert_does():
    said = dict(
        re.findall(
            r"^## (Churn\w+)\n\n\*\*(\w+)\*\*: ", RUNBOOK.read_text(), re.MULTILINE
        )
    )

    assert said == {name: alert["labels"]["severity"] for name, alert in ALERTS.items()}


def test_every_alert_fires_in_a_scenario_and_says_only_what_it_knows():
    expected = [
        dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
        for scenario in SCENARIOS
        for question in scenario["promql_expr_test"]
        for sample in question["exp_samples"]
        if sample["labels"].startswith("ALERTS")
    ]

    assert {labels["alertname"] for labels in expected} == ALERTS.keys()
    for labels in expected:
        said = json.dumps(ALERTS[labels["alertname"]]["annotations"])
        assert set(re.findall(r"\$labels\.(\w+)", said)) <= labels.keys()


def test_every_scenario_has_a_moment_at_which_nothing_fires():
    for scenario in SCENARIOS:
        moments = [
            each
            for each in scenario["promql_expr_test"]
            if each["expr"].startswith("ALERTS")
        ]
        assert any(not moment["exp_samples"] for moment in moments), scenario["name"]


def test_the_configuration_loads_the_rules_and_asks_the_job_that_they_ask_for():
    (job,) = LOADED["scrape_configs"]

    assert LOADED["rule_files"] == [RULES.name]
    asked = {
        name for query in ALL.values() for name in re.findall(r'job="([^"]*)"', query)
    }
    assert asked == {job["job_name"]}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_is_one_that_grafana_reads(path: Path):
    board = json.loads(path.read_text())

    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == SOURCE
    assert re.fullmatch(r"[\w-]{1,40}", board["uid"])  # Grafana's own bound
    assert board["schemaVersion"] > 0
    # these are set where it is imported
    assert not [key for key in ("id", "__inputs") if key in board]
    assert len({each["id"] for each in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["type"] in KINDS, panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert (
            len({target["refId"] for target in panel["targets"]})
            == len(panel["targets"])
            > 0
        )


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_lie_inside_grafanas_grid_and_not_on_each_other(path: Path):
    places = [panel["gridPos"] for panel in panels(path)]

    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < COLUMNS


def test_dashboards_differ_in_name():
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]

    assert (
        len({board["uid"] for board in boards})
        == len({board["title"] for board in boards})
        == len(boards)
    )
