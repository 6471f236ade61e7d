"""The journey's page on the notebook ends with an answer over HTTP."""

import sys
from pathlib import Path

import pytest

from pages import Clone, read_page


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("curl")
def test_the_notebooks_model_answers_over_http(tmp_path: Path):
    clone = Clone(tmp_path / "clone").fill()

    clone.follow(read_page("from-your-notebook.md"))

    assert '"churn_probability"' in clone.said[-1]
    clone.run(sys.executable, "-W", "ignore", "notebook.py")
    assert (clone.folder / "model.joblib").exists()
