"""A model version as an immutable folder → its verified bytes.

The folder's name is ``<MAJOR.MINOR.PATCH>-<8 hex>``; the hex digits are a digest of
everything that decides an answer, so the same data, config and lock give the same
version. `manifest.sha256` is in the format of ``sha256sum -c``; `manifest.sig`, which
may be absent, signs it.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from skewless.core.errors import (
    ArtifactError,
    ArtifactNotFoundError,
    TamperedArtifactError,
)
from skewless.core.plain_file import read_plain
from skewless.models.metadata import Metadata
from skewless.models.signing import SIGNATURE, PublicKey, check_signature

ONNX: Final = "model.onnx"
JOBLIB: Final = "model.joblib"
METADATA: Final = "metadata.json"
CARD: Final = "card.md"
CARD_PAGE: Final = "card.html"
PICTURES: Final = ("roc.svg", "calibration.svg")
REQUIRED: Final = frozenset({JOBLIB, METADATA, CARD, *PICTURES})
"""The files that every version has."""
OPTIONAL: Final = frozenset({ONNX, CARD_PAGE})
"""Those that one may lack: scikit-learn serves it, or an older engine wrote it."""
FILES: Final = REQUIRED | OPTIONAL
MANIFEST: Final = "manifest.sha256"
SHA256: Final = re.compile("[0-9a-f]{64}")
LARGEST_FILE: Final = 2**30  # bytes
# Bytes of what is read first; the manifest takes some 500, the signature 89.
LARGEST_FIRST: Final = 4096


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
        A file is missing, extra or changed; or all hashes agree with each other but not
        with the version.
    SignatureError
        The owner of the public key did not sign it.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such model version. `registry list` names them"
        raise ArtifactNotFoundError(msg)
    found = {entry.name for entry in folder.iterdir()}
    check_names(folder.name, found)
    line = read_file(folder, SIGNATURE) if SIGNATURE in found else None
    written = trusted_hashes(
        folder.name, read_file(folder, MANIFEST), line, public_key=public_key
    )
    check_listed(folder.name, found, written)
    files = dict[str, bytes]()
    for name, digest in written.items():
        files[name] = read_file(folder, name)
        if sha256(files[name]) != digest:
            raise other_hash(folder.name, name)
    metadata = _parse_metadata(folder.name, files)
    if metadata.version != folder.name:
        msg = (
            f"{folder.name}: holds version {metadata.version}. "
            "Restore it, or give that its name back"
        )
        raise TamperedArtifactError(msg)
    return Artifact(metadata=metadata, files=files)


def is_whole(folder: Path) -> bool:
    """Tell whether a folder is a version as it was written."""
    try:
        read_artifact(folder)
    except ArtifactError:
        return False
    return True


def check_names(version: str, found: Collection[str]) -> None:
    """Accept the files of a version, each once, with or without a signature.

    Raises
    ------
    TamperedArtifactError
        One is missing, or something else is there.
    """
    expected = FILES | {MANIFEST}
    missing = sorted(REQUIRED.union({MANIFEST}).difference(found))
    if missing:
        raise tampered(version, missing[0], "it is missing")
    strange = sorted(set(found) - expected - {SIGNATURE})
    if strange:
        raise tampered(version, strange[0], "it is not part of a version")
    if len(found) > len(set(found)):
        raise tampered(version, MANIFEST, "two files have the same name")


def check_listed(
    version: str, found: Collection[str], written: Collection[str]
) -> None:
    """Accept the files of a version if they are those that its manifest lists.

    Raises
    ------
    TamperedArtifactError
        One is missing, or was added.
    """
    for name in sorted(set(written).difference(found)):
        raise tampered(version, name, "it is missing")
    for name in sorted(FILES.intersection(found).difference(written)):
        raise tampered(version, name, f"it is not in {MANIFEST}")


def largest(name: str) -> int:
    """Tell how many bytes a file of a version may hold."""
    return LARGEST_FIRST if name in {MANIFEST, SIGNATURE} else LARGEST_FILE


def trusted_hashes(
    version: str, manifest: bytes, line: bytes | None, *, public_key: PublicKey | None
) -> dict[str, str]:
    """Read which SHA-256 each file of a version must have, before any of them is read.

    Parameters
    ----------
    version
        Its name.
    manifest, line
        What `manifest.sha256` and `manifest.sig` hold; None if there is no signature.
    public_key
        Whose signature is asked for; None accepts a version without one.

    Raises
    ------
    TamperedArtifactError
        The manifest is not the one text that could have been written: sorted, lower
        case, these files.
    SignatureError
        The owner of the public key did not sign it.
    """
    text = manifest.decode("ascii", "replace")
    lines = [each.partition("  ") for each in text.splitlines()]
    written = {name: digest for digest, _, name in lines}
    names = REQUIRED | OPTIONAL.intersection(written)
    canonical = "".join(
        f"{written.get(name, '')}  {name}\n" for name in sorted(names)
    ).encode()
    if manifest != canonical or not all(map(SHA256.fullmatch, written.values())):
        raise tampered(
            version,
            MANIFEST,
            f"it must list {', '.join(sorted(FILES))} and nothing else",
        )
    if public_key is not None:
        check_signature(version, manifest, line, key=public_key)
    return written


def read_file(folder: Path, name: str) -> bytes:
    """Read one file of a version, if it is a plain one."""
    try:
        return read_plain(folder / name, largest(name))
    except ValueError as error:
        raise tampered(folder.name, name, str(error)) from error


def _parse_metadata(version: str, files: Mapping[str, bytes]) -> Metadata:
    """Check that the files belong together, not only each to its hash."""
    try:
        metadata = Metadata.model_validate_json(files[METADATA])
    except ValidationError as error:
        raise tampered(
            version, METADATA, f"it has {error.error_count()} faults"
        ) from error
    identity = metadata.identity
    model = files.get(ONNX)
    if identity.onnx_sha256 != (None if model is None else sha256(model)):
        raise tampered(version, ONNX, f"it is not the model that {METADATA} describes")
    if model is None and identity.joblib_sha256 != sha256(files[JOBLIB]):
        raise tampered(
            version, JOBLIB, f"it is not the model that {METADATA} describes"
        )
    number = metadata.version.partition("-")[0]
    if metadata.version != metadata.identity.version(number):
        raise tampered(
            version, METADATA, "its content does not belong to the version it names"
        )
    return metadata


def other_hash(version: str, name: str) -> TamperedArtifactError:
    """Say that a file is not the one that the manifest lists."""
    return tampered(version, name, f"its SHA-256 is not the one in {MANIFEST}")


def tampered(version: str, name: str, reason: str) -> TamperedArtifactError:
    """Say what is wrong with a file of a version, and what to do."""
    return TamperedArtifactError(
        f"{version}/{name}: {reason}. The version is refused; "
        "restore the folder or train it again"
    )
