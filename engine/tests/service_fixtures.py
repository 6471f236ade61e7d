"""What the service's tests share: the whole application, and a client of it.

The application serves a trained version.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import s3fs
from fastapi.testclient import TestClient

from conftest import ROOT
from own import PROJECT, service_of
from running import free_port
from skewless.core.config_file import load_config
from skewless.core.errors import ArtifactNotFoundError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.predict import Predictor, load_predictor
from skewless.serving.follow import Models
from skewless.serving.service import Service
from steady import until

HERE = ("127.0.0.1", 50_000)
QUIET = {"log_level": "warning"}
Build = Callable[..., Service]


def absent(version: str) -> Predictor:
    raise ArtifactNotFoundError(version)


@pytest.fixture(scope="session")
def predictor(version: Path) -> Predictor:
    return load_predictor(version, PROJECT)


@pytest.fixture(scope="session")
def build(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a service as production does, with other settings if a test names any."""

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
        config = load_config(ROOT / "config.yaml", PROJECT)
        changed = {
            "serving": config.serving.model_copy(update=serving or {}),
            **sections,
        }
        folder = root or tmp_path_factory.mktemp("service")
        settings = Settings(_env_file=None, **environment or {})
        models = Models(load, wanted, open_version, resolve)
        return service_of(
            models,
            Workspace(PROJECT, config.model_copy(update=changed), folder, settings),
        )

    return build_service


@pytest.fixture(scope="session")
def connect() -> Callable[..., TestClient]:
    """Return a client on the same host, or elsewhere; errors come as answers."""

    def client(service: Service, host: tuple[str, int] = HERE) -> TestClient:
        url = "http://127.0.0.1"
        return TestClient(
            service.app, base_url=url, raise_server_exceptions=False, client=host
        )

    return client


@pytest.fixture(scope="session")
def client(build: Build, connect: Callable[..., TestClient]) -> Iterator[TestClient]:
    with connect(build(environment=QUIET)) as started:
        yield started


@dataclass
class StoreServer:
    """An S3 server on loopback, for one test after the other.

    If it was killed, it starts anew.
    """

    process: subprocess.Popen | None = None
    port: int = 0

    def emptied(self) -> subprocess.Popen:
        """Return the server, running and empty."""
        if self.process is None or self.process.poll() is not None:
            self.port = free_port()
            words = [
                sys.executable,
                str(Path(__file__).with_name("object_store.py")),
                str(self.port),
            ]
            quiet = subprocess.DEVNULL
            self.process = subprocess.Popen(words, stdout=quiet, stderr=quiet)
            until(lambda: answers(self.port), "the store is there", seconds=60)
        urlopen(f"http://127.0.0.1:{self.port}/moto-api/reset", b"", timeout=5).close()
        return self.process


@pytest.fixture(scope="session")
def store_server() -> Iterator[StoreServer]:
    server = StoreServer()
    yield server
    if server.process is not None:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def store(
    store_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> subprocess.Popen:
    """Return an S3 server with an empty bucket, which the test may kill."""
    server = store_server.emptied()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store_server.port}",
    }.items():
        monkeypatch.setenv(name, value)
    # it would go on with the address of another test
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("bucket")
    return server


def answers(port: int) -> bool:
    try:
        urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
    except (URLError, ConnectionError):
        return False
    return True


@pytest.fixture
def s3(store: subprocess.Popen) -> str:
    """Return the URL of an empty registry in the store."""
    assert store.poll() is None
    return "s3://bucket/churn"
