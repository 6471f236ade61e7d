"""Where a public key is configured, nothing is loaded that its owner did not sign."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import SecretStr

from conftest import ROOT, write_manifest
from own import PROJECT
from skewless.core import atomic
from skewless.core.errors import ConfigError, SignatureError, TamperedArtifactError
from skewless.core.settings import Settings, load_settings
from skewless.models.artifact import CARD, MANIFEST, METADATA, read_artifact
from skewless.models.packaging import sign_artifact
from skewless.models.predict import load_predictor
from skewless.models.signing import (
    SIGNATURE,
    PublicKey,
    read_public_key,
    read_signing_key,
)
from skewless.registry.registry import Registry


def private_pem(key, encryption=None) -> str:
    form = (Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return key.private_bytes(*form).decode()


def public_pem(key) -> str:
    return (
        key.public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


OURS, THEIRS, OTHER_KIND = (
    Ed25519PrivateKey.generate(),
    Ed25519PrivateKey.generate(),
    Ed448PrivateKey.generate(),
)
PUBLIC: PublicKey = OURS.public_key()


@pytest.fixture
def signed(own_version: Path) -> Path:
    sign_artifact(own_version, OURS)
    return own_version


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the project with its unsigned version."""
    return Path(shutil.copytree(trained, tmp_path / "own"))


def test_a_signed_version_loads_with_the_key_that_belongs_to_it(signed: Path):
    assert load_predictor(signed, PROJECT, public_key=PUBLIC).version == signed.name
    assert re.fullmatch(r"[A-Za-z0-9+/]{86}==\n", (signed / SIGNATURE).read_text())


def test_without_a_public_key_no_signature_is_looked_at(
    own_version: Path,
):
    unsigned = load_predictor(own_version, PROJECT).version
    (own_version / SIGNATURE).write_text("anything")

    assert load_predictor(own_version, PROJECT).version == unsigned


def test_an_unsigned_version_is_refused_with_the_command_that_signs_it(
    own_version: Path,
):
    with pytest.raises(
        SignatureError, match=f"is not signed.*registry sign {own_version.name}"
    ):
        load_predictor(own_version, PROJECT, public_key=PUBLIC)


def test_a_signature_by_another_key_is_refused(own_version: Path):
    sign_artifact(own_version, THEIRS)

    with pytest.raises(
        SignatureError, match="made by another key than the public key that is set"
    ):
        load_predictor(own_version, PROJECT, public_key=PUBLIC)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [(CARD, "ROC", "roc"), (METADATA, '"roc_auc": 0.', '"roc_auc": 0.9')],
)
def test_a_change_whose_hashes_were_made_to_agree_is_refused(
    signed: Path, name: str, old: str, new: str
):
    text = (signed / name).read_text()
    (signed / name).write_text(text.replace(old, new))
    write_manifest(signed)
    # the hashes say nothing against it
    assert read_artifact(signed).files[name] != text.encode()

    with pytest.raises(SignatureError, match="or for another manifest"):
        read_artifact(signed, PUBLIC)


def test_a_changed_file_is_refused_by_its_hash_also_when_the_signature_is_good(
    signed: Path,
):
    (signed / CARD).write_text("other")

    with pytest.raises(TamperedArtifactError, match=CARD):
        read_artifact(signed, PUBLIC)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"AAAA\n",
        b"A" * 86 + b"==",
        b"A" * 86 + b"==\r\n",
        b"A" * 86 + b"==\n\n",
        b"-" * 86 + b"==\n",
        b"\xff" * 89,
    ],
)
def test_what_is_no_signature_is_refused_as_such(signed: Path, line: bytes):
    (signed / SIGNATURE).write_bytes(line)

    with pytest.raises(SignatureError, match="must be one line, base64 of 64 bytes"):
        read_artifact(signed, PUBLIC)


@pytest.mark.posix
def test_a_signature_that_is_no_plain_file_is_refused(signed: Path):
    (signed / SIGNATURE).rename(signed.parent / "elsewhere")
    (signed / SIGNATURE).symlink_to(signed.parent / "elsewhere")

    with pytest.raises(
        TamperedArtifactError, match=r"manifest\.sig: it must be a plain file"
    ):
        read_artifact(signed, PUBLIC)


