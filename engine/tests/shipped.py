"""Read what ships the service: manifests, the Compose file, the Dockerfile.

The manifests are read plain and rendered.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from conftest import ROOT, find_program
from own import PROJECT
from skewless.core.config_file import load_config

KUBERNETES: Final = ROOT / "deploy/kubernetes"
OVERLAYS: Final = ("staging", "production")
PLAIN: Final = sorted(
    path
    for path in KUBERNETES.glob("*/*.yaml")
    if path.name != "kustomization.yaml" and ".patch" not in path.name
)
COMPOSE: Final = ROOT / "deploy/compose/compose.yaml"
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()
PORT: Final = int(re.search(r"CHURN_PORT=(\d+)", DOCKERFILE)[1])
USER, GROUP = map(int, re.search(r"(?m)^USER (\d+):(\d+)", DOCKERFILE).groups())
CONFIG: Final = load_config(ROOT / "config.yaml", PROJECT)
# What a process may need from SIGTERM on: it answers for drain_seconds, then ends what
# is in flight.
END_SECONDS: Final = CONFIG.serving.drain_seconds + (
    2 * CONFIG.serving.slow_client_seconds + CONFIG.serving.deadline_seconds
)


def refuse_invalid(document: Any) -> None:
    """Raise if Kubernetes would not take a document as it stands."""
    import kubernetes_validate  # takes seconds, which every worker would wait for

    kubernetes_validate.validate(
        document, kubernetes_validate.latest_version(), strict=True
    )


def render(overlay: str) -> list[dict[str, Any]]:
    """Return what `kubectl apply -k` would send."""
    words = [find_program("kubectl"), "kustomize", KUBERNETES / overlay]
    return list(yaml.safe_load_all(subprocess.check_output(words)))


def find(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the documents of a kind."""
    return [document for document in documents if document["kind"] == kind]


def pods(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return every template of a pod."""
    yield from (
        document["spec"]["template"] for document in find(documents, "Deployment")
    )
    for document in find(documents, "CronJob"):
        yield document["spec"]["jobTemplate"]["spec"]["template"]


def seconds(duration: str) -> float:
    """Read a duration such as 35s."""
    return float(re.fullmatch(r"(\d+)s", duration)[1])


def texts() -> dict[Path, str]:
    """Read every file under deploy/ that is no dashboard."""
    paths = (
        path
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file() and path.suffix != ".json"
    )
    return {path: path.read_text() for path in paths if "secrets" not in path.parts}
