"""What is not the archive that was packed is one clear error.

Nothing of it stays or fills a disk.
"""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skewless.core.errors import SignatureError, TamperedArtifactError
from skewless.models.archive import PackedVersion
from skewless.models.artifact import CARD, MANIFEST, METADATA, ONNX
from skewless.models.packaging import pack, unpack

Change = Callable[[zipfile.ZipInfo, bytes], tuple[zipfile.ZipInfo, bytes]]
LINK = 0o120777 << 16  # what a file that is a link says of itself


@pytest.fixture(scope="module")
def packed(version: Path) -> bytes:
    return pack(version)


def unpacked(data: bytes, version: Path, folder: Path, **options: object) -> Path:
    """Unpack an archive where a registry would; return the version's folder."""
    root = folder / "mirror"
    root.mkdir()
    (folder / "archive.zip").write_bytes(data)
    unpack(folder / "archive.zip", root / version.name, **options)
    return root / version.name


def unpack_alone(data: bytes, name: str, folder: Path) -> None:
    """Do what is done before the folder is looked at."""
    archive = PackedVersion(io.BytesIO(data), name)
    archive.unpack(folder, archive.hashes(None))


def repacked(packed: bytes, change: Change) -> bytes:
    """Write each file anew, as somebody else would have it."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(packed)) as good,
        zipfile.ZipFile(buffer, "w") as spoilt,
    ):
        for entry in good.infolist():
            spoilt.writestr(*change(entry, good.read(entry)))
    return buffer.getvalue()


def changed(
    packed: bytes,
    name: str,
    *,
    data: Callable[[bytes], bytes] = bytes,
    **fields: object,
) -> bytes:
    """Write one file anew, with other content or other fields in the index."""

    def change(entry: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        if entry.filename != name:
            return entry, content
        for field, value in fields.items():
            setattr(entry, field, value)
        return entry, data(content)

    return repacked(packed, change)


def twice(packed: bytes, name: str) -> bytes:
    """Hold a file once more, with other content."""
    buffer = io.BytesIO(packed)
    with zipfile.ZipFile(buffer, "a") as spoilt:
        spoilt.writestr("x" * len(name), b"another")
    return buffer.getvalue().replace(b"x" * len(name), name.encode())


def offset_off_by(packed: bytes, *, bytes_off: int, of_index: bool) -> bytes:
    """Move where a file, or the index of all, is said to begin."""
    data = bytearray(packed)
    (index,) = struct.unpack_from("<L", data, len(data) - 6)
    place = len(data) - 6 if of_index else index + 42
    (offset,) = struct.unpack_from("<L", data, place)
    struct.pack_into("<L", data, place, (offset + bytes_off) % 2**32)
    return bytes(data)


def overlapping(packed: bytes) -> bytes:
    """Let every file but the manifest be the largest one."""
    data = bytearray(packed)
    with zipfile.ZipFile(io.BytesIO(packed)) as good:
        largest = max(good.infolist(), key=lambda entry: entry.file_size)
        (place,) = struct.unpack_from("<L", data, len(data) - 6)
        for entry in good.infolist():
            if entry.filename != MANIFEST:
                struct.pack_into(
                    "<LL", data, place + 20, largest.file_size, largest.file_size
                )
                struct.pack_into("<L", data, place + 42, largest.header_offset)
            place += 46 + len(entry.filename)
    return bytes(data)


def crowded(_: bytes) -> bytes:
    """Hold more files than an index of that many bytes should ever be read for."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as spoilt:
        for number in range(1000):
            spoilt.writestr(f"{number}", b"")
    return buffer.getvalue()


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit": lambda packed: (
        packed[:5000] + bytes([packed[5000] ^ 1]) + packed[5001:]
    ),
    "the first bytes": lambda packed: packed[:1000],
    "nothing": lambda _: b"",
    "an empty archive": lambda _: b"PK\x05\x06" + bytes(18),
    "an error page": lambda _: b"<html>Please log in</html>",
    "bytes behind the end": lambda packed: packed + bytes(1),
    "bytes before the beginning": lambda packed: b"\0" + packed,
    "a comment": lambda packed: packed[:-2] + b"\x01\0!",
    "a file elsewhere": lambda packed: changed(packed, CARD, filename="../../escaped"),
    "an absolute path": lambda packed: changed(
        packed,
        CARD,
        filename="/tmp/escaped",  # noqa: S108 - never written
    ),
    "a name with an end in it": lambda packed: packed.replace(
        CARD.encode(), b"card\0md"
    ),
    "a file that is a link": lambda packed: changed(packed, CARD, external_attr=LINK),
    "a file more": lambda packed: twice(packed, "card.html"),
    "the card twice": lambda packed: twice(packed, CARD),
    "the manifest twice": lambda packed: twice(packed, MANIFEST),
    "a larger model": lambda packed: changed(
        packed, ONNX, data=lambda data: data + bytes(10**6)
    ),
    "a larger manifest": lambda packed: changed(
        packed, MANIFEST, data=lambda data: data + b"\n" * 10**6
    ),
    "compressed metadata": lambda packed: changed(
        packed, METADATA, compress_type=zipfile.ZIP_DEFLATED
    ),
    "a bomb": lambda packed: changed(
        packed, ONNX, data=lambda _: bytes(10**8), compress_type=zipfile.ZIP_DEFLATED
    ),
    "files that overlap": overlapping,
    "a thousand files": crowded,
    "a file one byte later": lambda packed: offset_off_by(
        packed, bytes_off=1, of_index=False
    ),
    "a file one byte earlier": lambda packed: offset_off_by(
        packed, bytes_off=-1, of_index=False
    ),
    "an index one byte later": lambda packed: offset_off_by(
        packed, bytes_off=1, of_index=True
    ),
    "an index one byte earlier": lambda packed: offset_off_by(
        packed, bytes_off=-1, of_index=True
    ),
    "a file behind the end": lambda packed: offset_off_by(
        packed, bytes_off=2**31, of_index=False
    ),
}


