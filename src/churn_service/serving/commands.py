"""The second floor's command: serve."""

from functools import partial
from typing import Annotated, Any

import typer

from churn_service.terminal import ConfigOption, open_config


def add_commands(app: typer.Typer) -> None:
    """Register this floor's commands."""
    app.command()(serve)


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Default: CHURN_HOST, else 127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Default: CHURN_PORT, else 8000")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Default: CHURN_VERSION, else the newest")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer")] = 1,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when the code changes")] = False,
    config: ConfigOption = None,
) -> None:
    """Serve a model version over HTTP until Ctrl-C.

    A model that is refused opens no port: the command ends with 3 and says why.

    Example: churn-service serve --port 8080
    """
    from churn_service.api import create_app
    from churn_service.config import hand_down, load_settings
    from churn_service.serving.app import open_predictor
    from churn_service.serving.server import serve_many, serve_one

    settings = load_settings()
    loaded, root = open_config(config)
    predictor = open_predictor(loaded, root, version or settings.version)
    options: dict[str, Any] = {
        "host": settings.host if host is None else host,
        "port": settings.port if port is None else port,
        "log_level": settings.log_level,
        "access_log": False,
    }
    announce = partial(_announce, options["host"], options["port"], predictor.version)
    if workers == 1 and not reload:
        served = serve_one(create_app(lambda: predictor, loaded.serving), options, announce)
    else:
        hand_down(config or settings.config, predictor.version)
        options |= {"workers": workers, "reload": reload, "factory": True}
        served = serve_many("churn_service.serving.app:app_from_environment", options, announce)
    raise typer.Exit(0 if served else 1)


def _announce(host: str, port: int, version: str) -> None:
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - only compared
    typer.echo(f"""
serving {version} at {url}, until Ctrl-C
docs:  {url}/docs
try:   curl {url}/predict -H 'Content-Type: application/json' -d "$(.venv/bin/churn-service example)"
""")
