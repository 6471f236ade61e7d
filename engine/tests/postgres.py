"""A PostgreSQL that is started here, on loopback, in a folder of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from conftest import find_program
from running import free_port
from steady import until


class Postgres:
    """A server on loopback that can be killed, stopped, woken and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self._port, self._options = folder, free_port(), options
        self._databases = 0
        # PostgreSQL refuses to run as root, so somebody else does.
        self._user = (
            None if os.geteuid() else "postgres" if _exists("postgres") else "nobody"
        )
        if self._user:
            shutil.chown(folder, self._user)
        self._run(
            "initdb", "--auth=trust", "--username=churn", "--encoding=UTF8", "--no-sync"
        ).wait(60)
        self.start()

    def start(self) -> None:
        words = [
            "-p",
            str(self._port),
            "-h",
            "127.0.0.1",
            "-k",
            "",
            "-c",
            "fsync=off",
            *self._options,
        ]
        self._server = self._run("postgres", *words)
        until(self._answers, "PostgreSQL answers")

    def kill(self) -> None:
        """End it with all its processes, as a power cut would."""
        self.signal(signal.SIGKILL)
        self._server.wait(20)

    def signal(self, number: int) -> None:
        """Send something to all its processes."""
        server = self._server.pid
        for process in (
            server,
            *Path(f"/proc/{server}/task/{server}/children").read_text().split(),
        ):
            with contextlib.suppress(ProcessLookupError):  # it has just left
                os.kill(int(process), number)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://churn@127.0.0.1:{self._port}/{database}"

    def new_database(self) -> str:
        """Return the URL of an empty one."""
        self._databases += 1
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE test{self._databases}")
        return self.url(f"test{self._databases}")

    def connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            f"host=127.0.0.1 port={self._port} user=churn dbname={database}",
            autocommit=True,
        )

    def _answers(self) -> bool:
        assert self._server.poll() is None, "PostgreSQL ended"
        with contextlib.suppress(psycopg.OperationalError), self.connect("postgres"):
            return True
        return False

    def _run(self, program: str, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [find_program(program), "-D", str(self._folder), *words],
            user=self._user,
            group=self._user and pwd.getpwnam(self._user).pw_gid,
            extra_groups=[] if self._user else None,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _exists(user: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(user))
    return False