@pytest.mark.slow
def test_a_signed_older_version_is_refused_under_the_name_of_a_newer_one(
    own: Path, run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_SIGNING_KEY", private_pem(OURS))
    run(own, "registry", "sign")
    (old,) = (own / "models").glob("*-*")
    config = (own / "config.yaml").read_text()
    (own / "config.yaml").write_text(config.replace("max_iter: 40", "max_iter: 41"))
    run(own, "train")
    (new,) = set((own / "models").glob("*-*")) - {old}
    registry = Registry(own / "models", PUBLIC)
    assert registry.load(new.name).metadata.version == new.name

    shutil.copy(old / SIGNATURE, new / SIGNATURE)
    with pytest.raises(SignatureError, match="or for another manifest"):
        registry.load(new.name)

    shutil.copytree(old, new, dirs_exist_ok=True)
    with pytest.raises(
        TamperedArtifactError, match=f"{new.name}: holds version {old.name}"
    ):
        registry.load(new.name)


def test_a_version_that_is_damaged_is_not_signed(own_version: Path):
    (own_version / CARD).write_text("other")

    with pytest.raises(TamperedArtifactError, match=CARD):
        sign_artifact(own_version, OURS)

    assert not (own_version / SIGNATURE).exists()


def test_signing_again_changes_nothing_and_another_key_replaces_nothing(signed: Path):
    before = (signed / SIGNATURE).read_bytes()

    sign_artifact(signed, OURS)
    with pytest.raises(SignatureError, match="is there already, and not by this key"):
        sign_artifact(signed, THEIRS)

    assert (signed / SIGNATURE).read_bytes() == before


def test_a_version_can_be_read_at_every_moment_while_it_is_signed(
    own_version: Path, monkeypatch: pytest.MonkeyPatch
):
    seen, link = [], os.link

    def reading(*paths: Path) -> None:
        seen.append(read_artifact(own_version).metadata.version)
        link(*paths)
        seen.append(read_artifact(own_version, PUBLIC).metadata.version)

    monkeypatch.setattr(atomic.os, "link", reading)
    sign_artifact(own_version, OURS)

    assert seen == [own_version.name] * 2
    assert list(own_version.parent.iterdir()) == [own_version]


READERS = {"signing_key": read_signing_key, "public_key": read_public_key}
MATERIAL = "QUJDREVGR0hJSktM"  # what must not come back


def pem(kind: str) -> str:
    return f"-----BEGIN {kind}-----\n{MATERIAL}\n-----END {kind}-----\n"


WRONG = {
    "no key": {"signing_key": pem("SOMETHING"), "public_key": pem("SOMETHING")},
    "damaged": {
        "signing_key": pem("PRIVATE" + " KEY"),
        "public_key": pem("PUBLIC KEY"),
    },
    "the other half": {
        "signing_key": public_pem(OURS),
        "public_key": private_pem(OURS),
    },
    "another kind": {
        "signing_key": private_pem(OTHER_KIND),
        "public_key": public_pem(OTHER_KIND),
    },
    "with a passphrase": {
        "signing_key": private_pem(OURS, BestAvailableEncryption(b"word"))
    },
    "not there": {"signing_key": f"{MATERIAL}.pem", "public_key": f"{MATERIAL}.pem"},
    "no PEM": {"signing_key": MATERIAL * 400, "public_key": MATERIAL * 400},
    "a folder": {"signing_key": "/", "public_key": "/"},
    "empty": {"signing_key": "", "public_key": ""},
    "no path": {"signing_key": f"\0{MATERIAL}", "public_key": f"\0{MATERIAL}"},
}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (variable, value)
        for wrong in WRONG.values()
        for variable, value in wrong.items()
    ],
    ids=[
        f"{name} in {variable}" for name, wrong in WRONG.items() for variable in wrong
    ],
)
def test_a_wrong_key_is_refused_by_the_name_of_its_variable_and_never_repeated(
    variable: str, value: str
):
    with pytest.raises(ConfigError) as refused:
        READERS[variable](Settings(_env_file=None, **{variable: SecretStr(value)}))

    told = f"{refused.value}{refused.value.__cause__}"
    assert told.startswith(f"SKEWLESS_{variable.upper()}: ")
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert not [line for line in value.split() if len(line) > 8 and line in told]


def test_a_key_is_given_as_text_or_as_the_path_of_a_file(signed: Path, tmp_path: Path):
    manifest = (signed / MANIFEST).read_bytes()
    (tmp_path / "signing.pem").write_text(private_pem(OURS))
    (tmp_path / "public.pem").write_text(public_pem(OURS))

    for signing, public in [
        (private_pem(OURS), public_pem(OURS)),
        (str(tmp_path / "signing.pem"), str(tmp_path / "public.pem")),
    ]:
        keys = Settings(_env_file=None, signing_key=signing, public_key=public)
        signature = read_signing_key(keys).sign(manifest)
        assert (
            read_artifact(signed, read_public_key(keys)).metadata.version == signed.name
        )
        assert signature == OURS.sign(manifest)


