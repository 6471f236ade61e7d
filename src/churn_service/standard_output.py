"""Standard output, whose failure is an error of the project's and cannot be taken for that of a file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from churn_service.errors import OutputError


def standard_output() -> TextIO:
    """Return what to print to.

    Raises
    ------
    OutputError
        It is closed. Whatever file is opened next would be standard output to every process that is started.
    """
    if sys.stdout is None:
        msg = (
            "standard output is closed, so nobody could read what this command says. Nothing was done. "
            "To discard what it says: >/dev/null"
        )
        raise OutputError(msg)
    return cast("TextIO", _Output(sys.stdout))


class _Output:
    """A stream that is written to as ever."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _failing():
            return self._stream.write(text)

    def flush(self) -> None:
        with _failing():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # who reads has read enough
    except OSError as error:
        msg = (
            f"standard output cannot be written ({error.strerror}), so the rest of what this command says is "
            "lost. What it did until then stays done"
        )
        raise OutputError(msg) from error
