"""Machine → what a version or an event records about where it came from."""

import getpass
import platform
import socket
from importlib.metadata import version as library_version
from typing import Any, Final

LIBRARIES: Final = ("numpy", "pandas", "scikit-learn", "onnx", "onnxruntime", "skl2onnx")


def provenance() -> dict[str, Any]:
    """Name Python, platform and libraries."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": {name: library_version(name) for name in LIBRARIES},
    }


def who() -> str:
    """Name the user and the host, for the record."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
