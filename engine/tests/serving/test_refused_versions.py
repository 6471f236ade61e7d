"""A real server answers on while it is offered what it must not serve.

It goes back to what it can serve.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conftest import ROOT, write_manifest
from own import CONTRACT
from running import ask, serving, workers
from skewless.models.artifact import CARD, ONNX
from skewless.models.packaging import sign_artifact
from skewless.models.signing import SIGNATURE
from steady import Load, configure, until
from versions import put, train

pytestmark = [pytest.mark.posix, pytest.mark.fault, pytest.mark.slow]

OURS, THEIRS = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PUBLIC = (
    OURS.public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
ADDED_FIELD = """

class Customer(Customer):
    added: Annotated[float | None, Field(ge=0, le=1, description="New", \
examples=[0.5])] = None
"""
ADDED_FEATURE = """

_before = add_features


def add_features(customers, features):
    return {**_before(customers, features), "added": customers["added"]}
"""


@pytest.fixture(scope="module")
def later_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package of next year: one nullable field and one feature more."""
    code = Path(shutil.copytree(ROOT / "src", tmp_path_factory.mktemp("later") / "src"))
    for name, text in {"schema.py": ADDED_FIELD, "features.py": ADDED_FEATURE}.items():
        with (code / "churn_service" / name).open("a") as file:
            file.write(text)
    return code


def by(code: Path, folder: Path, *words: str) -> str:
    """Run a command of other code; return what it printed."""
    environment = os.environ | {"PYTHONPATH": str(code)}  # noqa: TID251 - for the child
    command = [sys.executable, "-m", "churn_service", *words]
    return subprocess.check_output(command, cwd=folder, env=environment, text=True)


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    configure(own, "serving", poll_seconds=0.2)
    return own


def tampered(folder: Path, _good: Path) -> None:
    data = bytearray((folder / ONNX).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / ONNX).write_bytes(data)


def made_to_agree(folder: Path, _good: Path) -> None:
    (folder / CARD).write_text("It is excellent.")
    write_manifest(folder)


def unsigned(folder: Path, _good: Path) -> None:
    (folder / SIGNATURE).unlink()


def signed_by_others(folder: Path, _good: Path) -> None:
    (folder / SIGNATURE).unlink()
    sign_artifact(folder, THEIRS)


