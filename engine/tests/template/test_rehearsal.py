"""A release and its rollback, rehearsed for real.

Also what the proxy of the Compose file lets pass.
"""

import re
from collections.abc import Iterator
from json import dumps
from pathlib import Path

import pytest

from fronts import Front, configured_keys, haproxy, make_secrets
from own import CONTRACT
from running import rehearse, serving


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("haproxy", "openssl")
def test_a_release_and_its_rollback_lose_no_request_and_leave_nothing_behind(
    tmp_path: Path,
):
    done = rehearse("rehearse.py", tmp_path)

    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    before, _, killed = said.partition("== one of two processes is killed")
    lost = [int(number) for number in re.findall(r"failed: (\d+)", before)]
    answered = dict(
        re.findall(
            r"image (\d) answers on port|drained with 0, after ([\d,]+) answers", before
        )
    )
    assert lost == [0] * 5
    assert {"1", "2"} <= answered.keys()
    assert len(set(re.findall(r"[\d,]+ by (\S+?)[,;]", before))) == 2
    # one of each caller, at most
    assert int(re.search(r"(\d+) requests were lost", killed)[1]) <= 6
    assert "NOT SO" not in said
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_secrets(tmp_path_factory.mktemp("front") / "secrets")


@pytest.fixture(scope="module")
def front(trained: Path, secrets: Path) -> Iterator[Front]:
    """Start the service, and the proxy in front of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHURN_API_KEYS", configured_keys(secrets))
        with (
            serving(trained) as (url, _),
            haproxy(secrets, url.removeprefix("http://")) as found,
        ):
            yield found


def predict(front: Front, *headers: str) -> tuple[int, str]:
    return front.ask(
        "/predict",
        "POST",
        "Content-Type: application/json",
        *headers,
        body=dumps(CONTRACT.example()),
    )


@pytest.mark.posix
@pytest.mark.needs("haproxy", "openssl")
@pytest.mark.slow
def test_the_proxy_passes_who_has_a_key_and_takes_nobody_for_one_on_the_host(
    front: Front, secrets: Path
):
    key = f"X-API-Key: {(secrets / 'caller.key').read_text()}"
    admin = f"X-API-Key: {(secrets / 'prometheus.key').read_text()}"

    status, answer = predict(front, key)

    assert (
        status,
        "strict-transport-security: max-age=31536000" in answer.lower(),
    ) == (200, True)
    assert [
        predict(front, *said)[0] for said in ((), ("X-Forwarded-For: 127.0.0.1",))
    ] == [401, 401]
    asked = [
        front.ask(path, "GET", admin)[0] for path in ("/model", "/metrics", "/v1/stats")
    ]
    assert asked == [200, 404, 404]


@pytest.mark.posix
@pytest.mark.needs("haproxy", "openssl")
@pytest.mark.slow
def test_a_process_that_is_not_there_costs_no_request(front: Front, secrets: Path):
    key = f"X-API-Key: {(secrets / 'caller.key').read_text()}"

    assert {predict(front, key)[0] for _ in range(20)} == {200}
