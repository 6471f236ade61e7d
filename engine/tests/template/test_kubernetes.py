"""The manifests are what Kubernetes takes.

They agree with the code, the configuration and the image.
"""

import copy
import re
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import APIRoute
from pydantic import SecretStr

from conftest import ROOT
from shipped import (
    CONFIG,
    DOCKERFILE,
    END_SECONDS,
    GROUP,
    KUBERNETES,
    OVERLAYS,
    PLAIN,
    PORT,
    USER,
    find,
    pods,
    refuse_invalid,
    render,
    texts,
)
from skewless.core.settings import Settings
from skewless.core.url import Url
from skewless.serving.guard import OPEN

BASE = [document for path in PLAIN for document in yaml.safe_load_all(path.read_text())]
(DEPLOYMENT,) = find(BASE, "Deployment")
POD = DEPLOYMENT["spec"]["template"]
(SERVER,) = POD["spec"]["containers"]
LABELS = POD["metadata"]["labels"]


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def rendered(overlay: str) -> list[dict[str, Any]]:
    return render(overlay)


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
@pytest.mark.slow
def test_a_file_is_what_kubernetes_takes(path: Path):
    for document in yaml.safe_load_all(path.read_text()):
        refuse_invalid(document)


@pytest.mark.slow
def test_what_kubernetes_would_not_take_is_refused():
    from kubernetes_validate import ValidationError

    wrong = copy.deepcopy(DEPLOYMENT)
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(ValidationError, match="readinesProbe"):
        refuse_invalid(wrong)


@pytest.mark.needs("kubectl")
@pytest.mark.slow
def test_an_overlay_renders_to_what_kubernetes_takes(rendered: list[dict[str, Any]]):
    for document in rendered:
        refuse_invalid(document)


@pytest.mark.needs("kubectl")
def test_every_pod_is_of_the_images_user_and_may_nothing(
    rendered: list[dict[str, Any]],
):
    found = list(pods(rendered))

    assert found
    for pod in (each["spec"] for each in found):
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": GROUP,
            "fsGroup": GROUP,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (
            False,
            False,
        )
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"].keys() == {"memory"}
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.needs("kubectl")
def test_every_pod_mounts_what_it_has_and_each_claim_is_there(
    rendered: list[dict[str, Any]],
):
    claims = {
        document["metadata"]["name"]
        for document in find(rendered, "PersistentVolumeClaim")
    }

    for pod in (each["spec"] for each in pods(rendered)):
        mounted = {
            mount["name"]
            for container in pod["containers"]
            for mount in container["volumeMounts"]
        }
        asked = [volume.get("persistentVolumeClaim") for volume in pod["volumes"]]
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert {each["claimName"] for each in asked if each} <= claims


