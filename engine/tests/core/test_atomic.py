"""A file appears whole or not at all, and nothing else stays beside it.

An error names the file that was asked for.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from skewless.core.atomic import atomic_path, create_file, replace_file


def put_table(path: Path) -> None:
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(b"a\n1\n")


WAYS: dict[str, Callable[[Path], None]] = {
    "create": lambda path: create_file(path, b"new"),
    "replace": lambda path: replace_file(path, b"new"),
    "table": put_table,
}


@pytest.mark.parametrize("put", WAYS.values(), ids=WAYS)
def test_a_file_that_is_put_somewhere_is_all_that_is_there(
    tmp_path: Path, put: Callable[[Path], None]
):
    path = tmp_path / "new" / "file.csv"

    put(path)

    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_size > 0


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.parametrize("put", WAYS.values(), ids=WAYS)
def test_an_error_names_the_file_that_was_asked_for_and_leaves_no_other(
    tmp_path: Path, put: Callable[[Path], None]
):
    path = tmp_path / f"{'x' * 300}.csv"  # no system takes so long a name

    with pytest.raises(OSError, match="too long") as failed:
        put(path)

    assert str(failed.value).endswith(f": '{path}'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault
def test_a_folder_is_not_replaced_and_nothing_stays_beside_it(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()

    with pytest.raises(OSError, match=r"'.*folder'$"):
        replace_file(folder, b"new")

    assert list(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()) == []
