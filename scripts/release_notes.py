"""Print what CHANGELOG.md says of a version.

The project must be of that version, and the section must be dated.

Usage: python scripts/release_notes.py vX.Y.Z
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(tag: str, changelog: str, version: str) -> str:
    """Return the section of a version.

    Raises
    ------
    ValueError
        The tag is of another version than the project, or the section is absent,
        undated or empty.
    """
    if tag != f"v{version}":
        msg = (
            f"the tag is {tag or 'not given'}, "
            f"but pyproject.toml says {version}; tag v{version}"
        )
        raise ValueError(msg)
    section = re.compile(
        rf"(?ms)^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)"
    )
    found = section.search(changelog)
    if found is None or not found[1].strip():
        msg = (
            "CHANGELOG.md: write what is new under the heading "
            f"'## [{version}] - YYYY-MM-DD'"
        )
        raise ValueError(msg)
    return found[1].strip()


def main() -> None:
    """Print the notes of the tag that is named."""
    (tag,) = sys.argv[1:] or [""]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    try:
        print(notes(tag, (ROOT / "CHANGELOG.md").read_text(), version))
    except ValueError as error:
        sys.exit(f"release-notes: {error}")


if __name__ == "__main__":
    main()
