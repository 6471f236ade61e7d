"""The notebook that ends at the service proves that both give the same number.

It does so every time it runs.
"""

import re
from pathlib import Path


def test_the_notebook_and_the_service_give_the_same_probability(
    notebooks: Path, run_notebook
):
    printed, _ = run_notebook(notebooks / "03_from_notebook_to_service.ipynb")

    proof = re.search(r"the notebook and the service agree: (\S+) == (\S+)", printed)
    assert proof is not None
    assert proof[1] == proof[2]
    assert 0 < float(proof[1]) < 1
    assert "422 application/problem+json" in printed
    assert not (notebooks.parent / "models").exists()
