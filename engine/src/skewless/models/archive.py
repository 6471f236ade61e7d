"""A packed version → its files in a folder, if its manifest and signature allow them.

`packaging.pack` stores the files as they are, so unpacked they take no more than the
archive itself. An archive that compresses, overlaps or repeats files is somebody
else's, and is refused before any is unpacked.
"""

import hashlib
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from skewless.core.errors import TamperedArtifactError
from skewless.models.artifact import (
    MANIFEST,
    check_listed,
    check_names,
    largest,
    other_hash,
    trusted_hashes,
)
from skewless.models.signing import SIGNATURE, PublicKey

# Bytes; the index of a larger one is of another kind.
LARGEST_ARCHIVE: Final = 2**32 - 1
LARGEST_INDEX: Final = 4096  # bytes; that of a version takes some 500
CHUNK: Final = 2**20  # bytes that are unpacked at once
END: Final = struct.Struct("<4s16x4s8xLLH")
"""The last bytes of an archive.

They are the locator, the mark, the size of the index in bytes, its offset, and the size
of a comment in bytes. The locator stands there only if the index is of the other kind;
else its bytes belong to the index.
"""
END_BYTES: Final = 22  # from the mark on
END_MARK: Final = b"PK\x05\x06"
OTHER_KIND: Final = b"PK\x06\x07"
# What zipfile raises for bytes that are no archive, or one that nobody here made.
NO_ARCHIVE: Final = (
    zipfile.BadZipFile,
    NotImplementedError,  # split in a way it does not know
    RuntimeError,  # encrypted
    EOFError,
    ValueError,  # a name that is no text, or an offset before the beginning
    OSError,  # the same offset, to the system
    struct.error,
)


class PackedVersion:
    """The files of one archive, whose index was checked.

    Raises
    ------
    TamperedArtifactError
        It is not what `packaging.pack` made of a version.
    """

    def __init__(self, packed: BinaryIO, version: str) -> None:
        self._version = version
        with self._reading():
            _check_end(packed)
            self._archive = zipfile.ZipFile(packed)
        found = self._archive.infolist()
        check_names(version, [entry.orig_filename for entry in found])
        with self._reading():
            _check_entries(found, size=packed.seek(0, 2))
        self._entries = {entry.filename: entry for entry in found}

    def hashes(self, public_key: PublicKey | None) -> Mapping[str, str]:
        """Read the manifest and the signature; see `artifact.trusted_hashes`."""
        manifest = b"".join(self._chunks(MANIFEST))
        signature = None
        if SIGNATURE in self._entries:
            signature = b"".join(self._chunks(SIGNATURE))
        written = trusted_hashes(
            self._version, manifest, signature, public_key=public_key
        )
        check_listed(self._version, self._entries, written)
        return written

    def unpack(self, folder: Path, hashes: Mapping[str, str]) -> None:
        """Write the files into a folder, if each is the one of the manifest.

        Raises
        ------
        TamperedArtifactError
            A file has another SHA-256, or cannot be read; nothing was written.
        OSError
            The folder cannot be written.
        """
        for name, expected in hashes.items():
            found = hashlib.sha256()
            for chunk in self._chunks(name):
                found.update(chunk)
            if found.hexdigest() != expected:
                raise other_hash(self._version, name)
        for name in self._entries:
            with (folder / name).open("xb") as file:
                file.writelines(self._chunks(name))

    def _chunks(self, name: str) -> Iterator[bytes]:
        with self._reading(), self._archive.open(self._entries[name]) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except NO_ARCHIVE as error:
            msg = (
                f"{self._version}: what the store holds is no packed version "
                f"({error}). Train it again"
            )
            raise TamperedArtifactError(msg) from error


def _check_end(packed: BinaryIO) -> None:
    """Refuse an index of another size before it is read.

    A version has few files and no comment.
    """
    size = packed.seek(0, 2)
    if size < END.size:
        msg = f"{size} bytes are too few"
        raise zipfile.BadZipFile(msg)
    packed.seek(size - END.size)
    locator, mark, index, offset, comment = END.unpack(packed.read(END.size))
    at_the_end = offset + index == size - END_BYTES and comment == 0
    if (
        locator == OTHER_KIND
        or mark != END_MARK
        or not at_the_end
        or index > LARGEST_INDEX
    ):
        msg = "it does not end with the index of a few files"
        raise zipfile.BadZipFile(msg)


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Accept only plain files, stored as they are, one behind the other."""
    for entry in entries:
        if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG}:
            msg = f"{entry.filename} is no plain file"
            raise zipfile.BadZipFile(msg)
        if (
            entry.compress_type != zipfile.ZIP_STORED
            or entry.compress_size != entry.file_size
        ):
            msg = f"{entry.filename} is not stored as it is"
            raise zipfile.BadZipFile(msg)
        if entry.file_size > largest(entry.filename):
            msg = f"{entry.filename} would take {entry.file_size:,} bytes"
            raise zipfile.BadZipFile(msg)
    if sum(entry.file_size for entry in entries) > size:
        msg = "its files share their bytes"
        raise zipfile.BadZipFile(msg)
