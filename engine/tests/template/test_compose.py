"""The Compose file agrees with the code and with real programs.

So do the files that it mounts and the secrets that it reads.
"""

import os
import re
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from conftest import ROOT
from scraping import LOADED
from shipped import COMPOSE, CONFIG, END_SECONDS, PORT, seconds
from skewless.core.settings import Settings
from skewless.serving.access import Keys

FOLDER = COMPOSE.parent
LOADED_COMPOSE = yaml.safe_load(COMPOSE.read_text())
SERVICES = LOADED_COMPOSE["services"]
APPS = ["app-1", "app-2"]
PROXY = FOLDER / "haproxy.cfg"
SCRAPED = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
IN_CLUSTER = yaml.safe_load((ROOT / "deploy/prometheus/kubernetes.yml").read_text())
LATER = "http_headers"  # that Prometheus 2.55 knows, and Debian's does not


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the documented command makes; do not change it."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([FOLDER / "secrets.sh", folder], check=True)
    return folder


def read_variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def directives(word: str) -> list[str]:
    """Return what follows a word in the proxy's file, line by line."""
    return re.findall(rf"(?m)^ +{word} +(.*?)(?:  #.*)?$", PROXY.read_text())


def test_no_container_may_more_than_it_needs():
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.keys() & {
            "privileged",
            "cap_add",
            "pid",
            "network_mode",
            "devices",
        }, name
        published = [port.rpartition(":")[0] for port in service.get("ports", [])]
        assert name == "proxy" or all(
            port.startswith("127.0.0.1:") for port in published
        ), name


def test_every_image_is_ours_or_pinned_by_a_version():
    ours = {service["image"] for service in SERVICES.values() if "build" in service}
    others = {
        service["image"] for service in SERVICES.values() if "build" not in service
    }
    bases = re.findall(r"(?m)^FROM ([^$\s]+:\S+)", (ROOT / "Dockerfile").read_text())

    assert all(image.endswith(":${TAG:-local}") for image in ours)
    for image in (*others, *bases):
        assert re.fullmatch(r"[a-z/]+:v?\d+(\.\d+)*(-[a-z]+)*", image), image
    assert len(others) >= 3
    assert bases


def test_the_database_is_kept_where_its_image_keeps_it():
    (version,) = re.findall(r":(\d+)", SERVICES["postgres"]["image"])
    (mount,) = SERVICES["postgres"]["volumes"]

    assert int(version) >= 18  # before, it was /var/lib/postgresql/data
    assert mount == "postgres:/var/lib/postgresql"


def test_dependabot_moves_the_images():
    document = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())
    followed = {each["package-ecosystem"]: each for each in document["updates"]}

    assert followed["docker"]["directory"] == "/"
    assert (
        followed["docker-compose"]["directory"]
        == f"/{FOLDER.relative_to(ROOT).as_posix()}"
    )


@pytest.mark.posix
@pytest.mark.needs("openssl")
def test_what_is_mounted_is_there_and_what_is_named_is_declared(secrets: Path):
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            made = source == "../../models"  # by training
            assert (
                made or (FOLDER / source).exists()
                if source[0] == "."
                else source in LOADED_COMPOSE["volumes"]
            )
        for secret in service.get("secrets", []):
            assert (
                secrets / Path(LOADED_COMPOSE["secrets"][secret]["file"]).name
            ).exists(), name
        assert set(service["networks"]) <= LOADED_COMPOSE["networks"].keys()
        for other in service.get("depends_on", {}):
            assert (
                "healthcheck" in SERVICES[other]
                or "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
            )


@pytest.mark.posix
@pytest.mark.needs("openssl")
def test_the_secrets_are_what_the_service_takes_and_stay_out_of_the_repository(
    secrets: Path,
):
    lines = SecretStr(read_variables(secrets / "service.env")["CHURN_API_KEYS"])
    keys = Keys(Settings(_env_file=None, api_keys=lines))

    found = {
        name: keys.caller((secrets / f"{name}.key").read_bytes())
        for name in ("caller", "prometheus")
    }

    assert {name: caller.scope for name, caller in found.items()} == {
        "caller": "predict",
        "prometheus": "admin",
    }
    assert secrets.stat().st_mode & 0o777 == 0o700
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
        secrets / "tls.pem"
    )
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", "deploy/compose/secrets/x"],
        cwd=ROOT,
        check=False,
    )
    assert ignored.returncode == 0


@pytest.mark.posix
@pytest.mark.needs("openssl")
def test_secrets_that_are_there_are_kept(secrets: Path):
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}

    subprocess.run([FOLDER / "secrets.sh", secrets], check=True)

    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before


@pytest.mark.posix
@pytest.mark.needs("openssl")
def test_the_log_is_where_the_database_is(secrets: Path):
    from sqlalchemy import make_url

    url = make_url(read_variables(secrets / "service.env")["CHURN_LOG_URL"])
    database = SERVICES["postgres"]["environment"]

    assert (url.host, url.username, url.database) == (
        "postgres",
        database["POSTGRES_USER"],
        "churn",
    )
    assert url.password == (secrets / "postgres-password").read_text()
    assert f"/app/{CONFIG.monitoring.prediction_log}" in {
        mount.split(":")[1] for mount in SERVICES["app-1"]["volumes"]
    }