def test_settings_hide_both_keys(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURN_SIGNING_KEY", MATERIAL)
    monkeypatch.setenv("CHURN_PUBLIC_KEY", MATERIAL)

    assert MATERIAL not in repr(load_settings(PROJECT.prefix))


LOADING = [
    ["score", "data/table.csv", "out.csv"],
    ["evaluate"],
    ["registry", "show"],
    ["registry", "verify"],
    ["registry", "promote", "newest", "--to", "staging"],
    ["serve", "--port", "1"],
]


@pytest.mark.parametrize("words", LOADING, ids=" ".join)
def test_every_command_that_loads_a_model_refuses_an_unsigned_one(
    trained: Path, words: list[str], run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_PUBLIC_KEY", public_pem(OURS))

    done = run(trained, *words)

    assert (done.returncode, "it is not signed" in done.stderr) == (3, True), (
        done.stderr
    )


@pytest.mark.parametrize("words", LOADING, ids=" ".join)
@pytest.mark.slow
def test_every_command_that_loads_a_model_ends_with_two_by_a_malformed_key(
    trained: Path, words: list[str], run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_PUBLIC_KEY", pem("PUBLIC KEY"))

    done = run(trained, *words)

    assert (done.returncode, "CHURN_PUBLIC_KEY: must be" in done.stderr) == (2, True), (
        done.stderr
    )
    assert MATERIAL not in done.stderr


def test_an_unsigned_version_is_listed_as_whole_so_that_somebody_may_sign_it(
    trained: Path, run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_PUBLIC_KEY", public_pem(OURS))

    done = run(trained, "registry", "list")

    assert ("ROC AUC" in done.stdout, "DAMAGED" in done.stdout) == (True, False)
    assert "it is not signed" in done.stdout


def test_registry_sign_signs_the_newest_and_the_other_commands_take_it(
    own: Path, run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_PUBLIC_KEY", public_pem(OURS))
    monkeypatch.setenv("CHURN_SIGNING_KEY", private_pem(OURS))

    done = run(own, "registry", "sign")

    assert (done.returncode, "verified and signed" in done.stdout) == (0, True), (
        done.stderr
    )
    for words in (
        ["score", "data/table.csv", "out.csv"],
        ["evaluate"],
        ["registry", "verify"],
    ):
        assert run(own, *words).returncode == 0


def test_registry_sign_without_a_key_ends_with_two_and_names_the_variable(
    trained: Path, run
):
    done = run(trained, "registry", "sign")

    assert (done.returncode, "CHURN_SIGNING_KEY: not set" in done.stderr) == (2, True)


@pytest.mark.slow
def test_train_signs_a_new_version_and_one_that_is_there_unsigned(
    own: Path, run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_SIGNING_KEY", private_pem(OURS))
    (folder,) = (own / "models").glob("*-*")

    kept = run(own, "train")
    assert (kept.returncode, "verified and kept" in kept.stdout) == (0, True), (
        kept.stderr
    )
    assert read_artifact(folder, PUBLIC).metadata.version == folder.name

    shutil.rmtree(own / "models")
    anew = run(own, "train")
    assert (anew.returncode, "signing the version" in anew.stderr) == (0, True), (
        anew.stderr
    )
    assert Registry(own / "models", PUBLIC).load().metadata.version == folder.name


def test_train_refuses_a_malformed_key_before_the_work(
    own: Path, run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_SIGNING_KEY", pem("PRIVATE" + " KEY"))

    done = run(own, "train")

    assert (done.returncode, "CHURN_SIGNING_KEY: must be" in done.stderr) == (2, True)
    assert "reading" not in done.stderr


LOADS = """
import sys
from pathlib import Path
from skewless.models.predict import load_predictor
from churn_service.project import project
from skewless.core.settings import load_settings
from skewless.models.signing import read_public_key
public_key = read_public_key(load_settings(project.prefix))
load_predictor(Path(sys.argv[1]), project, public_key=public_key)
print("cryptography" in sys.modules)
"""


@pytest.mark.slow
def test_a_process_without_a_public_key_does_not_load_the_library(signed: Path):
    command = [sys.executable, "-c", LOADS, signed]
    key = {"CHURN_PUBLIC_KEY": public_pem(OURS)}
    with_key = os.environ | key  # noqa: TID251 - the child inherits ours

    said = [
        subprocess.check_output(command, env=env, text=True).strip()
        for env in (None, with_key)
    ]

    assert said == ["False", "True"]


@pytest.mark.needs("openssl")
def test_the_keys_that_the_page_makes_sign_and_recognise(
    own_version: Path, tmp_path: Path
):
    page = (ROOT / "docs/signing.md").read_text()
    made = re.findall(r"^\$ (openssl .+)$", page, re.MULTILINE)

    for line in made:
        subprocess.run(shlex.split(line), cwd=tmp_path, check=True)
    keys = {
        f"{name}_key": str(tmp_path / f"{name}.pem") for name in ("signing", "public")
    }
    settings = Settings(_env_file=None, **keys)
    sign_artifact(own_version, read_signing_key(settings))

    public = read_public_key(settings)
    assert len(made) == 2
    assert read_artifact(own_version, public).metadata.version == own_version.name
