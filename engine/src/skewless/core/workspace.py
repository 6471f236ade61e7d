"""A project where it is at work: its code, configuration, folder and environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skewless.core.config_file import at_host, load_config
from skewless.core.contract import Contract
from skewless.core.project import Project
from skewless.core.sections import AnyConfig
from skewless.core.settings import Settings, load_settings


@dataclass(frozen=True)
class Workspace:
    """All that a command needs to know before it begins."""

    project: Project[Any, Any]
    config: AnyConfig
    root: Path
    """The folder of config.yaml, which its relative paths start from."""
    settings: Settings

    @property
    def contract(self) -> Contract:
        """What a raw record of the project is."""
        return self.project.contract


def open_workspace(project: Project[Any, Any], path: Path | None = None) -> Workspace:
    """Read the environment and config.yaml.

    Parameters
    ----------
    project
        Whose they are.
    path
        Of the configuration; default: what the environment names, else
        ``./config.yaml``.

    Raises
    ------
    ConfigError
        One of them holds something wrong.
    """
    settings = load_settings(project.prefix)
    path = path or settings.config
    config = at_host(load_config(path, project), settings)
    return Workspace(project, config, path.resolve().parent, settings)