def test_what_was_packed_is_unpacked_byte_for_byte(
    packed: bytes, version: Path, tmp_path: Path
):
    folder = unpacked(packed, version, tmp_path)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in version.iterdir()
    }


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.slow
def test_what_is_not_what_was_packed_is_an_error_and_nothing_stays(
    packed: bytes, version: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]
):
    with pytest.raises(TamperedArtifactError, match=f"^{version.name}[/:]"):
        unpacked(spoil(packed), version, tmp_path)

    assert {path.name for path in tmp_path.rglob("*")} == {"mirror", "archive.zip"}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.slow
def test_what_the_manifest_does_not_promise_is_never_written(
    packed: bytes, version: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]
):
    with pytest.raises(TamperedArtifactError):
        unpack_alone(spoil(packed), version.name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_of_an_archive_without_its_signature_only_the_manifest_is_read(
    packed: bytes, version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    opened, open_entry = list[str](), zipfile.ZipFile.open

    def noting(
        self: zipfile.ZipFile, entry: zipfile.ZipInfo, *arguments: object
    ) -> object:
        opened.append(entry.filename)
        return open_entry(self, entry, *arguments)

    monkeypatch.setattr(zipfile.ZipFile, "open", noting)

    with pytest.raises(SignatureError, match="it is not signed"):
        unpacked(
            packed,
            version,
            tmp_path,
            public_key=Ed25519PrivateKey.generate().public_key(),
        )

    assert opened == [MANIFEST]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(
        st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=4
    )
)
@pytest.mark.slow
def test_whatever_the_end_of_an_archive_says_it_is_unpacked_whole_or_refused(
    packed: bytes,
    version: Path,
    tmp_path_factory: pytest.TempPathFactory,
    places: list[tuple[int, int]],
):
    data = bytearray(packed)
    for place, value in places:
        data[-1 - place] = value

    try:
        folder = unpacked(bytes(data), version, tmp_path_factory.mktemp("spoilt"))
    except TamperedArtifactError:
        return
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in version.iterdir()
    }
