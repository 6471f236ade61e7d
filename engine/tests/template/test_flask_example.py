"""The example of an existing Flask application gives the service's answers."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from flask import Flask

from conftest import ROOT
from own import CONTRACT


@pytest.fixture
def flask_app(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    project = Path(shutil.copytree(trained, tmp_path / "project"))
    (project / "examples").mkdir()
    path = Path(shutil.copy(ROOT / "examples/flask_app.py", project / "examples"))
    spec = importlib.util.spec_from_file_location("flask_app", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "flask_app", module)
    spec.loader.exec_module(module)
    return module.app


def test_flask_and_the_service_answer_alike(flask_app: Flask, client: TestClient):
    service = client.post("/predict", json=CONTRACT.example()).json()

    answer = flask_app.test_client().post("/churn", json=CONTRACT.example())

    assert answer.status_code == 200
    assert answer.json == {name: service[name] for name in answer.json}
    assert {"churn_probability", "model_version"} <= answer.json.keys()


def test_flask_refuses_what_the_contract_forbids(flask_app: Flask):
    answer = flask_app.test_client().post(
        "/churn", json=CONTRACT.example() | {"unknown": "secret"}
    )

    assert (answer.status_code, answer.json["errors"][0]["loc"]) == (422, ["unknown"])
    assert "secret" not in answer.text
