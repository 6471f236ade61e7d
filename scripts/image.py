"""Build the images, and print what takes how much of them.

Usage: python scripts/image.py {build,size} [serve] [jobs]

IMAGE_ENGINE=docker or buildah picks what builds; by default Docker where it answers.
IMAGE_BASE and IMAGE_BUILD_BASE name other base images, TAG=… what the images are tagged
with, MODELS=none leaves out what models/ holds. Where pip is configured to ask another
index, or the environment names a proxy or a bundle of certificates, the build is told
of it and the images keep nothing of it.
"""

import ast
import contextlib
import gzip
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from engines import ROOT, Engine, Run, pick_engine, sh
from git_status import Refused, ask_git, uncommitted

IMAGES: Final = {
    "serve": "churn-service",
    "jobs": "churn-service-jobs",
}
LIMITS: Final = {"above the base": 150e6, "compressed": 200e6}
"""Bytes; of the image that serves."""
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
BUNDLES: Final = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
ASKED: Final = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
)
CONTENTS: Final = Path(__file__).with_name("image_contents.py")
HERE: Final = dict(os.environ)  # noqa: TID251 - a program's own words come from there


class Layer(NamedTuple):
    """A part of an image."""

    digest: str
    compressed: int
    """Bytes."""


def tag(target: str) -> str:
    """Name the image of a target, as deploy/ does."""
    return f"{IMAGES[target]}:{HERE.get('TAG') or 'local'}"


def build(engine: Engine, target: str, image: str) -> None:
    """Build a target of the Dockerfile as an image."""
    bases = {
        name: HERE.get(f"IMAGE_{name}") or base for name, base in engine.bases.items()
    }
    named = {name: HERE.get(name.lower()) or HERE.get(name) for name in PROXIES}
    proxies = {name: proxy for name, proxy in named.items() if proxy}
    args = {
        **bases,
        **proxies,
        "SOURCE_DATE_EPOCH": HERE.get("SOURCE_DATE_EPOCH") or commit_time(),
        "REVISION": revision(),
    }
    if target == "serve":
        args["MODELS"] = HERE.get("MODELS") or "inside"
    with tempfile.TemporaryDirectory() as folder:
        engine.build(target, image, args=args, hidden=pip_secrets(Path(folder)))


def revision() -> str:
    """Name the commit, with -changed behind it if a file differs from it.

    It is unknown if git cannot tell.
    """
    try:
        commit = ask_git(ROOT, "rev-parse", "--verify", "HEAD").strip()
        changes = uncommitted(ROOT)
    except Refused as why:
        print(
            f"the image's revision is unknown, as git does not tell it ({why})",
            file=sys.stderr,
        )
        return "unknown"
    return f"{commit}-changed" if changes else commit


def commit_time() -> str:
    """Tell when the commit was made, in seconds since 1970.

    It is 0, the same each time, if git cannot tell.
    """
    try:
        return ask_git(ROOT, "log", "-1", "--format=%ct").strip()
    except Refused:
        return "0"


def pip_secrets(folder: Path) -> dict[str, Path]:
    """Write down what pip here is told of where packages are.

    An address may hold a password.
    """
    said = list[str]()
    with contextlib.suppress(Refused):  # no pip here, so nothing that it is told
        said = sh(
            sys.executable, "-m", "pip", "config", "list", stderr=subprocess.DEVNULL
        ).splitlines()
    found = {}
    for line in said:
        key, value = line.split("=", 1)
        found[key.split(".", 1)[1]] = ast.literal_eval(value)
    remote = {name: _remote(found.get(name, "")) for name in ASKED}
    lines = [f"{name} = {value}" for name, value in remote.items() if value]
    named = [found.get("cert"), *map(HERE.get, BUNDLES)]
    bundles = [path for path in named if path and Path(path).is_file()]
    secrets = {}
    if bundles:
        secrets["ca.pem"] = Path(bundles[0])
        lines.append("cert = /run/secrets/ca.pem")
    if lines:
        secrets["pip.conf"] = folder / "pip.conf"
        secrets["pip.conf"].write_text("\n".join(["[global]", *lines, ""]))
    return secrets


def _remote(value: str) -> str:
    """Leave out folders of this machine, which the build does not see."""
    return " ".join(
        word for word in value.split() if not word.startswith(("file:", "/"))
    )


def layers(engine: Engine, image: str) -> list[Layer]:
    """Tell an image's layers, from the base up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.tar"
        engine.save(image, path)
        with tarfile.open(path) as archive:
            return [
                _layer(archive, one["digest"]) for one in _manifest(archive)["layers"]
            ]


def _manifest(archive: tarfile.TarFile) -> dict[str, Any]:
    found = json.loads(_read(archive, "index.json"))
    while "manifests" in found:  # an index of an index is what some engines write
        found = json.loads(_read(archive, _blob(found["manifests"][0]["digest"])))
    return dict(found)


def _layer(archive: tarfile.TarFile, digest: str) -> Layer:
    data = _read(archive, _blob(digest))
    is_compressed = data[:2] == b"\x1f\x8b"
    if not is_compressed:
        data = gzip.compress(data)
    return Layer(digest, len(data))


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        msg = (
            f"{name} is no plain file of the image's archive, "
            "so the image cannot be weighed"
        )
        raise Refused(msg)
    return file.read()


def contents(engine: Engine, image: str) -> dict[str, Any]:
    """Ask an image what it holds."""
    run = Run([], entrypoint=["python", "-c", CONTENTS.read_text(encoding="utf-8")])
    with engine.start(image, run, stdout=subprocess.PIPE) as asked:
        said, _ = asked.communicate()
    if asked.returncode:
        msg = f"{image} could not say what it holds"
        raise Refused(msg)
    return dict(json.loads(said))


def measure(engine: Engine, image: str) -> dict[str, float]:
    """Tell an image's sizes, by the names of the limits; bytes."""
    held = contents(engine, image)
    return {
        "above the base": sum(held["bytes"].values()),
        "compressed": sum(layer.compressed for layer in layers(engine, image)),
    }


def show_size(engine: Engine, image: str) -> None:
    """Print what takes how much."""
    parts = sorted(contents(engine, image)["bytes"].items(), key=lambda part: -part[1])
    print(f"{image}\n\n| part | MB |\n|---|---:|")
    for name, size in parts[:20]:
        print(f"| {name} | {size / 1e6:.1f} |")
    others = sum(size for _, size in parts[20:])
    print(f"| {len(parts[20:])} others | {others / 1e6:.1f} |")
    for name, size in measure(engine, image).items():
        limit = f", may be {LIMITS[name] / 1e6:.0f}" if image == tag("serve") else ""
        print(f"| **{name}**{limit} | **{size / 1e6:.1f}** |")
    print()


def main(what: str, *targets: str) -> None:
    """Do it for each target."""
    engine = pick_engine(HERE.get("IMAGE_ENGINE"))
    for target in targets or IMAGES:
        if what == "size":
            show_size(engine, tag(target))
            continue
        build(engine, target, tag(target))
        print(f"built {tag(target)} with {type(engine).__name__.lower()}")


if __name__ == "__main__":
    if (
        len(sys.argv) < 2  # noqa: PLR2004 - the program and a verb
        or sys.argv[1] not in {"build", "size"}
        or not {*sys.argv[2:]} <= {*IMAGES}
    ):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except Refused as why:
        sys.exit(f"refused: {why}")
