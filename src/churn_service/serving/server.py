"""Application → a listening process that says where it is and stops cleanly."""

import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload, Multiprocess


class _Server(uvicorn.Server):
    """A server that calls back once it listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def serve_one(app: FastAPI, options: Mapping[str, Any], announce: Callable[[], None]) -> bool:
    """Serve in this process until SIGINT or SIGTERM; requests in flight are answered first.

    Returns
    -------
    bool
        Whether it ever listened: False if the address is taken.
    """
    # uvicorn raises the signal again when it is done; without this the process would look killed.
    signal.signal(signal.SIGTERM, _stop)
    server = _Server(uvicorn.Config(app, **options), announce)
    with contextlib.suppress(KeyboardInterrupt, SystemExit):  # SIGINT; SIGTERM or an address that is taken
        server.run()
    return server.started


def serve_many(factory: str, options: Mapping[str, Any], announce: Callable[[], None]) -> bool:
    """Serve in worker processes, each of which builds its application by the factory's name.

    Returns
    -------
    bool
        Whether it was stopped by a signal: False if the address is taken or a worker could not start.
    """
    config = uvicorn.Config(factory, **options)
    try:
        listening = config.bind_socket()
    except SystemExit:
        return False
    announce()
    if config.should_reload:
        ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listening]).run()
        return True
    supervisor = Multiprocess(config, sockets=[listening])
    supervisor.run()
    return all(worker.exitcode != STARTUP_FAILURE for worker in supervisor.processes)


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
