"""What the page on releasing types is there to be typed."""

import os
import re
import shlex
import subprocess

import pytest
import yaml

from conftest import MAKEFILES, ROOT, find_program
from shipped import COMPOSE, OVERLAYS, pods, render

PAGE = (ROOT / "docs/service/releasing.md").read_text()
TYPED = re.findall(r"(?m)^\$ (.*?)(?:  +#.*)?$", PAGE)
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Type what makes secrets, for no cluster; return the keys of each."""
    folder, found = tmp_path_factory.mktemp("typed"), {}
    for name in ("store.env", "store-write.env", "private.pem"):
        (folder / name).write_text("AWS_ACCESS_KEY_ID=x\n")
    for line in (
        line for line in TYPED if line.startswith("kubectl create secret generic")
    ):
        words = [
            find_program("kubectl"),
            *shlex.split(line)[1:],
            "--dry-run=client",
            "--output=yaml",
        ]
        document = yaml.safe_load(subprocess.check_output(words, cwd=folder))
        found[document["metadata"]["name"]] = set(document["data"])
    return found


@pytest.mark.needs("kubectl")
@pytest.mark.slow
def test_the_secrets_that_are_made_are_those_that_pods_ask_for(
    made: dict[str, set[str]],
):
    needed, allowed, whole = dict[str, set[str]](), dict[str, set[str]](), set()
    for container in (
        each
        for name in OVERLAYS
        for pod in pods(render(name))
        for each in pod["spec"]["containers"]
    ):
        whole |= {
            each["secretRef"]["name"]
            for each in container["envFrom"]
            if "secretRef" in each
        }
        for key in (
            each["valueFrom"]["secretKeyRef"]
            for each in container["env"]
            if "valueFrom" in each
        ):
            allowed.setdefault(key["name"], set()).add(key["key"])
            if not key.get("optional"):
                needed.setdefault(key["name"], set()).add(key["key"])

    assert made.keys() == allowed.keys() | whole
    assert all(keys <= made[name] for name, keys in needed.items())
    assert all(made[name] <= keys for name, keys in allowed.items())
    others = {key for keys in allowed.values() for key in keys} - {
        key for keys in made.values() for key in keys
    }
    assert all(key in PAGE for key in others)


@pytest.mark.needs("kubectl")
@pytest.mark.slow
def test_what_is_asked_of_the_cluster_is_in_the_manifests():
    known = {
        f"{document['kind']}/{document['metadata']['name']}".lower()
        for name in OVERLAYS
        for document in render(name)
    }
    spaces = {
        document["metadata"]["namespace"]
        for name in OVERLAYS
        for document in render(name)
    }
    named = re.findall(r"\b((?:deployment|cronjob)[/ ]\S+)", "\n".join(TYPED))

    assert named
    assert {name.replace(" ", "/") for name in named} <= known
    assert set(re.findall(r"namespace (\S+)", "\n".join(TYPED))) <= spaces
    assert all(
        (ROOT / path).is_dir() for path in re.findall(r"-k (\S+)", "\n".join(TYPED))
    )


def test_what_is_asked_of_compose_and_make_is_there():
    targets = {
        name
        for path in MAKEFILES
        for name in re.findall(r"(?m)^([a-z-]+):", path.read_text())
    }

    assert set(re.findall(r"(?m)^make ([a-z]+)", "\n".join(TYPED))) <= targets
    assert set(re.findall(r"\bapp-\d\b", "\n".join(TYPED))) <= SERVICES.keys()
    assert set(re.findall(r"--file (\S+)", PAGE)) == {
        COMPOSE.relative_to(ROOT).as_posix()
    }
    assert os.access(COMPOSE.parent / "secrets.sh", os.X_OK)
