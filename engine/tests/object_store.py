"""An S3 server on loopback, whose conditional write is one step.

Start it with ``python object_store.py PORT``.

moto alone looks whether an object is there and then writes it, in a thread per request,
so of two conditional writes at once both may succeed. S3 promises that one does, and so
does this server: it works on one request at a time.
"""

import sys
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from moto.server import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple


class OneAtATime:
    """A WSGI application that works on one request at a time."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application, self._lock = application, Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> list[bytes]:
        with self._lock:
            return list(self._application(environ, start_response))


if __name__ == "__main__":
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    run_simple(
        "127.0.0.1",
        int(sys.argv[1]),
        application,
        threaded=True,
        request_handler=MotoRequestHandler,
    )