def test_the_port_is_the_images_and_the_probes_ask_for_roads_that_are_open(build):
    roads = {route.path for route in build().app.routes if isinstance(route, APIRoute)}
    probes = {
        name: SERVER[name]["httpGet"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert SERVER["ports"] == [{"name": "http", "containerPort": PORT}]
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/health",
        "livenessProbe": "/health",
        "readinessProbe": "/ready",
    }
    assert {probe["path"] for probe in probes.values()} <= roads & {*OPEN}
    assert {probe["port"] for probe in probes.values()} == {"http"}


def test_a_pod_has_the_time_to_drain_and_is_off_the_lists_before_it_ends():
    serving, probe = CONFIG.serving, SERVER["readinessProbe"]
    before_signal = SERVER["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert POD["spec"]["terminationGracePeriodSeconds"] >= before_signal + ceil(
        END_SECONDS
    ), "raise terminationGracePeriodSeconds in deploy/kubernetes/base/deployment.yaml"
    assert probe["periodSeconds"] * probe["failureThreshold"] <= serving.drain_seconds


def test_memory_is_enough_for_all_the_bodies_that_may_wait():
    held = CONFIG.serving.max_in_flight * CONFIG.serving.max_body_bytes
    limit, requested = (
        SERVER["resources"][name]["memory"] for name in ("limits", "requests")
    )

    assert (
        int(limit.removesuffix("Gi")) * 2**30
        >= held + int(requested.removesuffix("Mi")) * 2**20
    )


def test_what_points_at_the_pods_means_them():
    (service,), (scaled,) = find(BASE, "Service"), find(BASE, "HorizontalPodAutoscaler")
    (budget,), (policy,), (ingress,) = (
        find(BASE, kind) for kind in ("PodDisruptionBudget", "NetworkPolicy", "Ingress")
    )
    selectors = [
        service["spec"]["selector"],
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        budget["spec"]["selector"]["matchLabels"],
        policy["spec"]["podSelector"]["matchLabels"],
        *(
            each["labelSelector"]["matchLabels"]
            for each in POD["spec"]["topologySpreadConstraints"]
        ),
    ]
    name = DEPLOYMENT["metadata"]["name"]

    assert all(selector.items() <= LABELS.items() for selector in selectors)
    assert scaled["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": name,
    }
    assert "replicas" not in DEPLOYMENT["spec"]
    assert scaled["spec"]["minReplicas"] > budget["spec"]["maxUnavailable"]
    assert service["spec"]["ports"][0]["targetPort"] == "http"
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": "http"}]
    (rule,) = ingress["spec"]["rules"]
    backend = {
        "service": {"name": service["metadata"]["name"], "port": {"name": "http"}}
    }
    assert all(each["backend"] == backend for each in rule["http"]["paths"])


@pytest.mark.needs("kubectl")
def test_an_overlay_follows_its_alias_and_both_the_same_registry(
    overlay: str, rendered: list[dict[str, Any]]
):
    (settings,) = find(rendered, "ConfigMap")
    merged = [
        yaml.safe_load((KUBERNETES / name / "kustomization.yaml").read_text())
        for name in OVERLAYS
    ]
    (here, there) = (set(each["configMapGenerator"][0]["literals"]) for each in merged)

    assert settings["data"]["CHURN_VERSION"] == overlay
    assert {name.partition("=")[0] for name in here ^ there} == {"CHURN_VERSION"}
    assert {
        document["metadata"]["namespace"].rpartition("-")[2] for document in rendered
    } == {overlay}
    (ingress,) = find(rendered, "Ingress")
    assert ingress["spec"]["tls"][0]["hosts"] == [
        rule["host"] for rule in ingress["spec"]["rules"]
    ]


def test_every_variable_is_one_that_is_read_and_secrets_come_from_secrets():
    named = {
        name for text in texts().values() for name in re.findall(r"CHURN_[A-Z_]+", text)
    }
    fields = Settings.model_fields.items()
    hidden = [
        name for name, field in fields if {SecretStr, Url} & {*_types(field.annotation)}
    ]
    secret = {
        f"CHURN_{name}".upper() for name in hidden if name != "registry_url"
    }  # a bucket, without a password

    assert {
        name.removeprefix("CHURN_").lower() for name in named
    } <= Settings.model_fields.keys()
    for container in (each for pod in pods(BASE) for each in pod["spec"]["containers"]):
        variables = {each["name"]: each for each in container.get("env", [])}
        assert all(
            "secretKeyRef" in variables[name]["valueFrom"]
            for name in secret & variables.keys()
        )
    literals = [
        text for path, text in texts().items() if path.name == "kustomization.yaml"
    ]
    assert not [name for name in secret for text in literals if name in text]
    assert not find(BASE, "Secret")


def _types(annotation: Any) -> set[Any]:
    return {annotation, *getattr(annotation, "__args__", ())}


@pytest.mark.needs("kubectl")
def test_what_is_written_is_a_volume_and_nothing_else_is(
    rendered: list[dict[str, Any]],
):
    written = {f"/app/{CONFIG.registry.cache}"}
    written.add(f"/app/{CONFIG.monitoring.prediction_log}")
    (deployment,) = find(rendered, "Deployment")
    (server,) = deployment["spec"]["template"]["spec"]["containers"]

    assert {mount["mountPath"] for mount in server["volumeMounts"]} == written
    made = re.findall(
        r"install --directory --owner=10001 --group=10001 (.*)", DOCKERFILE
    )
    assert {path.removeprefix("/app/") for path in written} <= set(
        " ".join(made).split()
    )


@pytest.mark.needs("kubectl")
def test_the_jobs_are_commands_and_no_server_to_send_requests_to(run):
    production = render("production")
    (service,) = find(production, "Service")
    jobs = find(production, "CronJob")
    words = {
        " ".join(pod["spec"]["containers"][0]["command"])
        for pod in list(pods(production))[1:]
    }
    commands = {
        re.search(r"-m churn_service ([a-z]+)((?: --[a-z]+)*)", each) for each in words
    }

    assert {found[1] for found in commands} == {"report", "retrain"}
    for found in commands:
        said = run(ROOT, found[1], "--help")
        assert (
            said.returncode,
            all(option in said.stdout for option in found[2].split()),
        ) == (0, True)
    for pod in list(pods(production))[1:]:
        assert (
            not service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        )
    assert all(job["spec"]["concurrencyPolicy"] == "Forbid" for job in jobs)


@pytest.mark.needs("kubectl")
def test_only_the_job_that_trains_may_write_to_the_registry_or_sign():
    granted = {}
    for document in render("production"):
        for pod in pods([document]):
            (container,) = pod["spec"]["containers"]
            sources = [
                each["secretRef"]["name"]
                for each in container["envFrom"]
                if "secretRef" in each
            ]
            asked = [
                each["valueFrom"]["secretKeyRef"]
                for each in container["env"]
                if "valueFrom" in each
            ]
            granted[document["metadata"]["name"]] = (
                *sources,
                "signing-key" in {key["key"] for key in asked},
            )

    assert granted == {
        "churn-service": ("churn-service-store", False),
        "churn-service-report": ("churn-service-store", False),
        "churn-service-retrain": ("churn-service-store-write", True),
    }