@pytest.mark.posix
@pytest.mark.needs("postgres")
@pytest.mark.slow
def test_postgresql_starts_with_the_options_it_is_given():
    from postgres import Postgres

    program, *options = SERVICES["postgres"]["command"]
    # a folder where its own user may go
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        server = Postgres(Path(name), *options)
        try:
            with server.connect("postgres") as connection:
                query = (
                    "SELECT name, current_setting(name) FROM pg_settings "
                    "WHERE source = 'command line'"
                )
                shown = dict(connection.execute(query).fetchall())
        finally:
            server.kill()

    assert program == "postgres"
    assert {
        "max_connections": "50",
        "idle_in_transaction_session_timeout": "1min",
    }.items() <= shown.items()
    assert len(options) == 4


def test_whoever_stops_waits_for_the_drain_and_the_proxy_for_the_answer():
    serving = CONFIG.serving
    timeouts = dict(line.split() for line in directives("timeout"))
    (checked,) = directives("default-server")
    every, fall = re.search(r"inter (\w+) fall (\d)", checked).groups()

    for name in APPS:
        assert seconds(SERVICES[name]["stop_grace_period"]) >= END_SECONDS
    assert (
        seconds(timeouts["server"])
        >= 2 * serving.slow_client_seconds + serving.deadline_seconds
    )
    assert seconds(timeouts["http-request"]) >= serving.slow_client_seconds
    assert seconds(every) * int(fall) < serving.drain_seconds / 2


def test_the_proxy_asks_the_processes_that_there_are():
    named = dict(line.split() for line in directives("presetenv"))
    assert [named["FIRST"], named["SECOND"]] == [f"{name}:{PORT}" for name in APPS]
    assert SERVICES["proxy"]["ports"] == [named["LISTEN"].replace("*", "8443")]
    assert named["PROBE"] in SERVICES["proxy"]["healthcheck"]["test"][-1]
    assert Path(named["CERTIFICATE"]).name in SERVICES["proxy"]["secrets"]


def test_a_connection_is_kept_longer_the_nearer_it_is_to_the_service():
    """Whoever asks must be the first to close.

    Otherwise a request meets a connection that is being closed.
    """
    timeouts = dict(line.split() for line in directives("timeout"))
    balancer = 60  # seconds, of common load balancers in front of the proxy

    assert (
        balancer
        < seconds(timeouts["http-keep-alive"])
        < CONFIG.serving.keep_alive_seconds
    )


def test_the_proxy_holds_fewer_connections_than_a_process_takes():
    (most,) = map(int, directives("maxconn"))
    (server,) = directives("default-server")
    behind = int(re.search(r"maxconn (\d+)", server)[1])

    assert behind < CONFIG.serving.max_connections
    assert SERVICES["proxy"]["ulimits"]["nofile"] > 2 * most + 1000


@pytest.mark.needs("haproxy", "openssl")
@pytest.mark.posix
def test_haproxy_takes_its_file(secrets: Path):
    addresses = {
        "FIRST": "127.0.0.1:1",
        "SECOND": "127.0.0.1:2",
        "CERTIFICATE": str(secrets / "tls.pem"),
    }
    environment = os.environ | addresses  # noqa: TID251 - the child inherits ours
    words = ["haproxy", "-c", "-f", PROXY]

    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("loaded", [SCRAPED, IN_CLUSTER], ids=["compose", "cluster"])
def test_prometheus_takes_its_file_but_for_what_only_later_ones_know(
    loaded: dict, tmp_path: Path
):
    job = {
        name: value
        for name, value in loaded["scrape_configs"][0].items()
        if name not in {LATER, "kubernetes_sd_configs"}
    }
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump({"scrape_configs": [job]}))

    done = subprocess.run(
        ["promtool", "check", "config", path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_asks_every_process_by_an_admins_key_under_the_name_of_the_rules():
    (job,), (plain,), (cluster,) = (
        each["scrape_configs"] for each in (SCRAPED, LOADED, IN_CLUSTER)
    )
    (header,) = job[LATER].items()

    assert job["job_name"] == plain["job_name"] == cluster["job_name"]
    assert job["static_configs"] == [{"targets": [f"{name}:{PORT}" for name in APPS]}]
    assert header == (
        "X-API-Key",
        {"files": [f"/run/secrets/{SERVICES['prometheus']['secrets'][0]}"]},
    )
    assert cluster[LATER].keys() == {"X-API-Key"}
    assert SCRAPED["global"] == LOADED["global"]
    assert SCRAPED["rule_files"] == LOADED["rule_files"]


def test_grafana_finds_prometheus_and_the_dashboards():
    (source,) = yaml.safe_load((FOLDER / "grafana/datasources.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards.yml").read_text())[
        "providers"
    ]
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])

    assert source["url"] == "http://prometheus:9090"
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert mounts["../grafana"] == provider["options"]["path"]
