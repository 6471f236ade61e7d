"""A version is written whole or not at all, and refused when it is touched.

The same inputs give the same version.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from conftest import make_project, write_manifest
from own import PROJECT
from skewless.core.errors import (
    ArtifactNotFoundError,
    TamperedArtifactError,
    UnsafeModelError,
    VersionExistsError,
)
from skewless.core.sections import ServingConfig
from skewless.models.artifact import FILES, MANIFEST, METADATA, ONNX, read_artifact
from skewless.models.packaging import write_artifact
from skewless.models.predict import open_predictor

ALL_FILES = sorted(FILES | {MANIFEST})
EMPTY = {name: name.encode() for name in FILES}


@pytest.mark.parametrize("name", ALL_FILES)
@pytest.mark.parametrize("position", [0, 0.3, 0.6, 1])
@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_one_flipped_bit_is_refused_and_the_file_named(
    own_version: Path, name: str, position: float, bit: int
):
    data = bytearray((own_version / name).read_bytes())
    data[round(position * (len(data) - 1))] ^= bit
    (own_version / name).write_bytes(data)

    with pytest.raises(TamperedArtifactError, match=name):
        read_artifact(own_version)


@pytest.mark.parametrize("name", ALL_FILES)
@pytest.mark.parametrize("kept", [0, 0.5, 1])
def test_a_truncated_file_is_refused_and_named(
    own_version: Path, name: str, kept: float
):
    whole = (own_version / name).read_bytes()
    (own_version / name).write_bytes(whole[: int(kept * (len(whole) - 1))])

    with pytest.raises(TamperedArtifactError, match=name):
        read_artifact(own_version)


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_missing_file_is_refused_and_named(own_version: Path, name: str):
    (own_version / name).unlink()

    with pytest.raises(TamperedArtifactError, match=f"{name}: it is missing"):
        read_artifact(own_version)


def test_an_extra_file_is_refused_and_named(own_version: Path):
    (own_version / "weights.bin").write_bytes(b"")

    with pytest.raises(
        TamperedArtifactError, match=r"weights\.bin: it is not part of a version"
    ):
        read_artifact(own_version)


@pytest.mark.parametrize("name", sorted(FILES))
def test_two_swapped_files_are_refused(own_version: Path, name: str):
    other = next(other for other in sorted(FILES) if other != name)
    first, second = (
        (own_version / name).read_bytes(),
        (own_version / other).read_bytes(),
    )
    (own_version / name).write_bytes(second)
    (own_version / other).write_bytes(first)

    with pytest.raises(TamperedArtifactError):
        read_artifact(own_version)


def test_a_model_from_elsewhere_is_refused_even_if_the_hashes_agree(own_version: Path):
    (own_version / ONNX).write_bytes((own_version / ONNX).read_bytes() + b"\x12\x00")
    write_manifest(own_version)

    with pytest.raises(
        TamperedArtifactError,
        match=r"model\.onnx: it is not the model that metadata\.json",
    ):
        read_artifact(own_version)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"threshold": 0.', '"threshold": 0.9'),
        ('"description": "', '"description": "not '),
    ],
)
def test_a_changed_decision_or_contract_is_refused_even_if_the_hashes_agree(
    own_version: Path, old: str, new: str
):
    metadata = (own_version / METADATA).read_text()
    assert old in metadata
    (own_version / METADATA).write_text(metadata.replace(old, new, 1))
    write_manifest(own_version)

    with pytest.raises(
        TamperedArtifactError, match=r"metadata\.json: its content does not belong"
    ):
        read_artifact(own_version)


def test_metadata_that_describe_no_version_are_refused(own_version: Path):
    (own_version / METADATA).write_text("{}")
    write_manifest(own_version)

    with pytest.raises(
        TamperedArtifactError, match=r"metadata\.json: it has \d+ faults"
    ):
        read_artifact(own_version)


@pytest.mark.posix
@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")]
)
def test_what_is_no_plain_file_is_refused_and_named(
    own_version: Path, make: Callable[[Path], None]
):
    (own_version / ONNX).unlink()
    make(own_version / ONNX)

    with pytest.raises(
        TamperedArtifactError, match=r"model\.onnx: it must be a plain file"
    ):
        read_artifact(own_version)


def test_a_version_that_is_not_there_is_not_found(tmp_path: Path):
    with pytest.raises(ArtifactNotFoundError, match="registry list"):
        read_artifact(tmp_path / "0.1.0-00000000")


def test_a_pickle_is_not_loaded_unless_allowed(version: Path):
    with pytest.raises(UnsafeModelError, match="pickle"):
        open_predictor(
            read_artifact(version), PROJECT, ServingConfig(runtime="scikit-learn")
        )


@pytest.mark.posix
@pytest.mark.needs("sha256sum")
def test_sha256sum_accepts_the_manifest(version: Path):
    done = subprocess.run(
        ["sha256sum", "-c", MANIFEST],
        cwd=version,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.count(": OK")) == (0, len(FILES))


def test_a_version_is_made_of_exactly_its_files(tmp_path: Path):
    with pytest.raises(ValueError, match=r"a version consists of .*card\.md"):
        write_artifact(tmp_path, "0.1.0-00000000", EMPTY | {"extra": b""})


def test_a_version_that_exists_is_not_touched(tmp_path: Path):
    folder = write_artifact(tmp_path, "0.1.0-00000000", EMPTY)
    before = {path: path.read_bytes() for path in folder.iterdir()}

    with pytest.raises(VersionExistsError):
        write_artifact(tmp_path, "0.1.0-00000000", dict.fromkeys(FILES, b"other"))

    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]


CRASH = """
import os, sys
from collections.abc import Callable
from pathlib import Path
from skewless.core.sections import ServingConfig
from skewless.models.artifact import FILES
from skewless.models.packaging import write_artifact
steps = int(sys.argv[2])
def dying(call):
    def wrapped(*args, **kwargs):
        global steps
        if steps == 0:
            os._exit(9)
        steps -= 1
        return call(*args, **kwargs)
    return wrapped
