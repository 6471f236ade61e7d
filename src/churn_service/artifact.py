"""A model version as an immutable folder → its verified bytes.

The folder's name is ``<MAJOR.MINOR.PATCH>-<8 hex>``; the hex digits are a digest of everything that decides
an answer, so the same data, config and lock give the same version. `manifest.sha256` is in the format of
``sha256sum -c``; `manifest.sig`, which may be absent, signs it.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from churn_service.errors import ArtifactError, ArtifactNotFoundError, TamperedArtifactError
from churn_service.metadata import Metadata
from churn_service.plain_file import read_plain
from churn_service.signing import SIGNATURE, PublicKey, check_signature

ONNX: Final = "model.onnx"
JOBLIB: Final = "model.joblib"
METADATA: Final = "metadata.json"
CARD: Final = "card.md"
PICTURES: Final = ("roc.svg", "calibration.svg")
FILES: Final = frozenset({ONNX, JOBLIB, METADATA, CARD, *PICTURES})
MANIFEST: Final = "manifest.sha256"
SHA256: Final = re.compile("[0-9a-f]{64}")
LARGEST_FILE: Final = 2**30  # bytes


class Artifact(BaseModel, frozen=True):
    """A verified version, in memory."""

    metadata: Metadata
    files: dict[str, bytes]


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def read_artifact(folder: Path, public_key: PublicKey | None = None) -> Artifact:
    """Read a version's bytes once and verify exactly those.

    Parameters
    ----------
    folder
        The version.
    public_key
        Whose signature is asked for; None accepts a version without one.

    Raises
    ------
    ArtifactNotFoundError
        There is no such folder.
    TamperedArtifactError
        A file is missing, extra or changed; or all hashes agree with each other but not with the version.
    SignatureError
        The owner of the public key did not sign it.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such model version. `churn-service registry list` names them"
        raise ArtifactNotFoundError(msg)
    files = _read_files(folder)
    manifest, line = files.pop(MANIFEST), files.pop(SIGNATURE, None)
    written = _parse_manifest(folder, manifest)
    for name in sorted(files):
        if sha256(files[name]) != written[name]:
            raise _tampered(folder, name, f"its SHA-256 is not the one in {MANIFEST}")
    if public_key is not None:
        check_signature(folder.name, manifest, line, key=public_key)
    metadata = _parse_metadata(folder, files)
    if metadata.version != folder.name:
        msg = f"{folder.name}: holds version {metadata.version}. Restore it, or give that its name back"
        raise TamperedArtifactError(msg)
    return Artifact(metadata=metadata, files=files)


def is_whole(folder: Path) -> bool:
    """Tell whether a folder is a version as it was written."""
    try:
        read_artifact(folder)
    except ArtifactError:
        return False
    return True


def _parse_metadata(folder: Path, files: Mapping[str, bytes]) -> Metadata:
    """Check that the files belong together, not only each to its hash."""
    try:
        metadata = Metadata.model_validate_json(files[METADATA])
    except ValidationError as error:
        raise _tampered(folder, METADATA, f"it has {error.error_count()} faults") from error
    if metadata.identity.onnx_sha256 != sha256(files[ONNX]):
        raise _tampered(folder, ONNX, f"it is not the model that {METADATA} describes")
    if metadata.version != metadata.identity.version(metadata.version.partition("-")[0]):
        raise _tampered(folder, METADATA, "its content does not belong to the version it names")
    return metadata


def _parse_manifest(folder: Path, manifest: bytes) -> dict[str, str]:
    """Accept only the one text that could have been written: sorted, lower case, these files."""
    lines = [line.partition("  ") for line in manifest.decode("ascii", "replace").splitlines()]
    written = {name: digest for digest, _, name in lines}
    canonical = "".join(f"{written.get(name, '')}  {name}\n" for name in sorted(FILES)).encode()
    if manifest != canonical or not all(map(SHA256.fullmatch, written.values())):
        raise _tampered(folder, MANIFEST, f"it must list {', '.join(sorted(FILES))} and nothing else")
    return written


def _read_files(folder: Path) -> dict[str, bytes]:
    found = {entry.name for entry in folder.iterdir()}
    expected = FILES | {MANIFEST}
    for name in sorted(expected - found):
        raise _tampered(folder, name, "it is missing")
    for name in sorted(found - expected - {SIGNATURE}):
        raise _tampered(folder, name, "it is not part of a version")
    return {name: read_file(folder, name) for name in sorted(found)}


def read_file(folder: Path, name: str) -> bytes:
    """Read one file of a version, if it is a plain one."""
    try:
        return read_plain(folder / name, LARGEST_FILE)
    except ValueError as error:
        raise _tampered(folder, name, str(error)) from error


def _tampered(folder: Path, name: str, reason: str) -> TamperedArtifactError:
    return TamperedArtifactError(
        f"{folder.name}/{name}: {reason}. The version is refused; restore the folder or train it again"
    )
