"""A git that is first on PATH and answers nothing.

git does the same in a container that does not own the files.
"""

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
    """Put a git on PATH that says this and fails, whatever it is asked.

    It is put into the folder, which is made for it.
    """
    folder.mkdir()
    (folder / "git").write_text(FAILS.format(said=said))
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