for module, name in ((os, "fsync"), (os, "mkdir"), (os, "rename"), (os, "open")):
    setattr(module, name, dying(getattr(module, name)))
Path.open, Path.rename, Path.chmod = map(dying, (Path.open, Path.rename, Path.chmod))
write_artifact(Path(sys.argv[1]), "0.1.0-00000000", \
{name: name.encode() for name in FILES})
"""


@pytest.mark.slow
def test_a_crash_at_any_step_leaves_no_version_or_a_whole_one(tmp_path: Path):
    outcomes = []
    for step in range(60):
        root = tmp_path / str(step)
        done = subprocess.run(
            [sys.executable, "-c", CRASH, root, str(step)], check=False
        )
        folder = root / "0.1.0-00000000"
        if folder.exists():
            assert {path.name for path in folder.iterdir()} == {*FILES, MANIFEST}
            assert all((folder / name).read_bytes() == name.encode() for name in FILES)
        outcomes.append((done.returncode, folder.exists()))
        if done.returncode == 0:
            break

    assert outcomes[0] == (9, False)
    assert (9, True) in outcomes  # after the rename, before the folder was flushed
    assert outcomes[-1] == (0, True)


@pytest.mark.slow
def test_the_same_inputs_give_the_same_version_in_another_folder_and_process(
    trained: Path, version: Path, tmp_path: Path
):
    again = make_project(tmp_path / "elsewhere")
    shutil.copytree(trained / "data", again / "data")

    subprocess.run(
        [sys.executable, "-W", "error", "-m", "churn_service", "train"],
        cwd=again,
        env=os.environ | {"OMP_NUM_THREADS": "3"},  # noqa: TID251 - for the child
        check=True,
    )

    (folder,) = (again / "models").glob("*-*")
    assert folder.name == version.name
    assert (folder / ONNX).read_bytes() == (version / ONNX).read_bytes()


@pytest.mark.slow
def test_training_again_verifies_the_version_and_keeps_it(
    trained: Path, tmp_path: Path, run
):
    again = Path(shutil.copytree(trained, tmp_path / "again"))
    (folder,) = (again / "models").glob("*-*")
    before = (folder / METADATA).read_bytes()

    kept = run(again, "train")
    (folder / "card.md").write_text("other")
    damaged = run(again, "train")

    assert (kept.returncode, "verified and kept" in kept.stdout) == (0, True)
    assert (damaged.returncode, "card.md" in damaged.stderr) == (3, True)
    assert (folder / METADATA).read_bytes() == before


@pytest.mark.parametrize(
    "changed", ["data.holdout_salt", "decision.threshold", "model.max_iter"]
)
@pytest.mark.slow
def test_another_input_gives_another_version(
    trained: Path, tmp_path: Path, changed: str, run
):
    import yaml

    other = Path(shutil.copytree(trained, tmp_path / "other"))
    document = yaml.safe_load((other / "config.yaml").read_text())
    section, key = changed.split(".")
    document[section][key] = {
        "holdout_salt": "other",
        "threshold": 0.45,
        "max_iter": 41,
    }[key]
    (other / "config.yaml").write_text(yaml.safe_dump(document))

    done = run(other, "train")

    assert done.returncode == 0, done.stderr
    assert len(list((other / "models").glob("*-*"))) == 2


@pytest.mark.slow
def test_the_version_trained_last_answers_also_when_it_is_an_old_one(
    trained: Path, tmp_path: Path, run
):
    other = Path(shutil.copytree(trained, tmp_path / "other"))
    config = (other / "config.yaml").read_text()
    first = run(other, "registry", "show", "--json").stdout
    (other / "config.yaml").write_text(config.replace("max_iter: 40", "max_iter: 41"))
    run(other, "train")
    second = run(other, "registry", "show", "--json").stdout
    (other / "config.yaml").write_text(config)

    run(other, "train")

    assert json.loads(second)["version"] != json.loads(first)["version"]
    assert run(other, "registry", "show", "--json").stdout == first


def test_no_customers_record_is_in_a_version(trained: Path, version: Path):
    ids = (
        pd.read_csv(trained / "data/table.csv", dtype="str")
        .iloc[:, 0]
        .str.encode("utf-8")
    )

    content = b"".join((version / name).read_bytes() for name in ALL_FILES)

    assert not [name for name in ids if name in content]
