"""`X-API-Key` → who calls, and what they may do."""

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections import Counter
from typing import Final, Literal, NamedTuple, cast

from skewless.core.errors import ConfigError
from skewless.core.settings import Settings

KeyScope = Literal["predict", "admin"]
LINE: Final = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9a-f]{64}):(predict|admin)")
# Keys of one caller: the old one and the new one while they are exchanged.
MOST_PER_ID = 2
SHOWN_DIGITS = 8  # of a key's hash in the log, to tell an old key from a new one
FORM: Final = "id:sha256:scope, as `keys new` prints it; commas separate several"


class Caller(NamedTuple):
    """Who calls: a key's id and scope, and its name in the log.

    An admin's key may also predict.
    """

    id: str
    scope: KeyScope
    name: str


class Keys:
    """The configured keys, of which only hashes are known.

    Parameters
    ----------
    settings
        Hold the keys' lines, as `new_key` makes them.

    Raises
    ------
    ConfigError
        A part is malformed, or an id has more than two keys. The message repeats no
        part: it may be a key.
    """

    def __init__(self, settings: Settings) -> None:
        text = settings.api_keys.get_secret_value()
        variable = settings.variable("api_keys")
        parts = [part for part in re.split(r"[,\s]+", text) if part]
        self._keys: list[tuple[bytes, Caller]] = []
        self._seen: dict[bytes, Caller] = {}
        for position, part in enumerate(parts, start=1):
            found = LINE.fullmatch(part)
            if found is None:
                msg = (
                    f"{variable}: part {position} of {len(parts)} is malformed; "
                    f"it must be {FORM}"
                )
                raise ConfigError(msg)
            name, digits, scope = found.groups()
            shown = f"{name}:{digits[:SHOWN_DIGITS]}"
            caller = Caller(name, cast("KeyScope", scope), shown)
            self._keys.append((bytes.fromhex(digits), caller))
        for name, count in Counter(caller.id for _, caller in self._keys).items():
            if count > MOST_PER_ID:
                msg = (
                    f"{variable}: {name} has {count} keys; "
                    f"allowed are {MOST_PER_ID}, old and new"
                )
                raise ConfigError(msg)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def caller(self, key: bytes) -> Caller | None:
        """Find whose key this is, in a time that tells nothing about the keys."""
        seen = self._seen.get(key)
        if seen is not None:  # it was right before; wrong ones are not kept
            return seen
        digest = hashlib.sha256(key).digest()
        found = None
        for known, caller in self._keys:
            if hmac.compare_digest(digest, known):
                found = caller
        if found is not None:
            self._seen[key] = found
        return found


def new_key(name: str, scope: KeyScope) -> tuple[str, str]:
    """Make a key; return it and the line to configure, which holds only its hash.

    Raises
    ------
    ConfigError
        The name does not fit into the line.
    """
    key = secrets.token_urlsafe(32)
    line = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}:{scope}"
    if LINE.fullmatch(line) is None:
        msg = (
            f"id: found {name!r}; allowed are 1 to 64 letters, digits, '.', '_' and '-'"
        )
        raise ConfigError(msg)
    return key, line


def refuse_exposure(host: str, keys: Keys, settings: Settings) -> None:
    """Stop before anybody on the network can ask without a key.

    Raises
    ------
    ConfigError
        The host is not this machine alone, there is no key, and nobody allowed that.
    """
    if not (_is_loopback(host) or keys or settings.allow_anonymous):
        msg = (
            f"{host} can be reached from other machines, and no key is configured. "
            f"Make one with `keys new` and set {settings.variable('api_keys')}; "
            f"or set {settings.variable('allow_anonymous')}=true to answer anybody"
        )
        raise ConfigError(msg)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name; another than this one may lead anywhere
        return host == "localhost"
