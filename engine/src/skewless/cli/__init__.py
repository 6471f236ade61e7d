"""The command line of a project: `run` is what its ``__main__.py`` calls."""

from skewless.cli.cli import run

__all__ = ["run"]