def downgraded(folder: Path, good: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(good, folder)


REFUSED: dict[Callable[[Path, Path], None], str] = {
    tampered: f"{ONNX}: its SHA-256 is not the one in",
    made_to_agree: "made by another key than the public key that is set, "
    "or for another manifest",
    unsigned: "it is not signed",
    signed_by_others: "made by another key than the public key that is set, "
    "or for another manifest",
    downgraded: "holds version",
}


@pytest.fixture
def signed(own: Path, later_code: Path) -> tuple[str, str, str]:
    """Return three signed versions: production's, another, and one of later code."""
    first, other = train(own), train(own, model={"max_iter": 5})
    elsewhere = Path(shutil.copytree(own, own.with_name("elsewhere")))
    (elsewhere / "data/table.csv").unlink()
    by(later_code, elsewhere, "sample")
    later = json.loads(by(later_code, elsewhere, "train", "--json"))["version"]
    shutil.copytree(elsewhere / "models" / later, own / "models" / later)
    for version in (first, other, later):
        sign_artifact(own / "models" / version, OURS)
    put(own, first)
    return first, other, later


def refusal(url: str, folder: Path, version: str) -> str:
    """Put a refused version into production, then the one before.

    Returns what answered meanwhile.
    """
    before = ask(f"{url}/ready")["model_version"]
    put(folder, version)
    until(lambda: ask(f"{url}/ready")["refused_version"] == version, "it is refused")
    answering = ask(f"{url}/predict", CONTRACT.example())["model_version"]
    put(folder, before)
    until(lambda: ask(f"{url}/ready")["refused_version"] is None, "that is over")
    return answering


def test_what_must_not_be_served_is_refused_and_the_model_answers_on(
    own: Path,
    signed: tuple[str, str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    first, other, later = signed
    folder, whole = (
        own / "models" / other,
        Path(shutil.copytree(own / "models" / other, own / "whole")),
    )
    monkeypatch.setenv("CHURN_PUBLIC_KEY", PUBLIC)
    capfd.readouterr()  # what training said

    answering = []
    with serving(own) as (url, _), Load(url) as load:
        for spoil in REFUSED:
            spoil(folder, own / "models" / first)
            answering.append(refusal(url, own, other))
            shutil.rmtree(folder)
            shutil.copytree(whole, folder)
        answering.append(refusal(url, own, later))
        put(own, other)
        until(
            lambda: ask(f"{url}/ready")["model_version"] == other,
            "a good one is served",
        )

    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    reasons = [line["reason"] for line in told if line["event"] == "no model"]
    expected = [
        *REFUSED.values(),
        f"{later} does not fit this code: schema.py or features.py",
    ]
    assert answering == [first] * len(expected)
    assert [said in reason for said, reason in zip(expected, reasons, strict=True)] == [
        True
    ] * len(expected)
    assert (load.reset, {answer.status for answer in load.answers}) == ([], {200})
    assert {answer.body["model_version"] for answer in load.answers} == {first, other}


def test_a_worker_that_dies_while_production_is_refused_is_replaced(
    own: Path,
):
    first, other = train(own), train(own, model={"max_iter": 5})
    put(own, first)

    with serving(own, "--workers", "2") as (url, server), Load(url) as load:
        until(lambda: len(workers(server.pid)) == 2, "both are there")
        (own / "models" / other / ONNX).write_bytes(b"")
        put(own, other)
        before = workers(server.pid)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(workers(server.pid) - before) == 1, "another is there")
        load.reach(200)
        until(lambda: ask(f"{url}/ready")["refused_version"] == other, "it says so")
        after = workers(server.pid)

    assert len(after) == 2
    assert {answer.status for answer in load.answers} == {200}
    assert {answer.body["model_version"] for answer in load.answers} == {first}


def test_who_cannot_replace_a_worker_leaves_the_other_in_peace(
    own: Path, capfd: pytest.CaptureFixture[str]
):
    version = train(own)
    put(own, version)
    whole = Path(shutil.copytree(own / "models", own / "whole"))
    said = list[str]()

    def heard(event: str) -> int:
        said.append(capfd.readouterr().err)
        return "".join(said).count(event)

    with serving(own, "--workers", "2") as (url, server):
        until(lambda: heard('"event":"started"') == 2, "both are there")
        shutil.rmtree(own / "models" / version)
        before = workers(server.pid)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: heard("could not start; trying again"), "it was tried")
        alone = ask(f"{url}/predict", CONTRACT.example())["model_version"]
        shutil.copytree(whole / version, own / "models" / version)
        until(lambda: len(workers(server.pid)) == 2, "there are two again", seconds=60)

    assert alone == version


def test_a_rollback_reaches_a_version_from_before_a_field_and_a_feature_were_added(
    own: Path, later_code: Path, monkeypatch: pytest.MonkeyPatch
):
    old = train(own)
    (own / "data/table.csv").unlink()
    by(later_code, own, "sample")
    new = json.loads(by(later_code, own, "train", "--json"))["version"]
    put(own, old)
    put(own, new)
    monkeypatch.setenv("PYTHONPATH", str(later_code))

    with serving(own) as (url, _):
        before = ask(f"{url}/predict", {**CONTRACT.example(), "added": 0.5})[
            "model_version"
        ]
        by(later_code, own, "registry", "rollback")
        until(
            lambda: ask(f"{url}/ready")["model_version"] == old, "the old one answers"
        )
        bodies = CONTRACT.example(), {**CONTRACT.example(), "added": 1.0}
        after = [ask(f"{url}/predict", body)["churn_probability"] for body in bodies]

    assert (before, after[0]) == (new, after[1])
