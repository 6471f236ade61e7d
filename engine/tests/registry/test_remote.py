"""A registry in an object store, over HTTP, is written by many and mirrored whole.

Its versions are served when the store is gone.
"""

import io
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest
import s3fs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conftest import UNTRACED, Run
from own import PROJECT
from running import ask, free_port, serving
from skewless.core.errors import (
    ArtifactNotFoundError,
    ConfigError,
    ConflictError,
    SignatureError,
    StoreError,
    TamperedArtifactError,
)
from skewless.core.sections import RegistryConfig
from skewless.models.archive import LARGEST_ARCHIVE
from skewless.models.artifact import LARGEST_FILE, MANIFEST, ONNX
from skewless.models.predict import load_predictor
from skewless.registry import store as store_module
from skewless.registry.events import LARGEST_EVENT, Decided, Event
from skewless.registry.registry import Registry
from skewless.registry.remote import open_registry
from skewless.registry.store import Found, Store
from steady import configure, counted, until

pytestmark = pytest.mark.posix

WRITERS, ROUNDS = 8, 5
ABSENT = "0.1.0-00000000"
Open = Callable[..., Registry]


@pytest.fixture
def mirror(s3: str, tmp_path: Path) -> Open:
    """Open the same registry with any number of mirrors."""
    return lambda name="mirror": open_registry(
        RegistryConfig(path=s3, cache=name), tmp_path
    )


@pytest.fixture
def files(version: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in version.iterdir()
        if path.name != MANIFEST
    }


@pytest.fixture
def own(
    trained: Path, mirror: Open, version: Path, files, tmp_path: Path, s3: str
) -> Path:
    """Return a project whose registry is in the store.

    A version was put into production there twice.
    """
    left_out = shutil.ignore_patterns("models", "predictions")
    own = Path(shutil.copytree(trained, tmp_path / "own", ignore=left_out))
    configure(own, "registry", path=s3)
    registry = mirror("other-machine")
    registry.write(version.name, files, who="ada@host", checkout=UNTRACED)
    for _ in range(2):
        registry.record(promote(version.name), registry.events())
    return own


def promote(version: str) -> Decided:
    return Decided(kind="promote", version=version, alias="production", who="ada@host")


@pytest.mark.slow
def test_what_one_machine_registers_another_verifies_and_serves(
    mirror: Open, version: Path, files
):
    first, second = mirror("one"), mirror("two")

    was_there = [
        each.write(version.name, files, who="ada@host", checkout=UNTRACED)
        for each in (first, second)
    ]
    second.record(promote(version.name), second.events())
    third = mirror("three")
    folder = third.folder / third.load("production").metadata.version

    assert was_there == [False, True]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in version.iterdir()
    }
    assert load_predictor(folder, PROJECT).version == version.name
    assert [event.kind for event in first.events()] == ["register", "promote"]
    assert mirror("four").versions() == [version.name]


@pytest.mark.slow
def test_of_eight_writers_one_wins_each_round(mirror: Open):
    writers = [mirror(f"mirror {number}") for number in range(WRITERS)]

    def decide(registry: Registry, seen: list) -> bool:
        try:
            registry.record(promote(ABSENT), seen)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in range(ROUNDS):
            seen = writers[0].events()
            assert sum(pool.map(decide, writers, [seen] * WRITERS)) == 1

    assert [event.number for event in writers[-1].events()] == list(
        range(1, ROUNDS + 1)
    )


@pytest.mark.slow
def test_a_download_goes_on_where_it_was_cut_off(
    mirror: Open, version: Path, files, monkeypatch
):
    mirror("one").write(version.name, files, who="ada@host", checkout=UNTRACED)
    monkeypatch.setattr(store_module, "CHUNK", 10_000)
    registry, asked = mirror("two"), []
    network = registry._store._files  # noqa: SLF001 - it fails
    whole = network.cat_file

    def fails_at(limit: float) -> Callable[..., bytes]:
        def cat_file(path: str, start: int = 0, end: int = 0) -> bytes:
            if start >= limit:
                raise ConnectionError
            asked.append(start)
            return whole(path, start=start, end=end)

        return cat_file

    monkeypatch.setattr(network, "cat_file", fails_at(30_000))
    with pytest.raises(StoreError, match="try again"):
        registry.load(version.name)
    monkeypatch.setattr(network, "cat_file", fails_at(float("inf")))
    registry.load(version.name)

    assert asked == list(range(0, asked[-1] + 1, 10_000))
    assert (
        load_predictor(registry.folder / version.name, PROJECT).version == version.name
    )


