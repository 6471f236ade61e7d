"""Make a project of this one's files: cut to a floor, under another name, with nothing left of the template.

Usage: python scripts/generate.py FOLDER NAME FLOOR [DESCRIPTION [HOLDER]] [--uncommitted]

copier calls this where it has copied the files to, also when it updates a project: files of the owner that
are none of the template's stay as they are. In the clone that this file stands in, commit first: what is cut
there, git alone brings back.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import floors
import rename
import unmarked
from git_status import Refused

UNCOMMITTED: Final = "--uncommitted"  # even if git could not take you back


def main(folder: Path, name: str, floor: str) -> None:
    """Make the project in a folder that holds a copy of this one's files."""
    files = list(floors.list_files(floors.ROOT))
    variables = rename.settings(folder)  # also of what is cut: a word of one may stand in what stays
    rename.rename(folder, name, files, variables=variables)  # refuses before the first file is changed
    floors.main(floor, folder)
    for path, text in {
        **unmarked.cut_locks(folder),
        "config.schema.json": unmarked.cut_schema(folder),
    }.items():
        (folder / path).write_bytes(text.encode())
    rename.apply(rename.rename(folder, name, files, variables=variables))


def introduce(folder: Path, description: str = "", holder: str = "") -> None:
    """Say what the project is, and who holds the copyright of what is added, where that was answered."""
    if description:
        line = f"description = {json.dumps(description, ensure_ascii=False)}"
        _replace_line(folder / "pyproject.toml", r"description = .*", lambda _: line)
    if holder:
        line_below = f"\nCopyright (c) {holder}"
        _replace_line(folder / "LICENSE", r"Copyright .*", lambda found: found[0] + line_below)


def _replace_line(path: Path, line: str, by: Callable[[re.Match[str]], str]) -> None:
    text = path.read_bytes().decode()
    path.write_bytes(re.sub(rf"(?m)^{line}$", by, text, count=1).encode())


if __name__ == "__main__":
    said = [word for word in sys.argv[1:] if word != UNCOMMITTED]
    if len(said) < 3 or said[2] not in floors.FLOORS:  # noqa: PLR2004 - folder, name, floor
        sys.exit(__doc__)
    project = Path(said[0]).resolve()
    try:
        if project == floors.ROOT and UNCOMMITTED not in sys.argv:
            floors.check_committed(project, map(str, floors.list_files(project)))
        main(project, *said[1:3])
    except Refused as why:
        sys.exit(f"refused: {why}")
    introduce(project, *said[3:5])
