"""The page on operating names only what is there."""

import re
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from churn_service.config import Config
from conftest import ROOT
from fronts import HAPROXY
from shipped import COMPOSE, CONFIG
from skewless.core.sections import choices
from skewless.core.settings import Settings
from skewless.serving.access import LINE

PAGE = (ROOT / "docs/service/operating.md").read_text()
WORDS = set(re.findall(r"`([A-Za-z_.:/ -]+?)`", PAGE))


def keys() -> set[str]:
    sections = Config.model_fields
    found = set(sections)
    for name, section in sections.items():
        for each in choices(Config, name).values() or [section.annotation]:
            found |= set(each.model_fields)
    return found


def test_every_variable_is_read():
    named = {
        name.removeprefix("CHURN_").lower()
        for name in re.findall(r"CHURN_[A-Z_]+", PAGE)
    }

    assert named <= Settings.model_fields.keys()
    assert {"api_keys", "allow_anonymous", "redis_url"} <= named


def test_every_setting_is_there():
    shaped = {
        word
        for word in WORDS
        if re.fullmatch(
            r"(max|rate|slow|keep|pool|deadline|models|drain|cors)_\w+", word
        )
    }

    assert shaped
    assert shaped <= keys()


def test_the_timeouts_are_those_of_the_files():
    shown = {
        name: float(number)
        for number, name in re.findall(r"\| ([\d,]+) s[^|]*\| `([^`]+)`", PAGE)
    }
    proxy = re.findall(r"(?m)^ +(timeout [a-z-]+) (\d+)s", HAPROXY.read_text())
    example = re.findall(r"(keepalive_timeout|proxy_read_timeout) +(\d+)s;", PAGE)
    files = {name: float(number) for name, number in [*proxy, *example]}
    stop = re.search(r"stop_grace_period: (\d+)s", COMPOSE.read_text())[1]
    files |= {"stop_grace_period": float(stop), **CONFIG.serving.model_dump()}

    assert {name: files[name] for name in shown} == shown
    assert {
        "timeout http-keep-alive",
        "keepalive_timeout",
        "keep_alive_seconds",
        "timeout server",
    } <= shown.keys()
    assert files["proxy_read_timeout"] == files["timeout server"]
    assert files["keepalive_timeout"] < files["keep_alive_seconds"]


def test_every_metric_is_shown(client: TestClient):
    shown = set(re.findall(r"^# TYPE (\w+)", client.get("/metrics").text, re.MULTILINE))
    named = {word for word in WORDS if re.fullmatch(r"(http|model|log)_\w+", word)}

    assert len(named) >= 8
    assert named <= shown


@pytest.mark.slow
def test_keys_new_prints_what_the_page_shows():
    shown = re.search(r"\$ churn-service (keys new .*)\n", PAGE)[1].split()

    said = subprocess.check_output(
        [sys.executable, "-m", "churn_service", *shown], text=True
    )

    heading, key, other, line = said.splitlines()
    assert (heading in PAGE, other in PAGE) == (True, True)
    assert LINE.fullmatch(line.strip())[1] == "crm"
    assert len(key.strip()) == 43
