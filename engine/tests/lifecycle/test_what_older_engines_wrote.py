"""This engine reads what an older one wrote.

That is versions, decisions, the prediction log and outcomes.

`written` holds what each released engine left in the folder of the small project
`codes`. That of the present engine is made by ``PYTHONPATH=tests python
tests/lifecycle/test_what_older_engines_wrote.py`` when it is released, and never again.
"""

import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pandas as pd
import pytest

from skewless.core.workspace import open_workspace
from skewless.testing import connect, run_command
from small_projects import SMALL, Small

WRITTEN = Path(__file__).with_name("written")
EXPECTED = "expected.json"
ROWS = 300
(CODES,) = (small for small in SMALL if small.name == "codes")


@pytest.fixture(params=sorted(WRITTEN.glob("*.zip")), ids=lambda path: path.stem)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a project that an older engine left.

    It has a version in production, a log and outcomes.
    """
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path / "older")
    return tmp_path / "older"


def expected(folder: Path) -> dict:
    return json.loads((folder / EXPECTED).read_text())


def run(folder: Path, *words: object) -> str:
    done = run_command(CODES.project, folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def asked(small: Small, folder: Path) -> Iterator[dict]:
    """Yield the first rows of the table as a caller sends them."""
    contract = small.project.contract
    headers = {
        contract.table.headers[column.name]: column for column in contract.columns
    }
    table = pd.read_csv(folder / "data" / small.other.file, dtype=str)
    for _, row in table.head(ROWS).iterrows():
        record = {"row_key": row[small.other.id]}
        for header, column in headers.items():
            record[column.name] = (
                row[header] if column.kind == "category" else int(row[header])
            )
        yield record


def answers_of(folder: Path) -> list[dict]:
    """Ask a service about the first rows, one by one."""
    work = open_workspace(CODES.project, folder / "config.yaml")
    rows = asked(CODES, folder)
    with connect(CODES.app(), work) as client:
        return [client.post("/predict", json=row).json() for row in rows]


def promote_newest(folder: Path) -> None:
    words = ("--to", "production", "--force", "--reason", "first")
    run(folder, "registry", "promote", "newest", *words)


def test_its_versions_are_whole_and_answer_as_they_did(older: Path):
    version = expected(older)["version"]

    assert f"{version}  whole, and answers as it did" in run(
        older, "registry", "verify"
    )
    answers = answers_of(older)
    assert [answer["p"] for answer in answers] == expected(older)["probabilities"]
    assert {answer["by"] for answer in answers} == {version}


def test_its_log_and_outcomes_are_read(older: Path):
    moment = expected(older)["written_at"]

    drift = json.loads(run(older, "drift", "--json", "--until", moment))
    weeks = run_command(
        CODES.project, older, "performance", "--json", "--as-of", moment
    )

    assert drift["rows"] == ROWS
    assert sum(week["labelled"] for week in json.loads(weeks.stdout)["weeks"]) == ROWS


def test_decisions_go_on_after_its_own_and_lead_back_to_it(older: Path):
    before = expected(older)["version"]
    config = older / "config.yaml"
    config.write_text(config.read_text().replace("version: 0.1.0", "version: 9.9.9"))
    run(older, "train")

    promote_newest(older)
    run(older, "registry", "rollback", "--reason", "older")

    (production,) = (
        line["version"]
        for line in map(
            json.loads, run(older, "registry", "list", "--json").splitlines()
        )
        if "production" in line["aliases"]
    )
    assert production == before


def write(place: Path) -> None:
    """Let the present engine write what later ones have to read.

    It names no machine.
    """
    with (
        TemporaryDirectory() as name,
        patch("socket.gethostname", lambda: "host"),
        patch.dict("os.environ", {"LOGNAME": "ada"}),
    ):
        folder = CODES.make(Path(name) / "project")
        run(folder, "train")
        promote_newest(folder)
        answers = answers_of(folder)
        table = pd.read_csv(folder / "data" / CODES.other.file).head(ROWS)
        known = table[["key", "gone"]].rename(
            columns={"key": "row_key", "gone": "outcome"}
        )
        observed = known.assign(
            outcome=known["outcome"] - 1, observed_at=pd.Timestamp.now(tz="UTC")
        )
        observed.astype({"row_key": str}).to_parquet(folder / "outcomes.parquet")
        run(folder, "outcomes", folder / "outcomes.parquet")
        found = {
            "version": answers[0]["by"],
            "probabilities": [answer["p"] for answer in answers],
            "written_at": datetime.now(UTC).isoformat(),
        }
        (folder / EXPECTED).write_text(json.dumps(found))
        (folder / "outcomes.parquet").unlink()
        (folder / "requirements-dev.lock").unlink()
        place.parent.mkdir(exist_ok=True)
        shutil.make_archive(str(place.with_suffix("")), "zip", folder)


if __name__ == "__main__":
    write(WRITTEN / f"{version('skewless')}.zip")
