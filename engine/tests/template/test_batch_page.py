"""The page about scoring tables is done as it stands, in a copy of the project."""

from pathlib import Path

import pytest

from pages import Clone, read_page


@pytest.mark.slow
def test_the_page_is_done_as_it_stands(tmp_path: Path):
    Clone(tmp_path / "clone").fill().follow(read_page("batch.md"))
