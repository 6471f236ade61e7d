"""Files → nothing, or a refusal: no private key, no .env, nothing over 1 MB belongs in the repository.

Usage: python scripts/refuse_files.py FILE...
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LARGEST: Final = 1_000_000  # bytes
PRIVATE_KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
SECRETS: Final = re.compile(r"\.env(\..+)?")
EXAMPLE: Final = ".env.example"


def reasons(path: Path) -> Iterator[str]:
    """Say why a file must not be committed; nothing if it may."""
    if SECRETS.fullmatch(path.name) and path.name != EXAMPLE:
        yield f"it is a file of secrets; commit {EXAMPLE} with made-up values"
    size = path.stat().st_size
    if size > LARGEST:
        yield f"it has {size:,} bytes; at most {LARGEST:,} are allowed"
    if PRIVATE_KEY.search(path.read_bytes()):
        yield "it holds a private key; remove it, and replace the key if it was ever pushed"


def main(names: list[str]) -> int:
    """Print every refusal; return 1 if there is one, else 0."""
    refusals = [f"{name}: {reason}" for name in names for reason in reasons(Path(name))]
    print("\n".join(refusals), end="\n" if refusals else "", file=sys.stderr)
    return int(bool(refusals))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
