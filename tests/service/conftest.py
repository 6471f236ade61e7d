"""What the tests of the service share: the whole application on a trained version, and a client of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from churn_service.config import Settings, load_config
from churn_service.errors import ArtifactNotFoundError
from churn_service.predict import Predictor, load_predictor
from churn_service.serving.app import Service
from churn_service.serving.follow import Models
from conftest import ROOT

HERE = ("127.0.0.1", 50_000)
QUIET = {"log_level": "warning"}
Build = Callable[..., Service]


def absent(version: str) -> Predictor:
    raise ArtifactNotFoundError(version)


@pytest.fixture(scope="session")
def predictor(version: Path) -> Predictor:
    return load_predictor(version)


@pytest.fixture(scope="session")
def build(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a service as production does, with other settings where a test names them."""

    def build_service(
        load: Callable[[], Predictor] = lambda: predictor,
        *,
        wanted: Callable[[], str | None] = lambda: None,
        open_version: Callable[[str], Predictor] = absent,
        resolve: Callable[[str], str] = lambda _: predictor.version,
        serving: dict[str, Any] | None = None,
        environment: dict[str, Any] | None = None,
        root: Path | None = None,
        **sections: Any,
    ) -> Service:
        config = load_config(ROOT / "config.yaml")
        changed = {"serving": config.serving.model_copy(update=serving or {}), **sections}
        folder = root or tmp_path_factory.mktemp("service")
        settings = Settings(_env_file=None, **environment or {})
        models = Models(load, wanted, open_version, resolve)
        return Service(models, config.model_copy(update=changed), root=folder, settings=settings)

    return build_service


@pytest.fixture(scope="session")
def connect() -> Callable[..., TestClient]:
    """Return a client on the same host, or elsewhere; errors come as answers."""

    def client(service: Service, host: tuple[str, int] = HERE) -> TestClient:
        url = "http://127.0.0.1"
        return TestClient(service.app, base_url=url, raise_server_exceptions=False, client=host)

    return client


@pytest.fixture(scope="session")
def client(build: Build, connect: Callable[..., TestClient]) -> Iterator[TestClient]:
    with connect(build(environment=QUIET)) as started:
        yield started
