"""A model version as an immutable folder: write it whole, verify it, load its bytes.

The folder's name is ``<MAJOR.MINOR.PATCH>-<8 hex>``; the hex digits are a digest of everything that decides
an answer, so the same data, config and lock give the same version. `manifest.sha256` is in the format of
``sha256sum -c``.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from churn_service.atomic import flush_folder
from churn_service.errors import ArtifactNotFoundError, TamperedArtifactError, VersionExistsError
from churn_service.metadata import Metadata

ONNX: Final = "model.onnx"
JOBLIB: Final = "model.joblib"
METADATA: Final = "metadata.json"
CARD: Final = "card.md"
PICTURES: Final = ("roc.svg", "calibration.svg")
FILES: Final = frozenset({ONNX, JOBLIB, METADATA, CARD, *PICTURES})
MANIFEST: Final = "manifest.sha256"
SHA256: Final = re.compile("[0-9a-f]{64}")
LARGEST_FILE: Final = 2**30  # bytes
UNFINISHED: Final = ".unfinished-"


class Artifact(BaseModel, frozen=True):
    """A verified version, in memory."""

    metadata: Metadata
    files: dict[str, bytes]


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def write_artifact(root: Path, version: str, files: Mapping[str, bytes]) -> Path:
    """Write a version so that a crash at any moment leaves either no version of that name or all of it.

    The folder is filled and flushed under another name, then renamed.

    Raises
    ------
    VersionExistsError
        The version is there already; it is not touched.
    OSError
        The folder cannot be written.
    """
    if set(files) != FILES:
        msg = f"a version consists of {sorted(FILES)}; got {sorted(files)}"
        raise ValueError(msg)
    target = root / version
    root.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=root))
    try:
        for name, data in [*files.items(), (MANIFEST, _manifest(files))]:
            _write_flushed(unfinished / name, data)
        unfinished.chmod(0o755)  # mkdtemp's folder is private; a version is not
        place(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def place(unfinished: Path, target: Path) -> None:
    """Give a whole version its name, on disk when this returns.

    Raises
    ------
    VersionExistsError
        The version is there already; it is not touched.
    """
    flush_folder(unfinished)
    if target.exists():  # POSIX would rename onto an empty folder
        raise VersionExistsError(target.name)
    try:
        unfinished.rename(target)
    except OSError as error:
        if target.exists():  # somebody else wrote it meanwhile
            raise VersionExistsError(target.name) from error
        raise
    flush_folder(target.parent)


def read_artifact(folder: Path) -> Artifact:
    """Read a version's bytes once and verify exactly those.

    Raises
    ------
    ArtifactNotFoundError
        There is no such folder.
    TamperedArtifactError
        A file is missing, extra or changed; or all hashes agree with each other but not with the version.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such model version. `churn-service registry list` names them"
        raise ArtifactNotFoundError(msg)
    files = _read_files(folder)
    written = _parse_manifest(folder, files.pop(MANIFEST))
    for name in sorted(files):
        if sha256(files[name]) != written[name]:
            raise _tampered(folder, name, f"its SHA-256 is not the one in {MANIFEST}")
    return Artifact(metadata=_parse_metadata(folder, files), files=files)


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


def _manifest(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{sha256(files[name])}  {name}\n" for name in sorted(files)).encode()


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
    for name in sorted(found - expected):
        raise _tampered(folder, name, "it is not part of a version")
    return {name: _read_file(folder, name) for name in sorted(expected)}


def _read_file(folder: Path, name: str) -> bytes:
    found = (folder / name).lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_FILE:
        raise _tampered(folder, name, f"it must be a plain file of at most {LARGEST_FILE:,} bytes")
    return (folder / name).read_bytes()


def _tampered(folder: Path, name: str, reason: str) -> TamperedArtifactError:
    return TamperedArtifactError(
        f"{folder.name}/{name}: {reason}. The version is refused; restore the folder or train it again"
    )


def _write_flushed(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
