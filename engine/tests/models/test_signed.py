"""A process of the service asks for the signature each time that it loads a model."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from own import PROJECT
from skewless.core.config_file import load_config
from skewless.core.errors import ConfigError, SignatureError
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.models.packaging import sign_artifact
from skewless.models.signing import SIGNATURE
from skewless.serving.follow import find_models as models


def test_a_process_loads_a_version_when_it_is_signed_and_not_before_or_after(
    trained: Path, tmp_path: Path
):
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    (folder,) = (own / "models").glob("*-*")
    key = Ed25519PrivateKey.generate()
    public = (
        key.public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    config = load_config(own / "config.yaml", PROJECT)
    source = models(Workspace(PROJECT, config, own, Settings(public_key=public)))

    with pytest.raises(SignatureError, match="it is not signed"):
        source.load()
    sign_artifact(folder, key)
    assert source.load().version == folder.name
    (folder / SIGNATURE).unlink()
    with pytest.raises(SignatureError, match="it is not signed"):
        source.load()


def test_a_malformed_key_ends_a_process_before_it_looks_for_a_model(trained: Path):
    config = load_config(trained / "config.yaml", PROJECT)
    work = Workspace(
        PROJECT, config, trained, Settings(public_key="-----BEGIN NOTHING")
    )

    with pytest.raises(ConfigError, match="SKEWLESS_PUBLIC_KEY: must be"):
        models(work)
