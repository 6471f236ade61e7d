"""Collect all commands: ``churn-service --help``."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import typer

from churn_service.atomic import NO_ROOM
from churn_service.errors import ChurnError
from churn_service.seam import Project
from churn_service.standard_output import standard_output
from churn_service.terminal import say

COMMANDS = (
    "churn_service.commands",
    "churn_service.score_commands",
    "churn_service.promotion_commands",
    "churn_service.serving.commands",
    "churn_service.monitoring.commands",
    "churn_service.retrain_commands",
)

app = typer.Typer(
    help="Train, check, score and serve the churn model. Every command has --help with an example.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


for _name in COMMANDS:
    import_module(_name).add_commands(app)


def run(project: Project[Any, Any], words: Sequence[str] | None = None) -> NoReturn:
    """Run a command of a project and exit; an error ends it with its message and code, never a trace."""
    try:
        with standard_output():
            app(words, obj=project)
    except ChurnError as error:
        say(*f"error: {error}".split("\n"), err=True)
        sys.exit(error.exit_code)
    except (OSError, UnicodeError) as error:
        say(f"error: {_described(error)}", err=True)
        sys.exit(ChurnError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT
    sys.exit(0)


def _described(error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno in NO_ROOM and error.filename is not None:
        return f"{error.filename}: {error.strerror}. It was not written. Make room, and run the command again"
    return str(error)
