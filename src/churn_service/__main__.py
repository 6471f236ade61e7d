"""The command line.

``python -m churn_service`` is `churn-service`.
"""

from collections.abc import Sequence
from typing import NoReturn

from skewless.cli import run

from churn_service.project import project


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit; by default the one that was typed."""
    run(project, words)


if __name__ == "__main__":  # and not when a worker process imports it
    main()
