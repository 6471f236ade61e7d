"""Tables in an object store, scored there and back: as on a disk, or not at all."""

import gzip
import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import s3fs

from conftest import Done, Run
from fields import field, wrong
from own import CONTRACT, TARGET
from skewless.tables.simulate import simulate
from skewless.tables.table import write_table

pytestmark = pytest.mark.usefixtures("store")
NAMES = ["a.parquet", "b.csv", "day=1/a.parquet"]
Score = Callable[..., Done]


@pytest.fixture
def score(trained: Path, run: Run) -> Score:
    return partial(run, trained, "score")


@pytest.fixture
def parts(tmp_path: Path, store: subprocess.Popen) -> Path:
    """Return a folder of tables that is also at s3://bucket/in.

    Some cells of one table are broken.
    """
    assert store.poll() is None
    column = field("integer", "number", "category")
    for number, name in enumerate(NAMES):
        table = pd.DataFrame(simulate(200, number, CONTRACT)).drop(columns=TARGET)
        if number == 0:
            table[column.name] = table[column.name].astype(object)
            table.loc[::9, column.name] = wrong(column)
            table[column.name] = table[column.name].astype(
                "str" if column.kind == "category" else float
            )
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(table, path, CONTRACT)
    s3fs.S3FileSystem().put(f"{tmp_path}/in/", "bucket/in/", recursive=True)
    return tmp_path / "in"


def objects() -> dict[str, bytes]:
    files = s3fs.S3FileSystem()
    files.invalidate_cache()
    return {
        path.removeprefix("bucket/out/"): files.cat_file(path)
        for path in files.find("bucket/out")
    }


@pytest.mark.slow
def test_a_store_gets_what_a_disk_gets(score: Score, parts: Path, tmp_path: Path):
    assert score("s3://bucket/in", "s3://bucket/out").returncode == 0
    assert score(parts, tmp_path / "out").returncode == 0

    here = {
        path.relative_to(tmp_path / "out").as_posix(): path
        for path in (tmp_path / "out").rglob("*.*")
    }
    there = objects()
    assert (
        sorted(there)
        == sorted(here)
        == ["_a.rejects.csv", "a.parquet", "b.csv.parquet", "day=1/a.parquet"]
    )
    for name, path in here.items():
        # each tells the state of its own source, so bytes differ
        if name.endswith(".parquet"):
            again = tmp_path / "again.parquet"
            again.write_bytes(there[name])
            pd.testing.assert_frame_equal(pd.read_parquet(again), pd.read_parquet(path))
        else:
            assert there[name] == path.read_bytes()


@pytest.mark.usefixtures("parts")
@pytest.mark.slow
def test_in_a_store_too_to_go_on_is_to_repeat(score: Score):
    score("s3://bucket/in/**/*.parquet", "s3://bucket/out")
    before = objects()
    s3fs.S3FileSystem().rm_file("bucket/out/day=1/a.parquet")

    again = score("s3://bucket/in/**/*.parquet", "s3://bucket/out", "--json")

    assert json.loads(again.stdout)["files_done_before"] == 1
    assert objects() == before


@pytest.mark.usefixtures("parts")
@pytest.mark.slow
def test_one_object_is_scored_to_one_and_replaced_only_if_asked(
    score: Score, tmp_path: Path
):
    first = score("s3://bucket/in/b.csv", "s3://bucket/out/b.csv")
    before = objects()
    again = score("s3://bucket/in/b.csv", "s3://bucket/out/b.csv")
    here = score("s3://bucket/in/b.csv", tmp_path / "b.csv")

    assert (first.returncode, again.returncode, here.returncode) == (0, 2, 0)
    assert "--overwrite" in again.stderr
    assert objects() == before == {"b.csv": (tmp_path / "b.csv").read_bytes()}


@pytest.mark.usefixtures("parts")
@pytest.mark.slow
def test_nothing_in_a_store_is_skipped_in_silence(score: Score):
    files = s3fs.S3FileSystem()
    files.pipe_file(
        "bucket/in/c.CSV.gz", gzip.compress(files.cat_file("bucket/in/b.csv"))
    )
    files.pipe_file("bucket/in/_SUCCESS", b"1")
    files.pipe_file("bucket/in/notes.md", b"not a table")

    refused = score("s3://bucket/in", "s3://bucket/out")
    nothing = objects()
    done = score(
        "s3://bucket/in",
        "s3://bucket/out",
        "--only",
        "*.csv",
        "--only",
        "*.gz",
        "--json",
    )

    assert (
        refused.returncode,
        "notes.md cannot be read as a table" in refused.stderr,
    ) == (3, True)
    assert nothing == {}
    assert (done.returncode, json.loads(done.stdout)["left_out"]) == (0, ["_SUCCESS"])
    assert sorted(objects()) == ["b.csv.parquet", "c.CSV.gz.parquet"]


@pytest.mark.fault
@pytest.mark.usefixtures("parts")
@pytest.mark.slow
def test_rejects_of_an_earlier_state_do_not_stay_in_a_store(score: Score):
    score("s3://bucket/in", "s3://bucket/out")
    s3fs.S3FileSystem().copy("bucket/in/day=1/a.parquet", "bucket/in/a.parquet")

    assert score("s3://bucket/in", "s3://bucket/out", "--overwrite").returncode == 0

    assert "_a.rejects.csv" not in objects()


@pytest.mark.fault
@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(
    "url", ["s3://bucket/nothing.csv", "s3://nowhere/in", "s3://bucket/in"]
)
@pytest.mark.slow
def test_a_store_that_lacks_it_or_is_down_is_named_without_its_traces(
    score: Score, store: subprocess.Popen, url: str
):
    if url == "s3://bucket/in":
        store.kill()
        store.wait()

    refused = score(url, "s3://bucket/out")

    assert refused.returncode in {1, 3}
    assert url in refused.stderr
    assert len(refused.stderr) < 300
