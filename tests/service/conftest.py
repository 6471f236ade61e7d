"""What the tests of the service share: the application on a trained version, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from churn_service.api import create_app
from churn_service.config import load_config
from churn_service.predict import Predictor, load_predictor
from conftest import ROOT


@pytest.fixture(scope="session")
def predictor(version: Path) -> Predictor:
    return load_predictor(version)


@pytest.fixture(scope="session")
def app(predictor: Predictor) -> FastAPI:
    return create_app(lambda: predictor, load_config(ROOT / "config.yaml").serving)


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as started:
        yield started
