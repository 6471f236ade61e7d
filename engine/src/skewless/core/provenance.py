"""Machine and engine → what a version or an event records about where it came from."""

import getpass
import hashlib
import platform
import socket
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, Final

ENGINE: Final = Path(__file__).parents[1]
SOURCES: Final = (".py", ".jinja")
LIBRARIES: Final = (
    "numpy",
    "pandas",
    "scikit-learn",
    "onnx",
    "onnxruntime",
    "skl2onnx",
)
OF_AN_EXTRA: Final = ("lightgbm", "onnxmltools", "xgboost", "xgboost-cpu")


def provenance() -> dict[str, Any]:
    """Name Python, platform and libraries; of an extra's, those that are installed."""
    libraries = {name: library_version(name) for name in LIBRARIES}
    for name in OF_AN_EXTRA:
        with suppress(PackageNotFoundError):
            libraries[name] = library_version(name)
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": libraries,
    }


@cache
def engine_sha256(folder: Path = ENGINE) -> str:
    """Hash the engine's source: of each file its name, size and content.

    The files are in the order of their names. The hash is the same in a clone and where
    a wheel of the engine is installed.

    Parameters
    ----------
    folder
        Of the package ``skewless``; default: the one that runs.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in SOURCES):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def who() -> str:
    """Name the user and the host, for the record."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
