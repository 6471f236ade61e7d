"""What builds images and runs containers: Docker, or buildah and runc.

The latter do it where no Docker engine runs. Both run a container as the image's own
user, without a capability, with a root file system that cannot be written to, and on
the host's network.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from git_status import Refused

ROOT: Final = Path(__file__).resolve().parents[1]
STORE: Final = Path(
    os.environ.get("IMAGE_STORE")  # noqa: TID251 - a program's own words
    or ROOT / "dist" / "images"
)
USER: Final = 10001  # whose the volumes are; the Dockerfile says so
SUITE: Final = "bookworm"  # Debian's, of the base that is made where none can be pulled
PACKAGES: Final = (
    "ca-certificates",
    "libstdc++6",
    "python-is-python3",
    "usr-is-merged",
)
TO_BUILD: Final = (*PACKAGES, "binutils", "python3-pip")
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WITHOUT: Final = ("man", "doc", "locale", "info")  # of /usr/share


class Run(NamedTuple):
    """What a container is started with, beside its image."""

    words: Sequence[str]
    entrypoint: Sequence[str] | None = None
    """Default: the image's own."""
    env: Mapping[str, str] = {}
    volumes: Mapping[str, str] = {}
    """Name of a volume → where it is mounted; the name "" is a folder in memory."""


def sh(*words: object, **options: Any) -> str:
    """Run a command; return what it printed.

    Raises
    ------
    Refused
        It is absent or failed.
    """
    said = [str(word) for word in words]
    try:
        done = subprocess.run(  # noqa: S603 - our own
            said, check=True, stdout=subprocess.PIPE, text=True, **options
        )
    except (OSError, subprocess.CalledProcessError) as error:
        msg = f"{said[0]}: {error}"
        raise Refused(msg) from error
    return str(done.stdout)


class Docker:
    """Docker's engine, wherever its command line reaches it."""

    bases: Final = {"BASE": "official", "BUILD_BASE": "official-build"}

    def __init__(self) -> None:
        self._names = dict[int, str]()

    def build(
        self,
        target: str,
        image: str,
        *,
        args: Mapping[str, str],
        hidden: Mapping[str, Path],
    ) -> None:
        """Build a target of the Dockerfile."""
        words = ["docker", "build", "--target", target, "--tag", image]
        sh(
            *words,
            *_flags(args, hidden),
            ROOT,
            env=os.environ | {"DOCKER_BUILDKIT": "1"},  # noqa: TID251 - Docker's own
        )

    def save(self, image: str, path: Path) -> None:
        """Write an image as an archive."""
        sh("docker", "save", "--output", path, image)

    def config(self, image: str) -> dict[str, Any]:
        """Tell what an image says of itself."""
        return dict(json.loads(sh("docker", "image", "inspect", image))[0]["Config"])

    def start(self, image: str, run: Run, **pipes: Any) -> subprocess.Popen[bytes]:
        """Start a container.

        Signals to the process reach it, and its exit code is the container's.
        """
        name = f"of-{os.getpid()}-{secrets.token_hex(4)}"
        words = [
            "docker",
            "run",
            "--rm",
            f"--name={name}",
            "--read-only",
            "--network=host",
        ]
        words += ["--cap-drop=ALL", "--security-opt=no-new-privileges"]
        words += [f"--env={variable}={value}" for variable, value in run.env.items()]
        for volume, path in run.volumes.items():
            words.append(f"--volume={volume}:{path}" if volume else f"--tmpfs={path}")
        entry = list(run.entrypoint or [])
        if entry:
            words.append(f"--entrypoint={entry[0]}")
        started = subprocess.Popen(  # noqa: S603 - our own
            [*words, image, *entry[1:], *run.words], **pipes
        )
        self._names[started.pid] = name
        return started

    def kill(self, started: subprocess.Popen[bytes]) -> None:
        """End a container that did not end by itself."""
        sh("docker", "kill", self._names[started.pid])
        started.wait()

    def volume(self, name: str) -> str:
        """Make a volume.

        Docker gives it the owner of the folder that it is mounted over.
        """
        return sh("docker", "volume", "create", name).strip()

    def remove_volume(self, name: str) -> None:
        """Remove a volume and what is in it."""
        sh("docker", "volume", "rm", name)


