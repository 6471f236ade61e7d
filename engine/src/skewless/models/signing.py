"""A key signs a manifest; a public key checks a manifest and its signature.

Key + manifest → signature; public key + manifest + signature → nothing, or why the
version is refused.
"""

import base64
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import SecretStr

from skewless.core.errors import ConfigError, SignatureError
from skewless.core.settings import Settings

SIGNATURE: Final = "manifest.sig"
# Base64 of the 64 bytes of an Ed25519 signature.
LINE: Final = re.compile(rb"[A-Za-z0-9+/]{86}==\n")
PEM: Final = "-----BEGIN "


class SigningKey(Protocol):
    """What signs: an Ed25519 private key."""

    def sign(self, data: bytes, /) -> bytes:
        """Return the 64 bytes of a signature."""


class PublicKey(Protocol):
    """What recognises a signature: the Ed25519 public key of a signing key."""

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """Raise cryptography's `InvalidSignature` unless the signing key signed it."""


def read_signing_key(settings: Settings) -> SigningKey | None:
    """Read the setting `signing_key`; None if there is none.

    It is PEM text or the path of a file with it.

    Raises
    ------
    ConfigError
        It is no Ed25519 private key, or has a passphrase; nothing of it is repeated.
    """
    if settings.signing_key is None:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    variable = settings.variable("signing_key")
    parse = partial(load_pem_private_key, password=None)
    key = _parse(parse, settings.signing_key, variable)
    if not isinstance(key, Ed25519PrivateKey):
        msg = (
            f"{variable}: must be an Ed25519 private key as PEM, without a passphrase. "
            "`openssl genpkey -algorithm ed25519 -out signing.pem` makes one"
        )
        raise ConfigError(msg)
    return key


def read_public_key(settings: Settings) -> PublicKey | None:
    """Read the setting `public_key`; None if there is none.

    It is PEM text or the path of a file with it.

    Raises
    ------
    ConfigError
        It is no Ed25519 public key; nothing of it is repeated, because it may be the
        private one.
    """
    if settings.public_key is None:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    variable = settings.variable("public_key")
    key = _parse(load_pem_public_key, settings.public_key, variable)
    if not isinstance(key, Ed25519PublicKey):
        msg = (
            f"{variable}: must be an Ed25519 public key as PEM. "
            "`openssl pkey -in signing.pem -pubout -out public.pem` "
            "takes it out of the signing key"
        )
        raise ConfigError(msg)
    return key


def sign(manifest: bytes, key: SigningKey) -> bytes:
    """Return what `manifest.sig` holds.

    The same key and manifest give the same bytes (RFC 8032).
    """
    return base64.b64encode(key.sign(manifest)) + b"\n"


def check_signature(
    version: str, manifest: bytes, line: bytes | None, *, key: PublicKey
) -> None:
    """Accept only what the owner of the key signed.

    Parameters
    ----------
    version
        For the message.
    manifest
        The bytes that must have been signed.
    line
        What `manifest.sig` holds; None if there is no such file.
    key
        The public key.

    Raises
    ------
    SignatureError
        There is no signature, it is none, or it is another key's or another manifest's.
    """
    from cryptography.exceptions import InvalidSignature

    if line is None:
        msg = (
            f"{version}: it is not signed, and the setting public_key asks for that. "
            f"If you know where it is from, `registry sign {version}` "
            "signs it where the signing key is"
        )
        raise SignatureError(msg)
    if not LINE.fullmatch(line):
        msg = (
            f"{version}/{SIGNATURE}: must be one line, base64 of 64 bytes. "
            "Restore it or delete it and sign"
        )
        raise SignatureError(msg)
    try:
        key.verify(base64.b64decode(line), manifest)
    except InvalidSignature as error:
        msg = (
            f"{version}/{SIGNATURE}: made by another key than the public key that is "
            "set, or for another manifest. The version is refused; "
            "restore the folder, or name the public key of who signed it"
        )
        raise SignatureError(msg) from error


def _parse(parse: Callable[[bytes], Any], setting: SecretStr, variable: str) -> Any:
    """Parse a key; None if it is none.

    Causes are left out of errors: they may quote the key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    value = setting.get_secret_value()
    if not value:
        msg = (
            f"{variable}: is set, but empty. "
            "Give PEM text or the path of a file with it, or unset it"
        )
        raise ConfigError(msg)
    try:
        pem = value.encode() if PEM in value else Path(value).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no path"
        msg = (
            f"{variable}: neither PEM text nor a file that can be read ({why}). "
            "Give either, or unset it"
        )
        raise ConfigError(msg) from None
    try:
        return parse(pem)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return None
