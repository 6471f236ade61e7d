"""The folder of model versions: list them, find one."""

import re
from pathlib import Path

from churn_service.artifact import Metadata, read_artifact
from churn_service.errors import ArtifactNotFoundError, TamperedArtifactError

VERSION = re.compile(r"\d+\.\d+\.\d+-[0-9a-f]{8}")


def list_versions(root: Path) -> list[str]:
    """Name the versions under a folder, in alphabetical order; none if the folder is absent."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if VERSION.fullmatch(entry.name))


def read_metadata(root: Path, version: str) -> Metadata:
    """Verify a version and return its metadata.

    Raises
    ------
    ArtifactError
        The version is absent or not what was written.
    """
    if not VERSION.fullmatch(version):
        msg = (
            f"{version!r} is not a version; one looks like 0.1.0-1a2b3c4d (see `churn-service registry list`)"
        )
        raise ArtifactNotFoundError(msg)
    metadata = read_artifact(root / version).metadata
    if metadata.version != version:
        msg = f"{version}: the folder holds version {metadata.version}. Give it back its name"
        raise TamperedArtifactError(msg)
    return metadata


def find_version(root: Path, version: str | None = None) -> Path:
    """Return the folder of a version; by default of the newest.

    Every version is verified on the way: a damaged one could otherwise hide that it is the newest.

    Raises
    ------
    ArtifactError
        There is no version (of that name), or one is damaged.
    """
    if version is not None:
        return root / read_metadata(root, version).version
    versions = [read_metadata(root, name) for name in list_versions(root)]
    if not versions:
        msg = f"{root}: no model version yet. Make one with `churn-service train`"
        raise ArtifactNotFoundError(msg)
    return root / max(versions, key=lambda metadata: metadata.trained_at).version
