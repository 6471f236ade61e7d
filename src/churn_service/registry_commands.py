"""The commands of `churn-service registry`."""

from typing import Annotated

import typer

from churn_service.terminal import ConfigOption, JsonOption, open_config, print_json

registry_commands = typer.Typer(help="List, show and verify model versions.", no_args_is_help=True)


@registry_commands.command("list")
def list_all(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the versions, oldest first.

    Example: churn-service registry list
    """
    from churn_service.registry import Registry

    settings, root = open_config(config)
    registry = Registry(root / settings.registry.path)
    versions = [registry.metadata(name) for name in registry.versions()]
    for metadata in sorted(versions, key=lambda each: each.trained_at):
        auc = metadata.metrics["model"]["roc_auc"]
        if as_json:
            print_json({"version": metadata.version, "trained_at": metadata.trained_at, "roc_auc": auc})
        else:
            typer.echo(f"{metadata.version}  trained {metadata.trained_at}  ROC AUC {auc:.4f}")


@registry_commands.command()
def show(
    version: Annotated[str | None, typer.Argument(help="Default: the newest", show_default=False)] = None,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print a version's card, or its metadata with --json.

    Example: churn-service registry show
    """
    from churn_service.artifact import CARD, read_artifact
    from churn_service.registry import NEWEST, Registry

    settings, root = open_config(config)
    artifact = read_artifact(Registry(root / settings.registry.path).find(version or NEWEST))
    if as_json:
        print_json(artifact.metadata.model_dump(mode="json"))
    else:
        typer.echo(artifact.files[CARD].decode())


@registry_commands.command()
def verify(*, config: ConfigOption = None) -> None:
    """Check every file of every version; exit 3 and name each fault if there is one.

    Example: churn-service registry verify
    """
    from churn_service.errors import ArtifactError, TamperedArtifactError
    from churn_service.predict import load_predictor
    from churn_service.registry import Registry

    settings, root = open_config(config)
    registry = Registry(root / settings.registry.path)
    faults = []
    for name in registry.versions():
        try:
            registry.metadata(name)
            load_predictor(registry.folder / name)
            typer.echo(f"{name}  whole, and answers as it did when it was trained")
        except ArtifactError as error:
            faults.append(str(error))
    if faults:
        raise TamperedArtifactError("\n".join(faults))
