"""config.yaml: every value is checked, and a fault is named with what is allowed."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from skewless.testing import Done, open_workspace

from churn_service.config import Config
from churn_service.project import project

ROOT = Path(__file__).parents[1]
DOCUMENT = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def written(document: dict[str, Any], folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_the_committed_configuration_is_valid():
    config = open_workspace(project, ROOT / "config.yaml").config

    assert isinstance(config, Config)
    assert config.data.path == DOCUMENT["data"]["path"]


@given(
    threshold=st.floats(0, 1),
    salt=st.text(st.characters(codec="ascii", categories=["L"]), min_size=1),
)
def test_a_configuration_written_and_read_again_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, threshold: float, salt: str
):
    folder = tmp_path_factory.mktemp("written")
    changed = {"threshold": threshold, "medium_risk": threshold, "high_risk": 1.0}
    document = DOCUMENT | {
        "data": DOCUMENT["data"] | {"holdout_salt": salt},
        "decision": changed,
    }
    config = open_workspace(project, written(document, folder)).config

    again = open_workspace(
        project, written(config.model_dump(mode="json"), folder)
    ).config

    assert again == config


@pytest.mark.parametrize(
    ("section", "key", "value", "told"),
    [
        (
            "decision",
            "threshold",
            1.5,
            "decision.threshold: found 1.5; .*less than or equal to 1",
        ),
        (
            "decision",
            "treshold",
            0.5,
            "decision.treshold: unknown key, found 0.5; allowed are threshold",
        ),
        ("model", "version", "v1", "model.version: found 'v1'"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place_and_what_is_allowed(
    trained: Path, tmp_path: Path, run, section: str, key: str, value: object, told: str
):
    document = yaml.safe_load((trained / "config.yaml").read_text())
    document[section][key] = value
    written(document, tmp_path)

    done: Done = run(tmp_path, "train")

    assert done.returncode == 2
    assert re.search(told, done.stderr)


def test_every_number_says_its_unit_or_range():
    lines = (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines()

    assert [
        line for line in lines if re.search(r": *[\[0-9]", line) and "#" not in line
    ] == []
