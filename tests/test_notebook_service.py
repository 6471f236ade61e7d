"""The notebook that ends at the service proves that both give the same number.

It does so every time it runs.
"""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NAME = "03_from_notebook_to_service.ipynb"


def test_the_notebook_and_the_service_give_the_same_probability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    document = yaml.safe_load((ROOT / "config.yaml").read_text())
    document["data"] |= {
        "path": "data/absent.csv",
        "sample": {"rows": 2000, "random_state": 42},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / NAME, folder)
    notebook = nbformat.read(folder / NAME, as_version=4)

    NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(folder)}}
    ).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(
        output.text for output in outputs if output.get("name") == "stdout"
    )
    proof = re.search(r"the notebook and the service agree: (\S+) == (\S+)", printed)
    assert proof is not None
    assert proof[1] == proof[2]
    assert 0 < float(proof[1]) < 1
    assert "422 application/problem+json" in printed
    assert not (tmp_path / "models").exists()
