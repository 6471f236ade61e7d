"""Install a lock, checked by hash, into a virtual environment.

uv installs it, or pip where only pip can.

Usage: python scripts/install.py [--into .venv] [--lock requirements-dev.lock]
       [--bare] [--add]

Needs only a Python with its own venv and pip, so that `make install` works on a bare
machine. uv comes by hash, from requirements-uv.lock. uv reads neither pip.conf nor
PIP_…: where pip is told to ask another index and uv is not, pip installs. INSTALLER=pip
or INSTALLER=uv decides it by hand.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older one is told so
    found = ".".join(map(str, sys.version_info[:3]))
    name_one = "; name one: make install PYTHON=python3.13"
    sys.exit("Python 3.11 or newer is needed, this is " + found + name_one)

import argparse
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

UV_LOCK: Final = Path(__file__).resolve().parents[1] / "requirements-uv.lock"
ENVIRONMENT: Final = os.environ  # noqa: TID251 - runs before the package is installed
INSTALLERS: Final = ("auto", "uv", "pip")
UV_INDEX: Final = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_CONFIG_FILE",
)
PIP_MIRROR: Final = re.compile(r"(?m)^\S+\.(index-url|no-index)=")
PIP_CERTIFICATES: Final = re.compile(r"(?m)^\S+\.cert='(.+)'$")
BARE_PIP: Final = (
    "--no-cache-dir",
    "--no-compile",
    "--only-binary",
    ":all:",
    "--root-user-action",
    "ignore",
)
SLOWLY: Final = "installing with pip, which takes one to three minutes"
BARE_UV: Final = ("--no-cache", "--only-binary", ":all:")


class Wanted(NamedTuple):
    """What is to be installed, and where."""

    folder: Path
    lock: Path
    bare: bool
    """For an image: neither pip nor uv stays, nothing is cached, compiled or built."""
    add: bool = False
    """Into the environment as it is, instead of a new one."""


class Refused(Exception):  # noqa: N818 - the answer to a person, not a failure
    """The environment cannot be made; the message says what to do."""


def main(words: Sequence[str]) -> int:
    """Make the environment; return the exit code."""
    wanted, installer = _parse(words)
    try:
        if not wanted.add:
            _make_environment(wanted)
        _install(wanted, installer)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


def _parse(words: Sequence[str]) -> tuple[Wanted, str]:
    parser = argparse.ArgumentParser(
        description="Install a lock, checked by hash, into a virtual environment."
    )
    parser.add_argument(
        "--into", type=Path, default=Path(".venv"), help="the environment, made anew"
    )
    parser.add_argument(
        "--lock",
        type=Path,
        default=Path("requirements-dev.lock"),
        help="what to install",
    )
    parser.add_argument(
        "--bare",
        action="store_true",
        help="for an image: keep neither pip nor uv, compile nothing",
    )
    parser.add_argument(
        "--add", action="store_true", help="keep what the environment holds"
    )
    asked = parser.parse_args(words)
    installer = ENVIRONMENT.get("INSTALLER") or "auto"
    if installer not in INSTALLERS:
        parser.error(
            f"INSTALLER: found {installer!r}; allowed are {', '.join(INSTALLERS)}"
        )
    return Wanted(asked.into, asked.lock, asked.bare, asked.add), installer


def _make_environment(wanted: Wanted) -> None:
    """Make the virtual environment anew.

    That way nothing stays in it that the lock does not name.
    """
    folder = wanted.folder
    if folder.is_symlink():
        msg = (
            f"{folder} is a link to {folder.readlink()}, which would be emptied. "
            "Remove it and run again"
        )
        raise Refused(msg)
    if folder.exists() and not folder.is_dir():
        msg = f"{folder} is a file. Move it away, and run again"
        raise Refused(msg)
    if (
        folder.exists()
        and any(folder.iterdir())
        and not (folder / "pyvenv.cfg").is_file()
    ):
        msg = (
            f"{folder} holds files but is no virtual environment. "
            "Move it away, and run again"
        )
        raise Refused(msg)
    options = ["--clear"]
    if wanted.bare:
        options.append("--without-pip")
    if _run([sys.executable, "-m", "venv", *options, str(folder)]) != 0:
        msg = (
            f"{sys.executable} could not make an environment, see above. "
            "On Debian: apt install python3-venv"
        )
        raise Refused(msg)


def _install(wanted: Wanted, installer: str) -> None:
    """Install the lock; with pip if uv is not to be used or fails.

    Both check the same hashes, so whichever installs, the same files are installed.
    """
    python = _python(wanted.folder)
    pip = [sys.executable if wanted.bare else python, "-m", "pip"]
    configured = _output([*pip, "config", "list"])
    if installer == "auto" and _is_for_pip_alone(configured):
        print(f"pip is told to ask another index and uv is not: {SLOWLY}")
        installer = "pip"
    if installer != "pip" and _install_with_uv(wanted, pip, configured):
        return
    if installer == "uv":
        msg = "uv could not install, see above; INSTALLER=pip uses pip"
        raise Refused(msg)
    if installer == "auto":
        print(f"uv could not install, see above: {SLOWLY}")
    options = [
        *pip,
        "--python",
        python,
        "install",
        "-qq",
        "--disable-pip-version-check",
    ]
    options += BARE_PIP if wanted.bare else ()
    if not _install_lock(options, wanted):
        msg = (
            f"{wanted.lock.name} could not be installed, see above. "
            "docs/troubleshooting.md lists causes"
        )
        raise Refused(msg)


def _is_for_pip_alone(configured: str) -> bool:
    pip_is_told = PIP_MIRROR.search(configured) is not None
    uv_is_told = any(map(ENVIRONMENT.get, UV_INDEX))
    return pip_is_told and not uv_is_told


def _install_with_uv(wanted: Wanted, pip: Sequence[str], configured: str) -> bool:
    """Install uv by hash, then the lock with it; tell whether that worked."""
    with tempfile.TemporaryDirectory() as name:
        tools = wanted.folder
        options = ["-qq", "--disable-pip-version-check"]
        if wanted.bare:
            tools = Path(name) / "tools"
            options += BARE_PIP
            words = [sys.executable, "-m", "venv", "--without-pip", str(tools)]
            if _run(words) != 0:
                return False
        by_hash = ["--require-hashes", "--only-binary", ":all:", "-r", str(UV_LOCK)]
        if _run([*pip, "--python", _python(tools), "install", *options, *by_hash]) != 0:
            return False
        found = PIP_CERTIFICATES.search(configured)
        certificates = {"SSL_CERT_FILE": found[1]} if found else {}
        uv = [
            _python(tools),
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            _python(wanted.folder),
        ]
        if wanted.bare:
            uv += BARE_UV
        return _install_lock(uv, wanted, certificates)


def _install_lock(
    install: Sequence[str], wanted: Wanted, environment: dict[str, str] | None = None
) -> bool:
    """Install what the lock names, and nothing else; tell whether that worked."""
    words = [*install, "--require-hashes", "-r", str(wanted.lock)]
    return _run(words, environment) == 0


def _python(folder: Path) -> str:
    """Name the interpreter of a virtual environment."""
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def _run(words: Sequence[str], environment: dict[str, str] | None = None) -> int:
    variables = {**(environment or {}), **ENVIRONMENT}
    done = subprocess.run(  # noqa: S603 - words of this file
        words, env=variables, check=False
    )
    return done.returncode


def _output(words: Sequence[str]) -> str:
    done = subprocess.run(  # noqa: S603 - ditto
        words, capture_output=True, text=True, check=False
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
