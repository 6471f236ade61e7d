"""A PostgreSQL that the tests start themselves, with an empty database for each."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres import Postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        server = Postgres(Path(name))
        yield server
        server.kill()


@pytest.fixture
def database(server: Postgres) -> str:
    """Return the URL of an empty database."""
    return server.new_database()
