"""Files → a model version as an immutable folder, whole or absent, signed or not."""

import contextlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from skewless.core.atomic import create_file, flush_folder, naming
from skewless.core.errors import SignatureError, VersionExistsError
from skewless.models.archive import PackedVersion
from skewless.models.artifact import (
    FILES,
    MANIFEST,
    REQUIRED,
    read_artifact,
    read_file,
    sha256,
)
from skewless.models.signing import SIGNATURE, PublicKey, SigningKey, sign

UNFINISHED: Final = ".unfinished-"


def write_artifact(root: Path, version: str, files: Mapping[str, bytes]) -> Path:
    """Write a version; a crash at any moment leaves all of it, or none of that name.

    The folder is filled and flushed under another name, then renamed.

    Raises
    ------
    VersionExistsError
        The version is there already; it is not touched.
    OSError
        The folder cannot be written.
    """
    if not REQUIRED <= set(files) <= FILES:
        msg = f"a version consists of {sorted(FILES)}; got {sorted(files)}"
        raise ValueError(msg)
    target = root / version
    root.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=root))
    try:
        for name, data in [*files.items(), (MANIFEST, manifest(files))]:
            with naming(target / name, unfinished / name):
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


def pack(folder: Path) -> bytes:
    """Put a version's files into one, as they are, for a store without folders."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return buffer.getvalue()


def unpack(packed: Path, target: Path, public_key: PublicKey | None = None) -> None:
    """Verify what was packed, then give it its place as a version.

    Raises
    ------
    TamperedArtifactError
        It is not what `pack` made of that version, whole.
    SignatureError
        The owner of the public key did not sign it.
    VersionExistsError
        The version is there already; it is not touched.
    OSError
        The folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=target.parent) as name:
        unfinished = Path(name) / target.name
        unfinished.mkdir()
        with packed.open("rb") as file:
            archive = PackedVersion(file, target.name)
            archive.unpack(unfinished, archive.hashes(public_key))
        read_artifact(unfinished, public_key)
        place(unfinished, target)


def sign_artifact(folder: Path, key: SigningKey) -> None:
    """Verify a version and sign exactly the bytes that were verified.

    It can be read at every moment.

    Raises
    ------
    SignatureError
        There is a signature already, and it is another one.
    ArtifactError
        The version is absent or damaged.
    """
    line = sign(manifest(read_artifact(folder).files), key)
    with contextlib.suppress(FileExistsError):
        create_file(folder / SIGNATURE, line, beside=folder)
    if read_file(folder, SIGNATURE) != line:
        msg = (
            f"{folder.name}/{SIGNATURE}: is there already, and not by this key. "
            "If yours is to replace it, delete it and sign again"
        )
        raise SignatureError(msg)


def manifest(files: Mapping[str, bytes]) -> bytes:
    """List the files with their hashes, as ``sha256sum -c`` reads it."""
    return "".join(
        f"{sha256(files[name])}  {name}\n" for name in sorted(files)
    ).encode()


def _write_flushed(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
