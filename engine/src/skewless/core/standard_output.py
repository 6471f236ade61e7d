"""Standard output, whose failure is an error of the project's.

It cannot be taken for the failure of a file.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast

from skewless.core.errors import OutputError


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Let everything print to what is returned, and make sure that all is written.

    Raises
    ------
    OutputError
        It cannot be written. Or it is closed: whatever file is opened next would be
        standard output to every process that is started.
    """
    if sys.stdout is None:
        msg = (
            "standard output is closed, so nobody could read what this command says. "
            "Nothing was done. To discard what it says: >/dev/null"
        )
        raise OutputError(msg)
    stream = sys.stdout
    output = cast("TextIO", _Output(stream))
    try:
        with redirect_stdout(output):
            try:
                yield output
            finally:
                # else Python does when it ends, where nobody tells of a failure
                output.flush()
    except OutputError:
        _discard(stream)
        raise


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


def _discard(stream: TextIO) -> None:
    """Let nothing more be written.

    Python writes what is left when it ends, and would fail once more.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # who reads has read enough
    except OSError as error:
        msg = (
            f"standard output cannot be written ({error.strerror}), so the rest of "
            "what this command says is lost. What it did until then stays done"
        )
        raise OutputError(msg) from error