class Buildah:
    """buildah, runc and a base of Debian's packages.

    They need no daemon and no registry of images, but root.
    """

    def __init__(self) -> None:
        self.bases: Final = {
            "BASE": _made_of(PACKAGES),
            "BUILD_BASE": _made_of(TO_BUILD),
        }
        self._words = [
            "buildah",
            "--storage-driver=vfs",
            f"--root={STORE}/store",
            f"--runroot={STORE}/run",
        ]
        self._runc = ["runc", f"--root={STORE}/runc"]
        self._names = dict[int, str]()
        (STORE / "bundles").mkdir(parents=True, exist_ok=True)
        STORE.chmod(0o711)  # the user of a container walks through it to its root

    def build(
        self,
        target: str,
        image: str,
        *,
        args: Mapping[str, str],
        hidden: Mapping[str, Path],
    ) -> None:
        """Build a target of the Dockerfile."""
        self._make_bases({*args.values()})
        words = [
            *self._words,
            "bud",
            "--quiet",
            "--isolation=chroot",
            "--format=docker",
        ]
        words += [
            f"--timestamp={args['SOURCE_DATE_EPOCH']}",
            f"--target={target}",
            f"--tag={image}",
        ]
        sh(*words, *_flags(args, hidden), ROOT)
        # Mounted once for all of its containers, none of which can write to it.
        there = sh(*self._words, "containers", "--format={{.ContainerName}}").split()
        if _mounted(image) in there:
            sh(*self._words, "rm", _mounted(image))
        sh(*self._words, "from", f"--name={_mounted(image)}", image)
        sh(*self._words, "rmi", "--prune")  # what the tag stood for before

    def _make_bases(self, wanted: AbstractSet[str]) -> None:
        """Make our own bases that are wanted and not there, all at once.

        `make clean` takes them away.
        """
        bases = zip(self.bases.values(), (PACKAGES, TO_BUILD), strict=True)
        absent = [
            (name, packages)
            for name, packages in bases
            if name in wanted and not self._has(name)
        ]
        with tempfile.TemporaryDirectory(dir=STORE) as folder:
            begun = []
            for number, (name, packages) in enumerate(absent):
                tar = f"base{number}.tar"
                making = _mmdebstrap(Path(folder) / tar, packages)
                begun.append((name, making, tar))
            for name, making, tar in begun:
                if making.wait():
                    msg = (
                        "mmdebstrap failed; "
                        "IMAGE_BASE and IMAGE_BUILD_BASE name bases that exist"
                    )
                    raise Refused(msg)
                lines = ["FROM scratch", f"ADD {tar} /", f"ENV PATH={PATH}"]
                (Path(folder) / "Dockerfile").write_text("\n".join(lines))
                sh(
                    *self._words,
                    "bud",
                    "--quiet",
                    "--timestamp=0",
                    f"--tag={name}",
                    folder,
                )

    def _has(self, image: str) -> bool:
        found = sh(*self._words, "images", "--quiet", f"--filter=reference={image}")
        return bool(found)

    def save(self, image: str, path: Path) -> None:
        """Write an image as an archive."""
        sh(*self._words, "push", "--quiet", image, f"oci-archive:{path}")

    def config(self, image: str) -> dict[str, Any]:
        """Tell what an image says of itself."""
        said = json.loads(sh(*self._words, "inspect", "--type=image", image))
        return dict(said["Docker"]["config"])

    def start(self, image: str, run: Run, **pipes: Any) -> subprocess.Popen[bytes]:
        """Start a container.

        Signals to the process reach it, and its exit code is the container's.
        """
        bundle = Path(tempfile.mkdtemp(dir=STORE / "bundles"))
        sh("runc", "spec", cwd=bundle)
        spec = json.loads((bundle / "config.json").read_text())
        _confine(spec, self.config(image), run)
        spec["root"] = {
            "path": sh(*self._words, "mount", _mounted(image)).strip(),
            "readonly": True,
        }
        (bundle / "config.json").write_text(json.dumps(spec))
        words = [*self._runc, "run", f"--bundle={bundle}", bundle.name]
        started = subprocess.Popen(words, **pipes)  # noqa: S603 - our own
        self._names[started.pid] = bundle.name
        return started

    def kill(self, started: subprocess.Popen[bytes]) -> None:
        """End a container that did not end by itself."""
        sh(*self._runc, "kill", self._names[started.pid], "KILL")
        started.wait()

    def volume(self, name: str) -> str:
        """Make a volume of the user whom the containers run as."""
        folder = STORE / "volumes" / name
        folder.mkdir(parents=True)
        os.chown(folder, USER, USER)
        return str(folder)

    def remove_volume(self, name: str) -> None:
        """Remove a volume and what is in it."""
        shutil.rmtree(name)


