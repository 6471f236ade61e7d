"""Build the wheels of the engine and of the project, and use them without the source.

A new environment gets the lock, those of extras that are named, and both wheels; in a
folder that holds config.yaml and the lock, the command samples a table, trains and
scores.

Usage: python scripts/wheels.py [requirements-boosters.lock …]
    (leaves the wheels in dist/wheels; fails if they do not work)
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from churn_service.project import project

ROOT: Final = Path(__file__).resolve().parents[1]
WHEELS: Final = ROOT / "dist" / "wheels"
# A registry and a table of its own, wherever the project's are.
MAKE_PROJECT: Final = """
import sys
from pathlib import Path
from skewless.testing import make_project
make_project(Path(sys.argv[1]), Path.cwd(), registry={"path": "models"})
"""
SHOW_PLACES: Final = """
import churn_service, skewless
print(churn_service.__file__, skewless.__file__, sep="\\n")
"""


def build(source: Path, folder: Path) -> Path:
    """Build a wheel of a source tree into a folder; return the wheel."""
    already = set(folder.glob("*.whl"))
    run(source, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (wheel,) = set(folder.glob("*.whl")) - already
    return wheel


def install(environment: Path, wheels: list[Path], extras: list[str]) -> Path:
    """Make an environment of the locks and the wheels; return its Python."""
    lock = ROOT / "requirements-dev.lock"
    installer = ROOT / "scripts" / "install.py"
    run(ROOT, sys.executable, installer, "--into", environment, "--lock", lock)
    python = environment / "bin" / "python"
    for name in extras:
        words = ("--into", environment, "--add", "--lock", ROOT / name)
        run(ROOT, python, installer, *words)
    command = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps")
    run(ROOT, *command, "--python", python, *wheels)
    return python


def use(python: Path, folder: Path) -> None:
    """Sample, train and score in a folder, by what is installed."""
    run(folder, python, "-c", MAKE_PROJECT, ROOT)
    for place in run(folder, python, "-c", SHOW_PLACES).split():
        if python.parents[1] not in Path(place).parents:
            sys.exit(f"wheels: {place} was imported, which is no installed wheel")
    for command in ("sample", "train", "score"):
        print(run(folder, python, "-m", "churn_service", command), end="")


def run(folder: Path, *words: object) -> str:
    """Run a command in a folder and return what it printed; if it fails, so do we."""
    command = [str(word) for word in words]
    ours = os.environ.items()  # noqa: TID251 - the child inherits the rest
    known = {name: value for name, value in ours if not name.startswith(project.prefix)}
    done = subprocess.run(  # noqa: S603 - our own
        command,
        cwd=folder,
        env=known,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"wheels: `{' '.join(command)}` failed, see above\n{done.stdout}")
    return done.stdout


def main() -> None:
    """Build, install, use."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    wheels = [build(source, WHEELS) for source in (ROOT / "engine", ROOT)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        folder.mkdir()
        use(install(Path(scratch) / "environment", wheels, sys.argv[1:]), folder)
    print(*(f"dist/wheels/{wheel.name}" for wheel in wheels), sep="\n")


if __name__ == "__main__":
    main()
