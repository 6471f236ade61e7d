"""The engine comes by path or as a wheel, never from an index.

The project needs no engine/ beside it.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import ROOT
from made import copy_project

FOREIGN = "skewless-99.0.0-py3-none-any.whl"


def build(source: Path, folder: Path) -> Path:
    """Build a wheel of a source tree."""
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(folder),
    ]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def offer_foreign(folder: Path) -> Path:
    """Write a newer package of the engine's name.

    Somebody who takes that name on an index could do so.
    """
    folder.mkdir()
    metadata = "skewless-99.0.0.dist-info"
    with zipfile.ZipFile(folder / FOREIGN, "w") as wheel:
        wheel.writestr("skewless/__init__.py", "raise ImportError('foreign')\n")
        wheel.writestr(
            f"{metadata}/METADATA",
            "Metadata-Version: 2.1\nName: skewless\nVersion: 99.0.0\n",
        )
        wheel.writestr(
            f"{metadata}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{metadata}/RECORD", "")
    return folder


def install(folder: Path, *words: object, links: Path | None = None) -> None:
    """Install into a folder what is named, and nothing that it needs."""
    offered = {"UV_FIND_LINKS": str(links)} if links else {}
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--target",
        str(folder),
    ]
    environment = {**os.environ, **offered}  # noqa: TID251 - the child inherits ours
    done = subprocess.run(
        [*command, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def run(folder: Path, packages: Path, *words: str) -> str:
    """Run Python in a folder, with the packages of another before its own."""
    environment = {
        **os.environ,  # noqa: TID251 - see above
        "PYTHONPATH": str(packages),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_recipe_of_make_takes_the_engine_of_the_clone_whatever_an_index_offers(
    tmp_path: Path,
):
    recipe = (ROOT / "Makefile").read_text()
    assert (
        "uv pip install --quiet --python $(BIN)/python "
        "--no-deps --no-build-isolation -e engine -e .\n" in recipe
    )
    links = offer_foreign(tmp_path / "index")

    words = ["--no-deps", "--no-build-isolation", ROOT / "engine", ROOT]
    install(tmp_path / "packages", *words, links=links)

    said = run(
        tmp_path,
        tmp_path / "packages",
        "-c",
        "import skewless; print(skewless.__file__)",
    )
    assert said.startswith(str(tmp_path / "packages"))
    assert [path.name for path in (tmp_path / "packages").glob("skewless-*")] == [
        "skewless-0.1.0.dist-info"
    ]


def test_no_lock_and_no_declared_dependency_names_the_engine():
    for path in [*ROOT.glob("requirements*.lock")]:
        assert not any(
            line.startswith("skewless") for line in path.read_text().splitlines()
        ), path


@pytest.mark.slow
def test_the_project_works_with_wheels_and_without_the_engines_folder(tmp_path: Path):
    wheels = [
        build(ROOT / "engine", tmp_path / "engine"),
        build(ROOT, tmp_path / "project"),
    ]
    install(tmp_path / "packages", "--no-deps", *wheels)
    clone = copy_project(tmp_path / "clone")
    for name in ("engine", "src"):
        shutil.rmtree(clone / name)

    for name in ("skewless", "churn_service"):
        where = run(
            clone, tmp_path / "packages", "-c", f"import {name}; print({name}.__file__)"
        )
        assert where.startswith(str(tmp_path / "packages"))
    run(
        clone,
        tmp_path / "packages",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests",
    )
