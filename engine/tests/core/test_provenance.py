"""The engine's hash is that of its source, wherever it is installed from."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from conftest import ROOT
from skewless.core import provenance as module
from skewless.core.provenance import LIBRARIES, engine_sha256, provenance

SOURCE = ROOT / "engine/src/skewless"


def test_a_wheel_has_the_hash_of_the_clone(tmp_path: Path):
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(tmp_path),
    ]
    subprocess.run(build, cwd=ROOT / "engine", check=True, capture_output=True)
    (wheel,) = tmp_path.glob("skewless-*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")

    assert (
        engine_sha256(tmp_path / "installed/skewless")
        == engine_sha256(SOURCE)
        == engine_sha256()
    )


def test_a_changed_a_renamed_and_an_added_file_each_have_another_hash(tmp_path: Path):
    copies = [
        Path(shutil.copytree(SOURCE, tmp_path / name))
        for name in ("changed", "renamed", "added")
    ]
    with (copies[0] / "core/errors.py").open("a") as file:
        file.write("# more\n")
    (copies[1] / "core/errors.py").rename(copies[1] / "core/faults.py")
    (copies[2] / "core/more.py").write_text("")

    assert len({engine_sha256(), *map(engine_sha256, copies)}) == 4


def test_line_ends_and_what_python_made_of_the_source_change_no_hash(tmp_path: Path):
    copy = Path(shutil.copytree(SOURCE, tmp_path / "copy"))
    path = copy / "core/errors.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (copy / "core/__pycache__").mkdir(exist_ok=True)
    (copy / "core/__pycache__/own.cpython-311.pyc").write_bytes(b"")

    assert engine_sha256(copy) == engine_sha256()


@pytest.mark.parametrize("installed", [(), ("xgboost-cpu",), ("lightgbm", "xgboost")])
def test_of_the_extras_libraries_those_that_are_installed_are_recorded(
    monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...]
):
    def look_up(name: str) -> str:
        if name not in {*LIBRARIES, *installed}:
            raise PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(module, "library_version", look_up)

    assert provenance()["libraries"] == dict.fromkeys((*LIBRARIES, *installed), "1.2.3")
