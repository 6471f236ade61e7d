"""Application → a listening process that says where it is and stops cleanly."""

import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload, Multiprocess
from uvicorn.supervisors.multiprocess import Process

from skewless.core.sections import ServingConfig
from skewless.core.settings import hand_down
from skewless.core.workspace import Workspace
from skewless.serving.connections import Connection

RETRY_SECONDS = 10.0  # between two attempts to replace a worker that could not start


class _Server(uvicorn.Server):
    """A server that calls back once it listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def server_options(host: str, port: int, serving: ServingConfig) -> dict[str, Any]:
    """Return what the server is told.

    It is to log through the application, and to say nothing about itself.
    """
    return {
        "host": host,
        "port": port,
        "http": Connection,
        # uvloop accepts one connection a turn, so probes wait under overload (0012).
        "loop": "asyncio",
        "ws": "none",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "timeout_keep_alive": serving.keep_alive_seconds,
        "proxy_headers": False,  # the guard judges by them, and believes none
        # Seconds; as long as any request may take.
        "timeout_graceful_shutdown": ceil(
            2 * serving.slow_client_seconds + serving.deadline_seconds
        ),
    }


def serve_one(
    app: ASGIApp, options: Mapping[str, Any], announce: Callable[[], None]
) -> bool:
    """Serve in this process until SIGINT or SIGTERM.

    Requests in flight are answered first.

    Returns
    -------
    bool
        Whether it ever listened: False if the address is taken.
    """
    # uvicorn raises the signal again when it is done; without this the process would
    # look killed.
    signal.signal(signal.SIGTERM, _stop)
    if _ends_with_terminal():
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    _allow_connections()
    server = _Server(uvicorn.Config(app, **options), announce)
    # SIGINT; SIGTERM or an address that is taken.
    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        server.run()
    return server.started


def serve_many(
    work: Workspace, *, options: Mapping[str, Any], announce: Callable[[], None]
) -> bool:
    """Serve in worker processes.

    Each builds its application from the environment.

    Returns
    -------
    bool
        Whether it was stopped by a signal: False if the address is taken or no worker
        could start.
    """
    with tempfile.TemporaryDirectory(prefix=f"{work.project.name}-metrics-") as metrics:
        settings = work.settings.model_copy(update={"metrics_dir": Path(metrics)})
        hand_down(settings, place=work.project.place)
        name = "app_for_development" if options["reload"] else "app_from_environment"
        started = uvicorn.Config(
            f"skewless.serving.worker:{name}", **options, factory=True
        )
        return _supervise(started, announce)


class _Supervisor(Multiprocess):
    """Worker processes, of which those that die are replaced."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        self._ends_with_terminal = _ends_with_terminal()
        self._next_try = 0.0
        super().__init__(config, sockets)

    def keep_subprocess_alive(self) -> None:
        if self.should_exit.is_set():
            return
        before = {worker.pid for worker in self.processes}
        failed = [
            worker for worker in self.processes if worker.exitcode == STARTUP_FAILURE
        ]
        others = [worker for worker in self.processes if worker not in failed]
        if failed and others:  # who answers goes on; the supervisor would end all
            self.processes = others
            super().keep_subprocess_alive()
            self.processes += [self._tried_again(worker) for worker in failed]
        else:
            super().keep_subprocess_alive()
        if any(worker.process.is_alive() for worker in self.processes):
            # One that could not start has set it; a signal sets it elsewhere.
            self.should_exit.clear()
        accounted_for = {worker.pid for worker in (*self.processes, *failed)}
        for dead in before - accounted_for:
            logging.getLogger("uvicorn.error").error(
                "worker %s died; another takes its place", dead
            )

    def _tried_again(self, failed: Process) -> Process:
        """Start another in place of a worker that could not start, after a while."""
        if time.monotonic() < self._next_try:
            return failed
        self._next_try = time.monotonic() + RETRY_SECONDS
        logging.getLogger("uvicorn.error").error(
            "worker %s could not start; trying again", failed.pid
        )
        worker = Process(self.config, self.sockets)
        worker.start()
        return worker

    def handle_hup(self) -> None:
        """Stop as the terminal is gone; who ignores that with nohup goes on."""
        if self._ends_with_terminal:
            self.handle_term()

    def join_all(self) -> None:
        """Stop listening, as nobody would answer.

        Without this, only the workers stop listening when they are told to stop.
        """
        for listening in self.sockets:
            listening.close()
        super().join_all()


def _supervise(config: uvicorn.Config, announce: Callable[[], None]) -> bool:
    _allow_connections()
    try:
        listening = config.bind_socket()
    except SystemExit:
        return False
    announce()
    if config.should_reload:
        ChangeReload(
            config, target=uvicorn.Server(config).run, sockets=[listening]
        ).run()
        return True
    supervisor = _Supervisor(config, sockets=[listening])
    supervisor.run()
    return any(worker.exitcode != STARTUP_FAILURE for worker in supervisor.processes)


def _ends_with_terminal() -> bool:
    """Tell whether SIGHUP means something: not on Windows, and not under nohup."""
    return (
        hasattr(signal, "SIGHUP")
        and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    )


def _allow_connections() -> None:
    """Let this process and its workers open as many files as the system grants them."""
    # Windows has no such limit.
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - POSIX only

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
