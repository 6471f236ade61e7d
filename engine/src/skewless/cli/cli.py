"""Collect all commands, as ``--help`` lists them."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import typer

from skewless.cli.terminal import say
from skewless.core.atomic import NO_ROOM
from skewless.core.errors import SkewlessError
from skewless.core.project import Project
from skewless.core.standard_output import standard_output

COMMANDS = (
    "skewless.cli.data_commands",
    "skewless.cli.score_commands",
    "skewless.cli.promotion_commands",
    "skewless.cli.serving_commands",
    "skewless.cli.monitoring_commands",
    "skewless.cli.retrain_commands",
)

app = typer.Typer(
    help=(
        "Train, check, score and serve the model. "
        "Every command has --help with an example."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


for _name in COMMANDS:
    import_module(_name).add_commands(app)


def run(project: Project[Any, Any], words: Sequence[str] | None = None) -> NoReturn:
    """Run a command of a project, and exit.

    An error ends it with its message and its exit code, never with a trace.
    """
    try:
        with standard_output():
            app(words, obj=project)
    except SkewlessError as error:
        say(*f"error: {error}".split("\n"), err=True)
        sys.exit(error.exit_code)
    except (OSError, UnicodeError) as error:
        say(f"error: {_described(error)}", err=True)
        sys.exit(SkewlessError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT
    sys.exit(0)


def _described(error: OSError | UnicodeError) -> str:
    if (
        isinstance(error, OSError)
        and error.errno in NO_ROOM
        and error.filename is not None
    ):
        return (
            f"{error.filename}: {error.strerror}. It was not written. "
            "Make room, and run the command again"
        )
    return str(error)
