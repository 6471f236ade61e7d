"""The commands serve and keys new."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    open_workspace,
    print_json,
    project_of,
    say,
)
from skewless.core.errors import ArtifactError, RefusedError

if TYPE_CHECKING:
    from skewless.core.workspace import Workspace
    from skewless.models.predict import Predictor
    from skewless.serving.follow import Models


def add_commands(app: typer.Typer) -> None:
    """Register these commands."""
    app.command()(serve)
    keys = typer.Typer(help="Keys of those who call the service.", no_args_is_help=True)
    keys.command("new")(make_key)
    app.add_typer(keys, name="keys")


def make_key(
    context: typer.Context,
    *,
    name: Annotated[
        str,
        typer.Option(
            "--id", help="Who will call: it shows in logs, and limits go by it"
        ),
    ],
    scope: Annotated[
        Literal["predict", "admin"], typer.Option(help="admin may also read /metrics")
    ] = "predict",
    json: JsonOption = False,
) -> None:
    """Make a key for somebody who calls the service.

    The key is shown this once; the service needs only the line with its hash. To
    exchange a key, configure two lines with the same id, and take the old one out when
    nobody uses it any more.

    Example: keys new --id crm
    """
    from skewless.core.settings import variable_name
    from skewless.serving.access import new_key

    key, line = new_key(name, scope)
    if json:
        print_json({"key": key, "line": line})
        return
    say(
        "key, for the caller, in the header X-API-Key; it is not shown again:",
        f"  {key}",
    )
    variable = variable_name(project_of(context).prefix, "api_keys")
    say(
        f"line, for the service, in {variable}; several are separated by commas:",
        f"  {line}",
    )


def serve(
    context: typer.Context,
    *,
    host: Annotated[
        str | None, typer.Option(help="Default: the variable …_HOST, else 127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65_535, help="Default: the variable …_PORT, else 8000"),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            help=(
                "Stay with it, or follow an alias. "
                "Default: the variable …_VERSION, else production"
            )
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer")] = 1,
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart when the code changes")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Serve what is in production over HTTP until Ctrl-C.

    While nothing ever was in production, the newest version is served. What is promoted
    or rolled back meanwhile is followed. A model that is refused at the start opens no
    port: the command ends with 3 and says why.

    Example: serve --port 8080
    """
    from skewless.serving.access import Keys, refuse_exposure
    from skewless.serving.follow import find_models
    from skewless.serving.server import serve_many, serve_one, server_options
    from skewless.serving.service import Service
    from skewless.serving.worker import spare_the_collector

    work = _workspace(context, config, version)
    app = work.project.load_app()
    settings = work.settings
    serving = work.config.serving
    options = server_options(host or settings.host, port or settings.port, serving)
    keys = Keys(settings)
    refuse_exposure(options["host"], keys, settings)
    source = find_models(work)
    first = _first(source.load, serving.fallback)
    # Built here even if workers will serve: wrong settings end this command, not each
    # worker for ever.
    Service(_beginning_with(first, source), work, app)
    announce = partial(
        _announce, work, options, _described(first, source), asks_for_key=bool(keys)
    )
    if workers == 1 and not reload:
        spare_the_collector()
        served = serve_one(app, options, announce)
    else:
        paths = {
            "config": (config or settings.config).resolve(),
            "start_version": None if first is None else first.version,
        }
        options |= {"workers": workers, "reload": reload}
        served = serve_many(
            replace(work, settings=settings.model_copy(update=paths)),
            options=options,
            announce=announce,
        )
    raise typer.Exit(_outcome(options, served=served))


def _workspace(
    context: typer.Context, config: Path | None, version: str | None
) -> Workspace:
    """Read environment and configuration, without what is meant for workers."""
    from skewless.core.settings import misspelt

    for found, meant in misspelt(project_of(context).prefix).items():
        say(
            f"warning: {found} is no setting, nothing reads it; did you mean {meant}?",
            err=True,
        )
    work = open_workspace(context, config)
    own = {
        "metrics_dir": None,
        "start_version": None,
        "version": version or work.settings.version,
    }
    return replace(work, settings=work.settings.model_copy(update=own))


def _beginning_with(first: Predictor | None, source: Models) -> Models:
    """Open what was opened already only once."""
    ready = [first] if first else []
    return source._replace(load=lambda: ready.pop() if ready else source.load())


def _described(first: Predictor | None, source: Models) -> str:
    """Say for the banner what answers.

    It also says what surprises a person who has just trained another version.
    """
    from skewless.serving.fallback import VERSION

    if first is None:
        return VERSION
    version = first.version
    if source.wanted() is None:
        return f"{version} (nothing is in production yet)"
    from skewless.registry.registry import NEWEST

    try:
        newest = source.resolve(NEWEST)
    except RefusedError:  # a version that is pinned needs no events
        return version
    return version if newest == version else f"{version} (the newest is {newest})"


def _outcome(options: dict[str, Any], *, served: bool) -> int:
    if served:
        return 0
    taken = f"{options['host']}:{options['port']} is taken (choose another with --port)"
    say(f"error: {taken}, or a worker could not start; the log says which", err=True)
    return 1


def _first(load: Callable[[], Predictor], fallback: str) -> Predictor | None:
    """Load the model before a port is opened; None if the baseline has to answer."""
    try:
        return load()
    except ArtifactError as error:
        if fallback == "refuse":
            raise
        say(
            f"warning: the baseline answers until there is a good model: {error}",
            err=True,
        )
        return None


def _announce(
    work: Workspace, options: dict[str, Any], version: str, *, asks_for_key: bool
) -> None:
    host = options["host"]
    if host == "0.0.0.0":  # noqa: S104 - only compared
        host = "127.0.0.1"
    if ":" in host:  # an IPv6 address
        host = f"[{host}]"
    url = f"http://{host}:{options['port']}"
    key = "-H 'X-API-Key: …' " if asks_for_key else ""
    body = shlex.quote(dumps(work.contract.example()))
    say(
        "",
        f"serving {version} at {url}, until Ctrl-C",
        f"docs:  {url}/docs",
        f"try:   curl {url}/predict {key}-H 'Content-Type: application/json' -d {body}",
        "",
    )
