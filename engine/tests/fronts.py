"""Start the proxies that are shipped or shown, in front of something on this host."""

import contextlib
import os
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from conftest import ROOT
from running import free_port
from shipped import COMPOSE
from steady import until

HAPROXY = COMPOSE.parent / "haproxy.cfg"
PAGE = ROOT / "docs/service/operating.md"
NOWHERE = "127.0.0.1:9"


class Front(NamedTuple):
    """A proxy that speaks TLS."""

    port: int
    pid: int
    trust: ssl.SSLContext

    def connect_plain(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def connect(self) -> ssl.SSLSocket:
        return self.trust.wrap_socket(self.connect_plain(), server_hostname="localhost")

    def ask(
        self, target: str, method: str = "GET", *headers: str, body: str = ""
    ) -> tuple[int, str]:
        """Ask for a target exactly as it is written.

        Returns the status, and head and body as they came.
        """
        lines = [
            f"{method} {target} HTTP/1.1",
            "Host: localhost",
            "Connection: close",
            *headers,
        ]
        lines += [f"Content-Length: {len(body)}", "", body]
        with self.connect() as connection:
            connection.sendall("\r\n".join(lines).encode())
            received = b""
            while part := connection.recv(65_536):
                received += part
        return int(received.split(b" ", 2)[1]), received.decode()


def make_secrets(folder: Path) -> Path:
    """Make what the Compose file's own command makes."""
    subprocess.run([COMPOSE.parent / "secrets.sh", folder], check=True)
    return folder


def configured_keys(secrets: Path) -> str:
    """Return what the service behind has to know."""
    return (secrets / "service.env").read_text().splitlines()[0].partition("=")[2]


@contextlib.contextmanager
def haproxy(
    secrets: Path, address: str, changes: Mapping[str, str] | None = None
) -> Iterator[Front]:
    """Start HAProxy with the Compose file's own configuration.

    Some of its words may be replaced by others.
    """
    port, configuration = free_port(), HAPROXY
    if changes:
        configuration = secrets.parent / "haproxy.cfg"
        configuration.write_text(changed(HAPROXY.read_text(), changes))
    addresses = {
        "LISTEN": f"127.0.0.1:{port}",
        "PROBE": f"127.0.0.1:{free_port()}",
        "CERTIFICATE": str(secrets / "tls.pem"),
        "FIRST": address,
        "SECOND": NOWHERE,
    }
    environment = os.environ | addresses  # noqa: TID251 - the child inherits ours
    words = ["haproxy", "-db", "-f", str(configuration)]
    with started(words, port, secrets, environment) as front:
        until(lambda: front.ask("/ready")[0] == 200, "the proxy has a process to ask")
        yield front


@contextlib.contextmanager
def nginx(secrets: Path, address: str) -> Iterator[Front]:
    """Start nginx by the configuration that the page on operating shows."""
    folder, port = secrets.parent, free_port()
    (shown,) = re.findall(r"(?s)```nginx\n(.*?)```", PAGE.read_text())
    shown = changed(
        shown,
        {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/ssl/churn.pem": str(secrets / "tls.crt"),
            "/etc/ssl/churn.key": str(secrets / "tls.pem"),
            "allow 10.0.0.0/8": "allow 127.0.0.0/8",
            "server 127.0.0.1:8000": f"server {address}",
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
    main = (
        "daemon off;\nmaster_process off;\n"
        f"pid {folder / 'nginx.pid'};\nerror_log stderr;\n"
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"{main}events {{}}\nhttp {{\naccess_log off;\n{places}{shown}}}\n"
    )
    words = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
    with started(words, port, secrets, None) as front:
        yield front


@contextlib.contextmanager
def started(
    words: list[str], port: int, secrets: Path, environment: Mapping[str, str] | None
) -> Iterator[Front]:
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) as proxy:
        try:
            until(
                lambda: proxy.poll() is not None or is_listening(port),
                "the proxy listens",
            )
            assert proxy.poll() is None, "the proxy ended"
            yield Front(
                port, proxy.pid, ssl.create_default_context(cafile=secrets / "tls.crt")
            )
        finally:
            proxy.terminate()


def is_listening(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def changed(text: str, changes: Mapping[str, str]) -> str:
    """Replace words, each of which stands there once."""
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text
