"""Projects made of this one, in folders of their own.

They have the environment of whoever runs the tests.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from git_status import list_files

from conftest import ROOT

# Their kernels take most of the time of the owner's tests.
WITHOUT_NOTEBOOKS = [
    "--ignore=tests/test_notebooks.py",
    "--ignore=tests/test_notebook_service.py",
    "--ignore=tests/test_notebook_production.py",
]
GIT = ["git", "-c", "user.name=Owner", "-c", "user.email=owner@example.org"]


def copy_project(folder: Path) -> Path:
    """Copy what a clone has, and what is not committed yet."""
    for name in list_files(ROOT):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def commit(folder: Path, tag: str = "") -> None:
    """Commit all there is."""
    if not (folder / ".git").exists():
        subprocess.run(
            [*GIT, "init", "--quiet", "--initial-branch=main"], cwd=folder, check=True
        )
    subprocess.run([*GIT, "add", "--all"], cwd=folder, check=True)
    subprocess.run(
        [*GIT, "commit", "--quiet", "--allow-empty", "--message=all"],
        cwd=folder,
        check=True,
    )
    if tag:
        subprocess.run([*GIT, "tag", tag], cwd=folder, check=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file but git's."""
    paths = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {
        str(path.relative_to(folder)): os.fsencode(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in paths
        if ".git" not in path.relative_to(folder).parts
    }


def _link_programs(folder: Path, programs: Path, ours: Path) -> None:
    """Offer our programs, and the project's own command."""
    if programs.exists():
        return
    programs.mkdir(parents=True)
    for path in ours.iterdir():
        (programs / path.name).symlink_to(path)
    name = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"]
    command = programs / name
    command.unlink(missing_ok=True)
    package = name.replace("-", "_")
    command.write_text(
        f"#!{programs / 'python'}\nfrom {package}.__main__ import main\nmain()\n"
    )
    command.chmod(0o755)


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment of a program that runs a project in a folder.

    It inherits ours, but for what measures or steers our own run.
    """
    ours = os.environ.items()  # noqa: TID251 - the child inherits it
    kept = {
        name: value for name, value in ours if not name.startswith(("COV", "PYTEST_"))
    }
    sources = f"{folder / 'src'}:{folder / 'engine/src'}"
    return {**kept, "PYTHONPATH": sources, "OMP_NUM_THREADS": "1"}


def bring_mypy_cache(folder: Path) -> None:
    """Give mypy what is known of the libraries; it trusts files by their hash."""
    known = ROOT / ".mypy_cache"
    if known.is_dir() and not (folder / ".mypy_cache").exists():
        shutil.copytree(known, folder / ".mypy_cache")


def make(
    folder: Path, target: str, *, notebooks: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a make target in a project; tests leave its notebooks out if told to.

    The project takes this environment for its own, with itself installed.
    """
    environment, ours = folder / ".venv", Path(sys.prefix)
    packages = Path(sysconfig.get_path("purelib"))
    ours_too = environment / packages.relative_to(ours)
    ours_too.mkdir(parents=True, exist_ok=True)
    (ours_too / "made.pth").write_text(
        f"{folder / 'src'}\n{folder / 'engine/src'}\n"
        f"import site; site.addsitedir({str(packages)!r})\n"
    )
    shutil.copy(ours / "pyvenv.cfg", environment)
    if not (environment / "share").exists():
        (environment / "share").symlink_to(ours / "share")
    _link_programs(folder, environment / "bin", ours / "bin")
    for mark in (".locked", ".installed"):
        (environment / mark).touch()
    bring_mypy_cache(folder)
    # Two suites share the machine now, so its own tests run in one process.
    variables = environment_of(folder) | {"PYTEST_XDIST_AUTO_NUM_WORKERS": "0"}
    if not notebooks:
        variables["PYTEST_ADDOPTS"] = " ".join(WITHOUT_NOTEBOOKS)
    words = ["make", target]
    return subprocess.run(
        words, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