def damaged(packed: bytes) -> bytes:
    data = bytearray(packed)
    data[len(data) // 2] ^= 1
    return bytes(data)


def truncated(packed: bytes) -> bytes:
    return packed[:1000]


def escaping(_: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../escaped", "x")
    return buffer.getvalue()


def bloated(_: bytes) -> bytes:
    """Make an archive that says of itself it would fill a disk."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(ONNX, b"")
        archive.infolist()[0].file_size = LARGEST_FILE + 1
    return buffer.getvalue()


def misplaced(packed: bytes) -> bytes:
    """Say that the index begins one byte later than it does.

    So a file begins before the first byte.
    """
    (index,) = struct.unpack_from("<L", packed, len(packed) - 6)
    return packed[:-6] + struct.pack("<LH", index + 1, 0)


@pytest.mark.parametrize("spoil", [bloated, damaged, escaping, misplaced, truncated])
@pytest.mark.slow
def test_what_is_not_what_was_written_never_reaches_the_mirror(
    mirror: Open,
    version: Path,
    files,
    tmp_path: Path,
    s3: str,
    spoil: Callable[[bytes], bytes],
):
    mirror("one").write(version.name, files, who="ada@host", checkout=UNTRACED)
    path, fs = f"bucket/churn/versions/{version.name}.zip", s3fs.S3FileSystem()
    good = fs.cat_file(path)
    fs.pipe_file(path, spoil(good))

    registry = mirror("two")
    with pytest.raises(TamperedArtifactError, match=f"^{s3}: {version.name}[/:]"):
        registry.load(version.name)
    left = {each.name for each in registry.folder.iterdir()} - {
        "events",
        f".{version.name}.lock",
    }
    fs.pipe_file(path, good)

    assert left == set()
    assert not list(tmp_path.rglob("escaped"))
    assert registry.load(version.name).metadata.version == version.name


@pytest.mark.slow
def test_what_is_larger_than_any_version_is_not_downloaded(
    mirror: Open, version: Path, files, monkeypatch: pytest.MonkeyPatch
):
    mirror("one").write(version.name, files, who="ada@host", checkout=UNTRACED)
    registry = mirror("two")
    monkeypatch.setattr(Store, "find", lambda *_: Found(LARGEST_ARCHIVE + 1, "tag"))
    monkeypatch.setattr(
        Store, "download", lambda *_, **__: pytest.fail("it was downloaded")
    )

    with pytest.raises(
        TamperedArtifactError, match=f"{version.name}: takes 4,294,967,296 bytes"
    ):
        registry.load(version.name)


def as_json(event: Event, **fields: object) -> bytes:
    return event.model_copy(update=fields).model_dump_json().encode()


@pytest.mark.fault
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda event: as_json(event, time="yesterday"), "00000002.json: is no event"),
        (
            lambda event: as_json(event, time="2999-01-01T00:00:00Z"),
            "00000002.json: was written at 2999",
        ),
        (
            lambda event: as_json(event, reason="x" * LARGEST_EVENT),
            "00000002.json: holds 1,0",
        ),
        (lambda _: b"", "00000002.json: holds 0 bytes"),
    ],
    ids=["no time", "the future", "too large", "empty"],
)
@pytest.mark.slow
def test_a_damaged_event_in_the_store_is_named_changes_nothing_and_heals(
    mirror: Open, spoil: Callable[[Event], bytes], said: str
):
    registry, other = mirror("one"), mirror("two")
    first = registry.record(promote("0.1.0-00000001"), [])
    other.events()
    second = registry.record(promote("0.1.0-00000002"), [first])
    fs, path = s3fs.S3FileSystem(), "bucket/churn/events/00000002.json"
    good = fs.cat_file(path)
    fs.pipe_file(path, spoil(second))

    meanwhile, stale = other.events(), other.stale
    with pytest.raises(StoreError, match=said):
        mirror("three").events()
    fs.pipe_file(path, good)

    assert (meanwhile, said in stale) == ([first], True)
    assert (other.events(), other.stale) == ([first, second], None)


@pytest.mark.fault
@pytest.mark.slow
def test_an_event_that_is_damaged_in_the_mirror_is_brought_again(mirror: Open):
    registry = mirror("one")
    event = registry.record(promote(ABSENT), [])
    (registry.folder / "events/00000001.json").write_text("{")

    assert (registry.events(), registry.stale) == ([event], None)


@pytest.mark.slow
def test_several_processes_that_share_a_mirror_download_once(
    mirror: Open, version: Path, files, monkeypatch: pytest.MonkeyPatch
):
    mirror("one").write(version.name, files, who="ada@host", checkout=UNTRACED)
    sharing, downloads, download = (
        [mirror("shared") for _ in range(4)],
        [],
        Store.download,
    )

    def counting(
        store: Store, name: str, *arguments: object, **options: object
    ) -> None:
        downloads.append(name)
        download(store, name, *arguments, **options)

    monkeypatch.setattr(Store, "download", counting)
    with ThreadPoolExecutor(4) as pool:
        found = set(
            pool.map(
                lambda registry: registry.load(version.name).metadata.version, sharing
            )
        )

    assert found == {version.name}
    assert len(downloads) == 1


@pytest.mark.slow
def test_each_store_has_a_mirror_of_its_own(
    s3: str, tmp_path: Path, version: Path, files
):
    first, other = (
        open_registry(RegistryConfig(path=url, cache="cache"), tmp_path)
        for url in (s3, "s3://bucket/other")
    )

    first.write(version.name, files, who="ada@host", checkout=UNTRACED)

    assert (other.versions(), other.events()) == ([], [])
    assert first.folder != other.folder


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_no_empty_registry(s3: str, tmp_path: Path):
    registry = open_registry(
        RegistryConfig(path=s3.replace("bucket", "bukcet"), cache="cache"), tmp_path
    )

    with pytest.raises(StoreError, match="is the URL right"):
        registry.state()


@pytest.mark.fault
@pytest.mark.slow
def test_an_error_page_in_an_events_place_does_not_stay_in_the_mirror(mirror: Open):
    decided = Decided(
        kind="promote", version="0.1.0-00000001", alias="staging", who="ada@host"
    )
    first = mirror("one").record(decided, [])
    registry = mirror("two")
    registry.events()
    second = mirror("one").record(decided, [first])
    fs, path = s3fs.S3FileSystem(), "bucket/churn/events/00000002.json"
    good = fs.cat_file(path)
    fs.pipe_file(path, b"<html>Please log in</html>")

    meanwhile, stale = registry.events(), registry.stale
    fs.pipe_file(path, good)
    after = registry.events()

    assert (meanwhile, after) == ([first], [first, second])
    assert (stale is None, registry.stale) == (False, None)


@pytest.mark.slow
def test_a_store_that_lists_less_than_it_had_is_not_believed(mirror: Open):
    decided = Decided(
        kind="promote", version="0.1.0-00000001", alias="staging", who="ada@host"
    )
    registry = mirror("one")
    event = registry.record(decided, [])
    s3fs.S3FileSystem().rm("bucket/churn/events/00000001.json")

    events = registry.events()

    assert events == [event]
    assert "lists fewer events than it had" in registry.stale


@pytest.mark.fault
@pytest.mark.slow
def test_a_damaged_mirror_is_brought_again(mirror: Open, version: Path, files):
    registry = mirror("one")
    registry.write(version.name, files, who="ada@host", checkout=UNTRACED)
    registry.load(version.name)
    damaged = registry.folder / version.name / ONNX
    damaged.write_bytes(b"")

    registry.load(version.name)

    assert damaged.read_bytes() == files[ONNX]


@pytest.mark.fault
@pytest.mark.slow
def test_what_an_earlier_download_left_damaged_does_not_stand_in_the_way(
    mirror: Open, version: Path, files
):
    mirror("one").write(version.name, files, who="ada@host", checkout=UNTRACED)
    registry = mirror("two")
    registry.folder.mkdir(parents=True)
    (registry.folder / f".{version.name}.partial").write_bytes(b"x" * 1000)

    assert registry.load(version.name).metadata.version == version.name


@pytest.mark.fault
@pytest.mark.slow
def test_of_several_who_meet_a_damaged_mirror_one_mends_it(
    mirror: Open, version: Path, files
):
    mirror("one").write(version.name, files, who="ada@host", checkout=UNTRACED)
    sharing = [mirror("shared") for _ in range(4)]
    for _ in range(3):
        sharing[0].load(version.name)
        (sharing[0].folder / version.name / ONNX).write_bytes(b"")
        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(registry.load, version.name) for registry in sharing]
        names = {each.result().metadata.version for each in found}
        assert names == {version.name}


@pytest.mark.fault
@pytest.mark.slow
def test_with_the_store_down_nothing_that_the_mirror_holds_is_thrown_away(
    own: Path, store: subprocess.Popen, run: Run, monkeypatch: pytest.MonkeyPatch
):
    run(own, "registry", "verify")
    key = Ed25519PrivateKey.generate().public_key()
    monkeypatch.setenv(
        "CHURN_PUBLIC_KEY",
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )
    store.kill()
    store.wait()
    listed = run(own, "registry", "list")
    monkeypatch.delenv("CHURN_PUBLIC_KEY")

    after = run(own, "registry", "show")

    assert (listed.returncode, "it is not signed" in listed.stdout) == (0, True)
    assert after.returncode == 0, after.stderr


@pytest.mark.fault
@pytest.mark.slow
def test_a_rollback_does_not_pass_over_what_could_only_not_be_asked_for(
    own: Path, run: Run, mirror: Open, version: Path, monkeypatch: pytest.MonkeyPatch
):
    registry = mirror("other-machine")
    for name in (ABSENT, version.name):
        registry.record(promote(name), registry.events())

    def fail(*_: object) -> Found:
        msg = "the store is away"
        raise StoreError(msg)

    run(own, "registry", "verify")
    monkeypatch.setattr(Store, "find", fail)

    done = run(own, "registry", "rollback")

    assert (done.returncode, "the store is away" in done.stderr) == (1, True)


@pytest.mark.slow
def test_a_version_that_is_refused_is_not_downloaded_again_until_it_is_another(
    mirror: Open, version: Path, files, monkeypatch: pytest.MonkeyPatch
):
    mirror("one").write(version.name, files, who="ada@host", checkout=UNTRACED)
    fs, path = s3fs.S3FileSystem(), f"bucket/churn/versions/{version.name}.zip"
    registry, downloads = mirror("two"), list[str]()
    good, download = fs.cat_file(path), Store.download
    monkeypatch.setattr(
        Store, "download", lambda *a, **o: (downloads.append(a[1]), download(*a, **o))
    )
    fs.pipe_file(path, damaged(good))

    for _ in range(3):
        with pytest.raises(TamperedArtifactError):
            registry.load(version.name)
    refused = len(downloads)
    fs.pipe_file(path, good)
    registry.load(version.name)

    assert (refused, len(downloads)) == (1, 2)


@pytest.mark.slow
def test_with_a_public_key_nothing_unsigned_reaches_the_mirror(
    s3: str, tmp_path: Path, version: Path, files
):
    ours, theirs = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    config = RegistryConfig(path=s3, cache="cache")
    unsigned = open_registry(config, tmp_path / "one")
    unsigned.write(version.name, files, who="ada@host", checkout=UNTRACED)
    asking = open_registry(config, tmp_path / "two", public_key=ours.public_key())

    with pytest.raises(SignatureError, match="it is not signed"):
        asking.load(version.name)
    with pytest.raises(ConfigError, match="signed when it is trained"):
        unsigned.sign(version.name, ours)
    left = Registry(asking.folder).versions()
    s3fs.S3FileSystem().rm(f"bucket/churn/versions/{version.name}.zip")
    open_registry(config, tmp_path / "three").write(
        version.name, files, who="a", checkout=UNTRACED, key=ours
    )

    assert left == []
    assert asking.load(version.name).metadata.version == version.name
    with pytest.raises(SignatureError, match="not by this key"):
        open_registry(config, tmp_path / "four").write(
            version.name, files, who="a", checkout=UNTRACED, key=theirs
        )


@pytest.mark.fault
@pytest.mark.slow
def test_a_store_that_sends_nothing_is_asked_once(
    mirror: Open, version: Path, files, monkeypatch
):
    mirror("one").write(version.name, files, who="ada@host", checkout=UNTRACED)
    registry, asked = mirror("two"), []
    network = registry._store._files  # noqa: SLF001 - it fails
    monkeypatch.setattr(network, "cat_file", lambda *_, **__: asked.append(1) or b"")

    with pytest.raises(StoreError):
        registry.load(version.name)

    assert len(asked) == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    "words", [("list",), ("verify",), ("show",), ("history",)], ids=" ".join
)
@pytest.mark.slow
def test_while_the_store_is_down_what_is_known_can_be_looked_at(
    own: Path, store: subprocess.Popen, run: Run, words: tuple[str, ...]
):
    run(own, "registry", "verify")
    store.kill()
    store.wait()

    done = run(own, "registry", *words)
    decided = run(own, "registry", "rollback")

    assert done.returncode == (3 if words == ("verify",) else 0), done.stderr
    assert ("What is shown is the local copy in " in done.stderr) == (
        words == ("list",)
    )
    assert (decided.returncode, "Nothing was recorded" in decided.stderr) == (1, True)
    assert "Traceback" not in done.stderr + decided.stderr


@pytest.mark.slow
def test_what_was_recorded_is_reported_as_such_though_the_store_fails_right_after(
    mirror: Open, monkeypatch
):
    registry = mirror("one")
    decided = Decided(
        kind="promote", version="0.1.0-00000001", alias="staging", who="ada@host"
    )

    def fail(*_: object, **__: object) -> list[str]:
        raise ConnectionError

    with monkeypatch.context() as patch:
        network = registry._store._files  # noqa: SLF001 - it fails
        patch.setattr(network, "ls", fail)
        event = registry.record(decided, [])

    assert event.number == 1
    assert mirror("two").state().holder("staging") == decided.version


@pytest.mark.slow
def test_an_unknown_version_is_named(mirror: Open):
    with pytest.raises(ArtifactNotFoundError, match=ABSENT):
        mirror().load(ABSENT)


def test_a_store_that_cannot_create_exclusively_is_only_read(
    tmp_path: Path, version: Path, files
):
    registry = open_registry(
        RegistryConfig(path="memory://churn", cache="mirror"), tmp_path
    )

    with pytest.raises(ConfigError, match="only read"):
        registry.write(version.name, files, who="ada@host", checkout=UNTRACED)

    assert registry.events() == []


@pytest.mark.slow
def test_a_store_that_ignores_the_condition_of_a_write_is_found_out_at_the_first_event(
    mirror: Open, monkeypatch: pytest.MonkeyPatch
):
    registry = mirror("one")
    files = registry._store._files  # noqa: SLF001 - a server that ignores a header
    write = files.pipe_file
    monkeypatch.setattr(files, "pipe_file", lambda path, data, **_: write(path, data))

    with pytest.raises(
        ConfigError, match=r"If-None-Match.*events/00000001\.json was written"
    ):
        registry.record(promote(ABSENT), [])


@pytest.mark.slow
def test_whether_a_store_heeds_the_condition_is_tried_once(
    mirror: Open, monkeypatch: pytest.MonkeyPatch
):
    registry, created, create = mirror("one"), list[str](), Store.create
    monkeypatch.setattr(
        Store, "create", lambda *words: (created.append(words[1]), create(*words))
    )

    for _ in range(3):
        registry.record(promote(ABSENT), registry.events())

    assert created == [f"events/0000000{number}.json" for number in (1, 1, 2, 3)]


def test_a_url_of_no_store_is_a_configuration_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="nonsense://"):
        open_registry(RegistryConfig(path="nonsense://churn", cache="mirror"), tmp_path)


@pytest.mark.slow
def test_a_service_follows_the_store_and_answers_on_when_it_is_gone(
    store: subprocess.Popen,
    s3: str,
    mirror: Open,
    trained: Path,
    tmp_path: Path,
    version: Path,
    files,
):
    own = Path(
        shutil.copytree(
            trained,
            tmp_path / "own",
            ignore=shutil.ignore_patterns("models", "predictions"),
        )
    )
    configure(own, "serving", poll_seconds=0.2, rate_limit_per_minute=10**6)
    configure(own, "registry", path=s3)
    registry = mirror()
    registry.write(version.name, files, who="ada@host", checkout=UNTRACED)

    with serving(own) as (url, _):
        before = ask(f"{url}/ready")
        registry.record(promote(version.name), registry.events())
        store.kill()
        store.wait(20)
        until(
            lambda: counted(metrics(url), "registry_unreachable_total") > 0,
            "it is counted",
            seconds=60,
        )
        during = ask(f"{url}/ready")
    with serving(own) as (url, _):
        after = ask(f"{url}/ready")
    shutil.rmtree(own / "models-cache")
    words = [sys.executable, "-m", "churn_service", "serve", "--port", str(free_port())]
    empty = subprocess.run(
        words, cwd=own, capture_output=True, text=True, check=False, timeout=120
    )

    assert before == during == after
    assert before["model_version"] == version.name
    assert (empty.returncode, "is the URL right" in empty.stderr) == (1, True)


def metrics(url: str) -> str:
    with urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
        return answer.read().decode()
