"""Record ids → who is held out, for ever."""

import hashlib

import numpy as np
import pandas as pd


def is_holdout(ids: pd.Series, *, fraction: float, salt: str) -> np.ndarray:
    """Tell which records are held out, bool of shape (n,).

    Adding rows moves nobody to the other side. A keyed hash of the id decides, so the
    split needs neither a seed nor the other rows.
    """
    key = salt.encode()
    limit = int(fraction * 2**64)
    return np.array([_place(name, key) < limit for name in ids], dtype=bool)


def _place(name: str, key: bytes) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big")
