"""A git that is first on PATH and answers nothing, as in a container that is not the owner of the files."""

from pathlib import Path

import pytest

DUBIOUS = """\
fatal: detected dubious ownership in repository at '/srv/churn'
To add an exception for this directory, call:

	git config --global --add safe.directory /srv/churn"""
FAILS = """\
#!/bin/sh
cat >&2 <<'END'
{said}
END
exit 128
"""


def say(monkeypatch: pytest.MonkeyPatch, folder: Path, said: str) -> None:
    """Put a git into a folder and the folder on PATH; whatever it is asked, it says this and fails."""
    folder.mkdir()
    (folder / "git").write_text(FAILS.format(said=said))
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
