"""What a clone has only to make projects → removed, as copier leaves it out of the projects that it makes."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from git_status import Refused, uncommitted

LISTED: Final = "copier.yml"


def template_only(root: Path) -> list[str]:
    """Name files and folders that no project has, of which git could bring back everything.

    None in a project that copier made, nor where git does not tell.
    """
    if not (root / LISTED).exists():
        return []
    excluded = yaml.safe_load((root / LISTED).read_text(encoding="utf-8"))["_exclude"]
    always = [name for name in excluded if "{%" not in name and name != ".git"]
    try:
        changed = uncommitted(root)
    except Refused:
        return []
    return [
        name
        for name in always
        if (root / name).exists() and not any(each == name or each.startswith(f"{name}/") for each in changed)
    ]


def remove(root: Path, names: Sequence[str]) -> None:
    """Remove files and folders."""
    for name in names:
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
