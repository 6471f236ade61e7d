"""How keys are made, configured and exchanged; and none is ever shown again."""

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from skewless.core.errors import ConfigError
from skewless.core.settings import Settings
from skewless.serving.access import Keys, new_key, refuse_exposure

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing here opens it
KEY = "what-a-caller-sends-and-nobody-else-may-see"
HASHED = "9" * 64
GOOD = f"ops:{HASHED}:admin"


def keys_of(lines: str) -> Keys:
    return Keys(Settings(_env_file=None, api_keys=SecretStr(lines)))


@pytest.mark.parametrize("scope", ["predict", "admin"])
def test_the_printed_line_lets_the_printed_key_in(project: Path, scope: str, run):
    printed = run(project, "keys", "new", "--id", "crm", "--scope", scope)

    key, line = (words.strip() for words in printed.stdout.splitlines()[1::2])
    assert printed.returncode == 0
    assert keys_of(line).caller(key.encode())[:2] == ("crm", scope)
    assert key not in line


def test_a_key_as_json_is_one_object(project: Path, run):
    made = json.loads(run(project, "keys", "new", "--id", "crm", "--json").stdout)

    assert made.keys() == {"key", "line"}
    assert keys_of(made["line"]).caller(made["key"].encode())[:2] == ("crm", "predict")


def test_no_two_keys_are_alike():
    made = [new_key("crm", "predict") for _ in range(100)]

    assert len({key for key, _ in made}) == len({line for _, line in made}) == 100
    assert min(len(key) for key, _ in made) >= 43  # 32 bytes in base64


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a:b", "é", "x" * 65, "a\n"])
def test_an_id_that_does_not_fit_into_the_line_is_refused(
    project: Path, name: str, run
):
    done = run(project, "keys", "new", f"--id={name}")

    assert (done.returncode, done.stdout) == (2, "")
    assert "1 to 64" in done.stderr


@pytest.mark.parametrize("separator", [",", " ", "\n", ", ", ",,\n"])
def test_several_keys_may_be_separated_as_one_likes(separator: str):
    (one, one_line), (other, other_line) = (
        new_key("crm", "predict"),
        new_key("ops", "admin"),
    )

    keys = keys_of(separator.join([one_line, other_line]) + separator)

    assert keys.caller(one.encode())[:2] == ("crm", "predict")
    assert keys.caller(other.encode())[:2] == ("ops", "admin")
    assert keys.caller(b"") is keys.caller(one_line.encode()) is None


@pytest.mark.parametrize(
    "part",
    [
        KEY,
        f"{KEY}:{HASHED}:predict:",
        f"crm:{KEY}:predict",
        f"crm:{HASHED}:{KEY}",
        f"crm:{'A' * 64}:predict",
        f"crm:{'9' * 63}:predict",
        f":{HASHED}:predict",
        f"{GOOD};{GOOD}",
    ],
)
@pytest.mark.slow
def test_a_malformed_part_stops_serve_and_nothing_of_it_is_repeated(
    project: Path, part: str, run, monkeypatch
):
    monkeypatch.setenv("CHURN_API_KEYS", f"{GOOD},{part}")

    done = run(project, "serve")

    pieces = {piece for piece in re.split("[:;]", part) if len(piece) > len("predict")}
    assert (done.returncode, "CHURN_API_KEYS: part 2 of 2" in done.stderr) == (2, True)
    assert [piece for piece in pieces if piece in done.stdout + done.stderr] == []


def test_an_id_has_at_most_two_keys(project: Path, run, monkeypatch):
    lines = [new_key("crm", "predict")[1] for _ in range(3)]
    monkeypatch.setenv("CHURN_API_KEYS", ",".join(lines))

    done = run(project, "serve")

    assert (done.returncode, "crm has 3 keys; allowed are 2" in done.stderr) == (
        2,
        True,
    )
    assert keys_of(",".join(lines[:2]))


@pytest.mark.parametrize(
    "host",
    [
        EVERYWHERE,
        "::",
        "192.0.2.7",
        "example.org",
        "",
        "127.0.0.1.nip.io",
        "localhost.example.org",
    ],
)
def test_a_host_that_others_reach_needs_keys_or_leave(host: str):
    with pytest.raises(ConfigError):
        refuse_exposure(host, keys_of(""), Settings(_env_file=None))
    refuse_exposure(host, keys_of(GOOD), Settings(_env_file=None))
    refuse_exposure(host, keys_of(""), Settings(_env_file=None, allow_anonymous=True))


@pytest.mark.parametrize(
    ("leave", "code"),
    [({}, 2), ({"ALLOW_ANONYMOUS": "true"}, 3), ({"API_KEYS": GOOD}, 3)],
)
def test_serve_goes_on_to_the_model_only_with_keys_or_leave(
    project: Path, leave: dict[str, str], code: int, run, monkeypatch
):
    for name, value in leave.items():
        monkeypatch.setenv(f"CHURN_{name}", value)

    # there is no model, which ends it with 3
    done = run(project, "serve", "--host", EVERYWHERE)

    assert done.returncode == code
    for name in ("CHURN_API_KEYS", "CHURN_ALLOW_ANONYMOUS=true"):
        assert (name in done.stderr) == (code == 2)
