"""A client of a project's application, in this process."""

from dataclasses import replace

from fastapi import FastAPI
from fastapi.testclient import TestClient

from skewless.core.workspace import Workspace
from skewless.serving.service import Service

HOST = "127.0.0.1"


def connect(app: FastAPI, work: Workspace) -> TestClient:
    """Return a client on this host, of an app that serves what the registry says.

    Use it as a context manager: the service starts when it is entered. An error of the
    service comes as its answer, as callers see it. Only warnings are logged, whatever
    the environment says, so that no line of a request stands among the tests' own.

    Parameters
    ----------
    app
        The application of the project's api.py.
    work
        The project, its configuration, folder and environment.
    """
    quiet = work.settings.model_copy(update={"log_level": "warning"})
    Service.open(replace(work, settings=quiet), app)
    return TestClient(
        app, f"http://{HOST}", raise_server_exceptions=False, client=(HOST, 50_000)
    )
