"""config.yaml and the environment: every fault is named with its path, what was found and what is allowed."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from churn_service.config import config_schema, load_config, load_settings
from churn_service.errors import ConfigError

ROOT = Path(__file__).parents[2]


def edited(project: Path, key: str, value: Any) -> Path:
    """Set a key, given by its full path, to a value; None removes it."""
    path = project / "config.yaml"
    document = yaml.safe_load(path.read_text())
    *sections, last = key.split(".")
    section = document
    for name in sections:
        section = section[name]
    section[last] = value
    if value is None:
        del section[last]
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("decision.threshold", 1.5, r"decision\.threshold: found 1.5; .* less than or equal to 1"),
        ("decision.threshold", "high", r"decision\.threshold: found 'high'; .* valid number"),
        ("decision.threshold", math.nan, r"decision\.threshold: found .*nan.*; .* finite number"),
        ("decision.threshold", None, r"decision\.threshold: missing"),
        ("decision.treshold", 0.5, r"decision\.treshold: unknown key, found 0.5; allowed are threshold, "),
        ("decision", None, r"decision: missing"),
        ("data.sample.rows", 3000.5, r"data\.sample\.rows: found 3000.5; .* integer"),
        ("data.sample.rows", "3000", r"data\.sample\.rows: found '3000'; .* valid integer"),
        ("data.sample.rows", True, r"data\.sample\.rows: found True; .* valid integer"),
        ("model.version", "v1", r"model\.version: found 'v1'; .* pattern"),
        ("model.calibration", "platt", r"model\.calibration: found 'platt'; .*'isotonic'"),
        ("decision.medium_risk", 1.0, r"decision: .*medium_risk 1.0 must be at most high_risk"),
        ("model.random_state", 2**33, r"model\.random_state: found 8589934592"),
        ("data.holdout_salt", "é" * 64, r"data\.holdout_salt: found 'éé"),
        ("baseline.cuts", [2.0, 1.0], r"baseline: .*cuts must increase"),
        ("baseline.probabilities", [0.5], r"baseline: .* cuts need \d+ probabilities"),
    ],
)
def test_a_wrong_value_is_refused_by_its_full_path(project: Path, key: str, value: Any, told: str):
    path = edited(project, key, value)

    with pytest.raises(ConfigError, match=told):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model:\n  max_iter: 1\n  max_iter: 2\n", "the key 'max_iter' stands twice"),
        ("- 1\n", r"the file: found \[1\]"),
        ("", "the file: found None"),
        ("2020-01-01: 1\n", "the file: missing|unknown key"),
        ("data: !!binary aGk=\n", "not valid YAML"),
        ("data: &x [*x]\n", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("data: " + "9" * 5000, "not valid YAML"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, told: str):
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=told):
        load_config(path)


def test_all_faults_are_told_at_once(project: Path):
    edited(project, "decision.threshold", 2)
    path = edited(project, "model.random_state", "x")

    with pytest.raises(ConfigError) as refused:
        load_config(path)

    assert len(str(refused.value).splitlines()) == 2


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_configuration_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None):
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"cannot be read .*CHURN_CONFIG"):
        load_config(path)


def test_a_configuration_cannot_be_changed_once_loaded(project: Path):
    config = load_config(project / "config.yaml")

    with pytest.raises(ValueError, match="frozen"):
        config.model.random_state = 1


def test_the_committed_schema_is_the_codes():
    assert (ROOT / "config.schema.json").read_text() == config_schema(), "run `make schema`"


def test_every_number_in_the_configuration_says_its_unit_or_range():
    lines = (ROOT / "config.yaml").read_text().splitlines()

    bare = [line for line in lines if re.search(r": *[\[0-9]", line) and "#" not in line]

    assert bare == []


def test_text_that_looks_like_a_date_stays_text(project: Path):
    path = edited(project, "data.holdout_salt", "S")
    path.write_text(path.read_text().replace("holdout_salt: S", "holdout_salt: 2026-1-1"))

    assert load_config(path).data.holdout_salt == "2026-1-1"


def test_a_dotenv_file_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="must be UTF-8"):
        load_settings()


def test_the_environment_names_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CHURN_CONFIG", str(tmp_path / "other.yaml"))

    assert load_settings().config == tmp_path / "other.yaml"


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / ".env").write_text("CHURN_CONFIG=from-file.yaml\n")
    monkeypatch.chdir(tmp_path)

    from_file = load_settings().config
    monkeypatch.setenv("CHURN_CONFIG", "from-environment.yaml")

    assert (str(from_file), str(load_settings().config)) == ("from-file.yaml", "from-environment.yaml")
