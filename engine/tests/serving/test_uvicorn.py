"""What the service uses of uvicorn beyond its documented options is there.

If a test fails, uvicorn has moved. Then compare uvicorn's
`protocols/http/httptools_impl.py` and `supervisors/multiprocess.py` with those of the
version before, run the tests of connections, workers and signals, and only then move
the bounds in pyproject.toml.
"""

import importlib.metadata
import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn
from packaging.requirements import Requirement
from packaging.version import Version
from uvicorn.protocols.http import flow_control, httptools_impl
from uvicorn.server import ServerState
from uvicorn.supervisors import multiprocess

from conftest import ROOT
from shipped import CONFIG
from skewless.serving import connections, server

EXTENDED = {  # methods of the protocol, and what they are called with
    "connection_lost": ["exc"],
    "connection_made": ["transport"],
    "data_received": ["data"],
    "on_body": ["body"],
    "on_header": ["name", "value"],
    "on_headers_complete": [],
    "on_message_begin": [],
    "on_message_complete": [],
    "shutdown": [],
}
REPLACED = {"_unsupported_upgrade_warning": [], "send_400_response": ["msg"]}
READ = {
    "app_state": "what the lifespan left: the bounds",
    "connections": "counted",
    "cycle": "the latest request",
    "flow": "whether the caller reads",
    "loop": "timers",
    "parser": "whether it parses another request",
    "tasks": "whether a request is alone",
    "timeout_keep_alive": "how long a connection is kept",
    "timeout_keep_alive_handler": "ends it",
    "timeout_keep_alive_task": "whether that is waited for",
    "transport": "refusals, ends",
}
OF_A_REQUEST = {"keep_alive", "more_body", "response_complete"}
OF_THE_FLOW = {"write_paused"}
OF_A_SERVER = {"startup", "started"}
OF_A_SUPERVISOR = {
    "config",
    "handle_term",
    "join_all",
    "keep_subprocess_alive",
    "processes",
    "should_exit",
    "sockets",
}
OF_A_WORKER = {"exitcode", "pid", "process", "start"}


def used(module: ModuleType) -> set[str]:
    """Name what a module's classes ask of themselves and do not make."""
    text = Path(module.__file__).read_text()
    own = set(re.findall(r"def (_\w+)\(", text)) | set(
        re.findall(r"self\.(_\w+)[^=\n]* = ", text)
    )
    return set(re.findall(r"\b(?:self|super\(\))\.(\w+)", text)) - own - {"__init__"}


def kept(module: ModuleType) -> set[str]:
    """Name what a module's classes keep in their objects, or define."""
    text = Path(module.__file__).read_text()
    return set(re.findall(r"\bself\.(\w+)(?:: [^=\n]+)? = ", text)) | set(
        re.findall(r"def (\w+)\(", text)
    )


def test_all_that_is_used_is_named_here():
    assert used(connections) == EXTENDED.keys() | READ.keys()
    assert used(server) == OF_A_SERVER | OF_A_SUPERVISOR


def test_the_version_is_one_that_pyproject_allows_and_no_other_minor_version_is():
    document = tomllib.loads((ROOT / "engine/pyproject.toml").read_text())
    lines = map(Requirement, document["project"]["optional-dependencies"]["service"])
    (allowed,) = (line.specifier for line in lines if line.name == "uvicorn")
    installed = Version(importlib.metadata.version("uvicorn"))

    assert installed in allowed
    assert f"{installed.major}.{installed.minor + 1}" not in allowed
    assert f"{installed.major}.{installed.minor - 1}" not in allowed


def test_a_connection_has_what_is_read_of_it():
    # uvicorn looks at how many arguments it takes
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    config = uvicorn.Config(
        app, **server.server_options("127.0.0.1", 0, CONFIG.serving)
    )
    made = httptools_impl.HttpToolsProtocol(config, ServerState(), {}, _Loop())

    assert [name for name in READ if not hasattr(made, name)] == []
    assert kept(httptools_impl) >= OF_A_REQUEST
    assert kept(flow_control) >= OF_THE_FLOW


class _Loop:
    """Stands for a loop, of which nothing is asked yet."""


@pytest.mark.parametrize(("name", "named"), (EXTENDED | REPLACED).items())
def test_a_method_that_is_extended_or_replaced_takes_what_it_took(
    name: str, named: list[str]
):
    for kind in (httptools_impl.HttpToolsProtocol, connections.Connection):
        assert list(inspect.signature(getattr(kind, name)).parameters) == [
            "self",
            *named,
        ]


def test_what_is_replaced_is_what_uvicorn_calls():
    text = Path(httptools_impl.__file__).read_text()

    assert [name for name in REPLACED if text.count(f"self.{name}(") == 0] == []
    assert [name for name in REPLACED if name not in vars(connections.Connection)] == []


def test_a_server_a_supervisor_and_a_worker_have_what_is_used_of_them():
    assert {*dir(uvicorn.Server), *kept(uvicorn.server)} >= OF_A_SERVER
    assert {*dir(multiprocess.Multiprocess), *kept(multiprocess)} >= OF_A_SUPERVISOR | {
        "handle_hup"
    }
    assert {*dir(multiprocess.Process), *kept(multiprocess)} >= OF_A_WORKER
    assert list(inspect.signature(multiprocess.Process).parameters) == [
        "config",
        "sockets",
    ]
