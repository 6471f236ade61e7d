"""The journey's page on the notebook ends with an answer over HTTP."""

import sys
from pathlib import Path

import pytest

from pages import Block, Clone, read_page

ASKED = """\
$ churn-service serve
$ churn-service example > one.json
$ curl -s http://127.0.0.1:8000/predict -H 'Content-Type: application/json' -d @one.json
{"churn_probability":0…,"model_version":"0.2.0-…
"""


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("curl")
def test_the_notebooks_model_answers_over_http(tmp_path: Path):
    clone = Clone(tmp_path / "clone").fill()

    clone.follow(read_page("from-your-notebook.md"))

    assert '"churn_probability"' in clone.said[-1]
    clone.run(sys.executable, "-W", "ignore", "notebook.py")
    assert (clone.folder / "model.joblib").exists()


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.needs("curl")
def test_a_model_without_onnx_answers_over_http(tmp_path: Path):
    clone = Clone(tmp_path / "clone").fill()
    pages = ("from-your-notebook.md", "another-estimator.md", "without-onnx.md")
    blocks = [block for page in pages for block in read_page(page)]
    prepare = [
        block
        for block in blocks
        if "curl" not in block.text and "promote" not in block.text
    ]

    clone.follow([*prepare, Block("console", None, ASKED)])