Engine = Docker | Buildah


def pick_engine(asked: str | None) -> Engine:
    """Take the engine that was asked for; else Docker if it answers, else buildah.

    Raises
    ------
    Refused
        There is none, or another name was given.
    """
    if asked not in {None, "", "docker", "buildah"}:
        msg = f"IMAGE_ENGINE is {asked}; it can be docker or buildah"
        raise Refused(msg)
    if asked == "docker" or (not asked and _answers("docker", "info")):
        return Docker()
    if os.geteuid() != 0 or not shutil.which("buildah"):
        msg = (
            "no Docker engine answers; without one, "
            "`make services` installs buildah, which needs root here"
        )
        raise Refused(msg)
    return Buildah()


def _answers(*words: str) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - our own
            words, capture_output=True, check=False
        )
    except OSError:
        return False
    return not done.returncode


def _flags(args: Mapping[str, str], hidden: Mapping[str, Path]) -> list[str]:
    words = [f"--build-arg={name}={value}" for name, value in args.items()]
    words += [f"--secret=id={name},src={path}" for name, path in hidden.items()]
    return words


def _made_of(packages: Sequence[str]) -> str:
    """Name a base, so that other packages are another base."""
    digest = sha256(" ".join((SUITE, *packages)).encode()).hexdigest()
    return f"localhost/debian-python:{digest[:8]}"


def _mounted(image: str) -> str:
    return "of-" + image.replace(":", "-")


def _mmdebstrap(path: Path, packages: Sequence[str]) -> subprocess.Popen[bytes]:
    words = [
        "mmdebstrap",
        "--quiet",
        "--variant=essential",
        f"--include={','.join(packages)}",
    ]
    words += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in WITHOUT]
    words += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", SUITE, str(path)]
    return subprocess.Popen(words, stdout=sys.stderr)  # noqa: S603 - our own


def _confine(spec: dict[str, Any], image: dict[str, Any], run: Run) -> None:
    """Say of a container what an image asks for, and keep it from everything else."""
    user, _, group = image["User"].partition(":")
    entry = run.entrypoint
    words = run.words
    if entry is None:
        entry = image["Entrypoint"]
        words = words or image["Cmd"]
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": int(user), "gid": int(group), "additionalGids": []},
        "args": [*entry, *words],
        "env": [*image["Env"], *(f"{name}={value}" for name, value in run.env.items())],
        "cwd": image["WorkingDir"],
        "capabilities": {},
        "noNewPrivileges": True,
    }
    spec["linux"]["namespaces"] = [
        one for one in spec["linux"]["namespaces"] if one["type"] != "network"
    ]
    spec["mounts"] += [_mount_of(name, path) for name, path in run.volumes.items()]
    # The host's names, as every engine gives them: a service that is called by name
    # needs them.
    spec["mounts"] += [
        {"destination": path, "type": "bind", "source": path, "options": ["bind", "ro"]}
        for path in ("/etc/hosts", "/etc/resolv.conf")
    ]


def _mount_of(volume: str, path: str) -> dict[str, Any]:
    """Say where a volume is mounted; without a name it is a folder in memory."""
    if volume:
        return {
            "destination": path,
            "type": "bind",
            "source": volume,
            "options": ["rbind", "rw", "nosuid", "nodev"],
        }
    return {
        "destination": path,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", "mode=1777"],
    }
