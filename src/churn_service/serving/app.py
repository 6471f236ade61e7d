"""The composition root of the service: configuration → an application that loads the model it finds."""

from pathlib import Path

from fastapi import FastAPI

from churn_service.api import create_app
from churn_service.config import load_config, load_settings
from churn_service.predict import Predictor, load_predictor
from churn_service.registry import find_version
from churn_service.sections import Config


def open_predictor(config: Config, root: Path, version: str | None = None) -> Predictor:
    """Load a version, by default the newest, with the configured runtime.

    Raises
    ------
    ArtifactError
        There is none, or it is refused.
    """
    serving = config.serving
    folder = find_version(root / config.registry.path, version)
    return load_predictor(folder, runtime=serving.runtime, allow_pickle=serving.allow_pickle)


def app_from_environment() -> FastAPI:
    """Build the application of one worker process, from CHURN_CONFIG and CHURN_VERSION."""
    settings = load_settings()
    config, root = load_config(settings.config), settings.config.resolve().parent
    return create_app(lambda: open_predictor(config, root, settings.version), config.serving)
