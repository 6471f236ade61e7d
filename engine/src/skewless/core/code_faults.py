"""An error that the project's own code raised → a message that names the line."""

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skewless.core.errors import ConfigError, SkewlessError


def fault_in_code(
    error: Exception, function: Callable[..., Any], advice: str
) -> ConfigError:
    """Name the lines of the project that an error came through.

    Parameters
    ----------
    error
        What was raised.
    function
        The project's function that was called; lines of its file are named, and those
        of the files beside it.
    advice
        What to do about it, after the lines; nothing is added to an error that says
        what to do itself.
    """
    return fault_in_file(error, Path(inspect.getfile(inspect.unwrap(function))), advice)


def fault_in_file(error: Exception, file: Path, advice: str = "") -> ConfigError:
    """Name the lines of a file of the project, and of those beside it.

    See `fault_in_code`.
    """
    lines = dict[str, None]()  # each once, in their order
    for step in traceback.extract_tb(error.__traceback__):
        place = Path(step.filename)
        if place == file:
            lines[f"; line {step.lineno}: {step.line}"] = None
        elif place.parent == file.parent:
            lines[f"; {place.name}, line {step.lineno}: {step.line}"] = None
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SkewlessError):
        said = str(error)
        advice = ""
    said = " ".join(said.split())
    return ConfigError(f"{file.name}: {said}{''.join(lines)}{advice}")
