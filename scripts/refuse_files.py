"""Refuse files that do not belong in the repository.

They are private keys, .env files and whatever is over 1 MB.

Usage: python scripts/refuse_files.py FILE...
       python scripts/refuse_files.py --tracked    (every file that git has)
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from git_status import Refused, shown, tracked

LARGEST: Final = 1_000_000  # bytes
PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
)
SECRETS: Final = re.compile(r"\.env(\..+)?")
EXAMPLE: Final = ".env.example"


def reasons(path: Path) -> Iterator[str]:
    """Say why a file must not be committed; nothing if it may."""
    if SECRETS.fullmatch(path.name) and path.name != EXAMPLE:
        yield f"it is a file of secrets; commit {EXAMPLE} with made-up values"
    if path.is_symlink():
        return  # a commit holds where it points to, and not what is there
    if not path.is_file():
        yield "it was not looked at, as no file is there; restore it, or git rm it"
        return
    size = path.stat().st_size
    if size > LARGEST:
        yield f"it has {size:,} bytes; at most {LARGEST:,} are allowed"
    if PRIVATE_KEY.search(path.read_bytes()):
        yield (
            "it holds a private key; "
            "remove it, and replace the key if it was ever pushed"
        )


def main(words: list[str]) -> int:
    """Print every refusal.

    Return 1 if there is one or it is not known what to look at, else 0.
    """
    try:
        names = tracked(Path.cwd()) if words == ["--tracked"] else words
    except Refused as why:
        print(
            "NOT CHECKED: whether the repository holds a private key, "
            "a file of secrets or a file over 1 MB, "
            f"because {why}. Install git, and run this in a clone; "
            "or git init, git add --all, git commit",
            file=sys.stderr,
        )
        return 1
    refusals = [
        f"{shown(name)}: {reason}" for name in names for reason in reasons(Path(name))
    ]
    print("\n".join(refusals), end="\n" if refusals else "", file=sys.stderr)
    return int(bool(refusals))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
