"""The folder of model versions: list them, find one."""

import os
import re
from pathlib import Path

from churn_service.artifact import read_artifact
from churn_service.errors import ArtifactNotFoundError, TamperedArtifactError
from churn_service.metadata import Metadata

NEWEST = "newest"
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


def remember_newest(root: Path, version: str) -> None:
    """Note which version was trained last, also if it existed before; written whole or not at all."""
    unfinished = root / f".{NEWEST}-{os.getpid()}"
    unfinished.write_text(version + "\n", encoding="ascii")
    unfinished.replace(root / NEWEST)


def find_version(root: Path, version: str | None = None) -> Path:
    """Return the folder of a version; by default of the one that was trained last.

    Raises
    ------
    ArtifactError
        There is no version (of that name), or it is damaged.
    """
    if version is None:
        try:
            version = (root / NEWEST).read_text(encoding="ascii").strip()
        except FileNotFoundError as error:
            msg = f"{root}: no model version yet. Make one with `churn-service train`"
            raise ArtifactNotFoundError(msg) from error
    return root / read_metadata(root, version).version
