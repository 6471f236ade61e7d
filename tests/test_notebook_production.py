"""The notebook on production runs without a log, and says that it made one up."""

import re
from pathlib import Path


def images(outputs: list) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_production_is_looked_at_before_there_is_any(notebooks: Path, run_notebook):
    printed, outputs = run_notebook(notebooks / "04_what_production_looks_like.ipynb")

    assert re.search(
        r"the log holds no answer yet; these are \d+ made-up answers", printed
    )
    assert re.search(r"[1-9]\d* answers with a known outcome", printed)
    assert images(outputs) == 3
    assert not (notebooks.parent / "predictions").exists()
    assert not (notebooks.parent / "models").exists()
