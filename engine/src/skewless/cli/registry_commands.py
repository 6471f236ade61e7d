"""The commands of `registry`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skewless.cli.terminal import (
    ConfigOption,
    JsonOption,
    open_registry,
    open_workspace,
    print_json,
    say,
)
from skewless.core.errors import ConfigError
from skewless.models.signing import read_signing_key

if TYPE_CHECKING:
    from pathlib import Path

    from skewless.core.workspace import Workspace
    from skewless.models.artifact import Artifact
    from skewless.registry.events import Event, State
    from skewless.registry.registry import Registry

# Lines of other modules for `show`.
SHOWN: list[Callable[[Workspace, str], Iterable[str]]] = []
registry_commands = typer.Typer(
    help="List, verify, sign and decide about versions.", no_args_is_help=True
)


@registry_commands.command("list")
def list_all(
    context: typer.Context, *, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """List the versions, oldest first, with what each stands for; damaged ones last.

    While the store of a remote registry cannot be reached, the local copy is shown, and
    that is said.

    Example: registry list
    """
    work = open_workspace(context, config)
    registry = open_registry(work)
    state = registry.state()
    found = [
        _described(registry, version, state)
        for version in {*registry.versions(), *state.needed}
    ]
    found.sort(key=lambda row: (row["trained_at"] or "9999", row["version"]))
    for row in found:
        if as_json:
            print_json(row)
        else:
            _print(row)
    if registry.stale:
        shown = (
            f"What is shown is the local copy in {registry.folder}, which may be behind"
        )
        say(f"{registry.stale} {shown}", err=True)
    elif not found:
        say(f"{work.config.registry.path} is empty; `train` fills it", err=True)


def _print(row: dict[str, Any]) -> None:
    told = "DAMAGED"
    if row["roc_auc"] is not None:
        told = f"trained {row['trained_at']}  ROC AUC {row['roc_auc']:.4f}"
    say(f"{row['version']}  {told}  {' '.join(row['aliases'])}".rstrip())
    if row["fault"]:
        say(f"      {row['fault']}")


@registry_commands.command()
def history(
    context: typer.Context,
    version: Annotated[
        str | None,
        typer.Argument(help="Only of this version or alias", show_default=False),
    ] = None,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell what was decided about the versions, by whom and why, oldest first.

    Example: registry history production
    """
    registry = open_registry(open_workspace(context, config))
    only = registry.resolve(version) if version else None
    for event in registry.events():
        if only not in {None, event.version, event.before}:
            continue
        if as_json:
            print_json(event.model_dump(mode="json"))
        else:
            _tell(event)


def _tell(event: Event) -> None:
    """Print a decision with its evidence."""
    decided = f"{event.kind} (forced)" if event.forced else event.kind
    where = f" {event.alias}" if event.alias else ""
    instead = f"{event.before} → " if event.before and event.kind != "reject" else ""
    why = f": {event.reason}" if event.reason else ""
    what = f"{decided}{where} {instead}{event.version}"
    say(f"{event.number:4}  {event.time}  {what} by {event.who}{why}")
    for check in event.evidence:
        say(f"      {check.line}")


