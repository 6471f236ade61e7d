"""The lock installs from nothing, with uv or pip, old or new.

It does so also when newer releases appear.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import install
import pytest

from conftest import ROOT, copy_makefiles

PINNED = re.compile(
    r"(?m)^([\w.-]+)(\[[\w,.-]+\])?==([^\s;\\]+)([^\\\n]*) \\\n"
    r"(?:    --hash=\S+(?: \\)?\n)+"
)
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
ENVIRONMENT = os.environ  # noqa: TID251 - of the programs that install, not ours
NEWER = "9999"
# Python 3.12 and its pip lie between the others.
OLDEST_PIP = {"3.11": "22.3", "3.13": "24.2", "3.14": "25.2"}
"""Python → the pip in the first release of that Python (CPython's Lib/ensurepip)."""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def make_wheel(
    folder: Path, name: str, version: str, needs: tuple[str, ...] = ()
) -> Path:
    """Write an empty wheel that says what it needs."""
    path = (
        folder
        / f"{name.replace('-', '_').replace('.', '_')}-{version}-py3-none-any.whl"
    )
    said = [f"Name: {name}", f"Version: {version}", *needs]
    about = f"{path.name.removesuffix('-py3-none-any.whl')}.dist-info"
    record = "".join(f"{about}/{each},,\n" for each in ("METADATA", "WHEEL", "RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(
            f"{about}/METADATA", "\n".join(["Metadata-Version: 2.1", *said, ""])
        )
        wheel.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{about}/RECORD", record)
    return path


def needs_of(name: str) -> tuple[str, ...]:
    """Say what an installed package requires.

    Nothing is known of packages that only other systems install.
    """
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ()
    headers = ("Requires-Dist", "Provides-Extra")
    return tuple(
        f"{header}: {each}"
        for header in headers
        for each in found.get_all(header) or ()
    )


def hashed(name: str, wheel: Path, rest: str = "") -> str:
    return (
        f"{name}{rest} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    )


def rehearse_index(lock: str, folder: Path) -> Path:
    """Make an index of empty wheels; return its lock.

    It has each locked release and a newer one.
    """
    index = folder / "index"
    index.mkdir()
    lines = []
    for name, extras, version, marker in PINNED.findall((ROOT / lock).read_text()):
        wheel = make_wheel(index, name, version, needs_of(name))
        make_wheel(index, name, NEWER)
        lines.append(hashed(f"{name}{extras}", wheel, f"=={version}{marker}"))
    copy = folder / lock
    copy.write_text("".join(lines))
    return copy


def find_python(version: str) -> str | None:
    """Find an interpreter that really starts: a version manager's stand-in may not."""
    pyenv = ENVIRONMENT.get("PYENV_ROOT", Path.home() / ".pyenv")
    there = [
        f"python{version}",
        *map(str, Path(pyenv).glob(f"versions/{version}.*/bin/python")),
    ]
    for each in there:
        path = shutil.which(each)
        asked = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = path and subprocess.run(
            [path, "-c", asked], capture_output=True, text=True, check=False
        )
        if done and done.stdout.strip() == version:
            return path
    return None


def clean(**more: str) -> dict[str, str]:
    """Return this environment without what it tells pip and uv."""
    kept = {
        name: value
        for name, value in ENVIRONMENT.items()
        if not name.startswith(("PIP_", "UV_"))
    }
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", **more}


def run_install(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts/install.py"), *map(str, words)]
    return subprocess.run(
        command, env=clean(**environment), capture_output=True, text=True, check=False
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a folder with one wheel and the lock that names it."""
    wheel = make_wheel(tmp_path, "small-thing", "1.0")
    (tmp_path / "small.lock").write_text(hashed("small-thing", wheel, "==1.0"))
    return tmp_path


def installed(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("**/small_thing-1.0.dist-info")}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_each_extra_that_a_locked_package_asks_for(lock: str):
    pinned = {
        plain(name): extras
        for name, extras, _, _ in PINNED.findall((ROOT / lock).read_text())
    }
    for name in pinned:
        for need in metadata.requires(name) or () if is_installed(name) else ():
            asked = re.match(r"([\w.-]+)\[([\w,.-]+)\]", need)
            if asked and "extra ==" not in need and plain(asked[1]) in pinned:
                for extra in asked[2].split(","):
                    assert plain(extra) in plain(pinned[plain(asked[1])]), (
                        f"{name} needs {need}"
                    )


def is_installed(name: str) -> bool:
    return bool(list(metadata.distributions(name=name)))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_a_hash_for_everything_and_no_address(lock: str):
    text = (ROOT / lock).read_text()
    assert len(PINNED.findall(text)) == len(re.findall(r"(?m)^[^\s#]", text)) > 0
    assert "://" not in text


def test_the_installer_is_the_uv_of_the_lock():
    found = {
        name: re.findall(r"(?m)^uv==(\S+)", (ROOT / name).read_text()) for name in LOCKS
    }
    assert found["requirements-uv.lock"] == found["requirements-dev.lock"] != []


def test_an_environment_that_is_a_link_is_refused_and_what_it_leads_to_stays(
    small: Path,
):
    precious = small / "elsewhere"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years")
    (small / ".venv").symlink_to(precious)
    done = run_install("--into", small / ".venv", "--lock", small / "small.lock")
    assert done.returncode == 1
    assert "is a link to" in done.stderr
    assert (precious / "thesis.txt").read_text() == "years"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_environment_is_not_emptied(small: Path, kind: str):
    place = small / ".venv"
    kept = place if kind == "file" else place / "notes.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    done = run_install("--into", place, "--lock", small / "small.lock")
    assert done.returncode == 1
    assert "Move it away" in done.stderr
    assert kept.read_text() == "mine"


@pytest.mark.slow
def test_where_pip_alone_is_told_of_a_mirror_pip_installs_and_says_so(small: Path):
    mirror = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(small)}
    done = run_install(
        "--into", small / ".venv", "--lock", small / "small.lock", **mirror
    )
    assert done.returncode == 0, done.stderr
    assert "pip is told to ask another index and uv is not" in done.stdout
    assert installed(small / ".venv")


@pytest.mark.slow
def test_where_uv_cannot_be_had_pip_installs_and_says_so(small: Path):
    mirror = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(small), "UV_NO_INDEX": "1"}
    done = run_install(
        "--into", small / ".venv", "--lock", small / "small.lock", **mirror
    )
    assert done.returncode == 0, done.stderr
    assert "uv could not install" in done.stdout
    assert installed(small / ".venv")


@pytest.mark.slow
def test_a_changed_file_is_installed_by_neither(small: Path):
    make_wheel(small, "small-thing", "1.0", ("Summary: not what was locked",))
    mirror = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(small)}
    done = run_install(
        "--into", small / ".venv", "--lock", small / "small.lock", **mirror
    )
    assert done.returncode == 1
    assert "small.lock could not be installed" in done.stderr
    assert not installed(small / ".venv")


def test_an_unknown_installer_is_refused_with_those_there_are(small: Path):
    done = run_install("--into", small / ".venv", INSTALLER="conda")
    assert done.returncode == 2
    assert "found 'conda'; allowed are auto, uv, pip" in done.stderr


def test_certificates_and_mirrors_are_read_from_what_pip_says_of_its_configuration():
    assert install.PIP_MIRROR.search("global.index-url='https://mirror.test/simple'")
    assert install.PIP_MIRROR.search(":env:.no-index='1'")
    assert not install.PIP_MIRROR.search(
        "global.extra-index-url='https://more.test'\nglobal.find-links='x'"
    )
    assert (
        install.PIP_CERTIFICATES.search("global.cert='/etc/ca.pem'")[1] == "/etc/ca.pem"
    )


INSTALL = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / "scripts")!r})
import install
install._make_environment(install.Wanted(Path(".venv"), \
Path("requirements-dev.lock"), bare=True))
(packages,) = Path(".venv/lib").glob("python*/site-packages")
(packages / "uv.py").touch()
"""  # what installs no package, so that only the environment itself is made


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Return a project whose environment `make install` has made."""
    (tmp_path / "engine").mkdir()
    for name in (
        "requirements-dev.lock",
        "requirements-uv.lock",
        "pyproject.toml",
        "engine/pyproject.toml",
    ):
        (tmp_path / name).touch()
    copy_makefiles(tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/install.py").write_text(INSTALL)
    assert works_after_make(tmp_path)
    return tmp_path


def make_install(folder: Path) -> str:
    words = ["make", "--no-print-directory", f"PYTHON={sys.executable}", "install"]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def works_after_make(folder: Path) -> bool:
    make_install(folder)
    return (
        subprocess.run(
            [folder / ".venv/bin/python", "-c", "import uv"], check=False
        ).returncode
        == 0
    )


def leave_only_the_marks(environment: Path) -> None:
    shutil.rmtree(environment)
    environment.mkdir()
    for name in (".locked", ".installed"):
        (environment / name).touch()


def remove_what_python_leads_to(environment: Path) -> None:
    for path in environment.glob("bin/python*"):
        path.unlink()
        path.symlink_to("/nowhere/python3")


BROKEN = {
    "no interpreter": lambda environment: (environment / "bin/python").unlink(),
    "an interpreter that was removed": remove_what_python_leads_to,
    "another Python": lambda environment: next(
        environment.glob("lib/python3.*")
    ).rename(environment / "lib/python3.0"),
    "nothing but the marks": leave_only_the_marks,
}


@pytest.mark.posix
@pytest.mark.needs("make")
@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN)
@pytest.mark.slow
def test_make_makes_an_environment_that_does_not_work_anew(
    made: Path, break_it: Callable[[Path], None]
):
    break_it(made / ".venv")

    assert works_after_make(made)


@pytest.mark.posix
@pytest.mark.needs("make")
def test_make_leaves_an_environment_that_works_as_it_is(made: Path):
    kept = made / ".venv/kept"
    kept.touch()

    assert "Nothing to be done" in make_install(made)
    assert kept.exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--bare"]])
def test_uv_installs_by_hash_and_stays_only_where_it_may(small: Path, words: list[str]):
    own_index = {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(small), "INSTALLER": "uv"}
    asked = ["--into", small / ".venv", "--lock", small / "small.lock", *words]
    done = run_install(*asked, **own_index)
    assert done.returncode == 0, done.stderr
    assert installed(small / ".venv")
    assert bool([*(small / ".venv").glob("**/site-packages/uv")]) is not bool(words)

    make_wheel(small, "small-thing", "1.0", ("Summary: not what was locked",))
    refused = run_install(*asked, **own_index, UV_NO_CACHE="1")
    assert refused.returncode == 1
    assert "Hash mismatch" in refused.stderr
    assert not installed(small / ".venv")


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("pip", ["oldest", "newest"])
@pytest.mark.parametrize("version", sorted(OLDEST_PIP))
def test_the_lock_installs_with_any_pip_while_newer_releases_exist(
    version: str, pip: str, tmp_path: Path
):
    python = find_python(version)
    if python is None:
        pytest.skip(f"unchecked: no Python {version} here")  # few machines have all
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    own = tmp_path / "venv/bin/python"
    wanted = f"pip=={OLDEST_PIP[version]}" if pip == "oldest" else "pip"
    subprocess.run(
        [own, "-m", "pip", "install", "-qq", "--upgrade", wanted], check=True
    )
    copy = rehearse_index("requirements-dev.lock", tmp_path)
    words = [
        "install",
        "-q",
        "--dry-run",
        "--require-hashes",
        "--no-index",
        "--find-links",
        tmp_path / "index",
    ]
    command = [own, "-m", "pip", *words, "-r", copy]
    done = subprocess.run(
        command, env=clean(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