@registry_commands.command()
def show(
    context: typer.Context,
    version: Annotated[
        str | None, typer.Argument(help="Default: the newest", show_default=False)
    ] = None,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print a version's card and the decisions about it, or its metadata with --json.

    Example: registry show
    """
    from skewless.registry.registry import NEWEST

    work = open_workspace(context, config)
    registry = open_registry(work)
    artifact = registry.load(version or NEWEST)
    if as_json:
        print_json(artifact.metadata.model_dump(mode="json"))
    else:
        name = artifact.metadata.version
        say(*_card_of(artifact, registry.folder))
        for event in registry.events():
            if event.version == name:
                _tell(event)
        for lines in SHOWN:
            for line in lines(work, name):
                say(line)


def _card_of(artifact: Artifact, registry: Path) -> Iterator[str]:
    """Yield the card's lines, and where its page is, if the version has one."""
    from skewless.models.artifact import CARD, CARD_PAGE

    yield from artifact.files[CARD].decode().split("\n")
    if CARD_PAGE in artifact.files:
        yield f"with its pictures: {registry / artifact.metadata.version / CARD_PAGE}"
        yield ""


@registry_commands.command()
def verify(context: typer.Context, *, config: ConfigOption = None) -> None:
    """Check every event and every file of every version.

    Where a public key is set, signatures are checked too. Exit 3: there is a fault, and
    each is named; or there is nothing to check. A version that is whole, but that this
    code no longer serves, is no fault: it is named with the commit that can serve it.

    Example: registry verify
    """
    from skewless.core.errors import (
        ArtifactError,
        ArtifactNotFoundError,
        IncompatibleArtifactError,
        TamperedArtifactError,
    )
    from skewless.models.predict import open_predictor
    from skewless.registry.events import fold

    work = open_workspace(context, config)
    registry = open_registry(work)
    events, faults = registry.readable_events()
    # Nobody knows what a damaged log adds up to.
    needed = frozenset[str]() if faults else fold(events).needed
    faults += [registry.stale] if registry.stale else []
    names = sorted({*registry.versions(), *needed})
    if not names and not faults:
        msg = (
            f"{registry.folder}: no version and no event is here, so nothing was "
            "checked. Is it the registry?"
        )
        raise ArtifactNotFoundError(msg)
    for name in names:
        try:
            open_predictor(_load(registry, name), work.project, work.config.serving)
            say(f"{name}  whole, and answers as it did when it was trained")
        except IncompatibleArtifactError as error:
            say(f"{name}  whole, but no longer served: {error}")
        except ArtifactError as error:
            faults.append(str(error))
    if faults:
        raise TamperedArtifactError(*faults)


@registry_commands.command()
def sign(
    context: typer.Context,
    version: Annotated[
        str | None, typer.Argument(help="Default: the newest", show_default=False)
    ] = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Verify a version and sign it with the key of the variable …_SIGNING_KEY.

    Example: registry sign newest
    """
    from skewless.registry.registry import NEWEST

    work = open_workspace(context, config)
    key = read_signing_key(work.settings)
    if key is None:
        variable = work.settings.variable("signing_key")
        msg = (
            f"{variable}: not set. "
            "Give the key as PEM text, or the path of a file with it"
        )
        raise ConfigError(msg)
    registry = open_registry(work, checked=False)
    found = registry.load(version or NEWEST).metadata.version
    registry.sign(found, key)
    say(f"{found}  verified and signed")


def _described(registry: Registry, version: str, state: State) -> dict[str, Any]:
    from skewless.core.errors import ArtifactError, SignatureError
    from skewless.models.artifact import read_artifact
    from skewless.registry.events import ALIASES
    from skewless.registry.registry import NEWEST

    aliases = [NEWEST] if version == state.newest else []
    aliases += [alias for alias in ALIASES if version == state.holder(alias)]
    row = {
        "version": version,
        "trained_at": None,
        "roc_auc": None,
        "aliases": aliases,
        "fault": None,
    }
    try:
        metadata = _load(registry, version).metadata
    except SignatureError as error:
        # It is whole, and to be seen, so that somebody may sign it.
        row["fault"] = str(error)
        if not (registry.folder / version).is_dir():  # a mirror holds nothing unsigned
            return row
        metadata = read_artifact(registry.folder / version).metadata
    except ArtifactError as error:
        return row | {"fault": str(error)}
    return row | {
        "trained_at": metadata.trained_at,
        "roc_auc": metadata.metrics["model"]["roc_auc"],
    }


def _load(registry: Registry, version: str) -> Artifact:
    """Verify a version that the folder or the events name."""
    from skewless.core.errors import ArtifactNotFoundError

    try:
        return registry.load(version)
    except ArtifactNotFoundError as error:
        why = (
            "the events need it and it is absent. "
            "Restore the folder from a backup, or train it again"
        )
        msg = f"{version}: {why}"
        raise ArtifactNotFoundError(msg) from error
