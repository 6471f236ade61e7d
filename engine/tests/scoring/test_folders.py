"""Scoring a folder gives the same answers, however many workers do it.

That holds whatever is killed or broken meanwhile.
"""

import csv
import errno
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import Done, Run
from fields import wrong
from own import CONTRACT, TARGET
from skewless.core.url import Url
from skewless.scoring import batch
from skewless.scoring.batch import plan_parts
from skewless.scoring.places import find_sources
from skewless.scoring.score import scored_before
from skewless.tables.simulate import simulate
from skewless.tables.table import read_table, write_table

ROWS = 400
Score = Callable[..., Done]


def make_parts(folder: Path, names: list[str], rows: int = ROWS) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(
            pd.DataFrame(simulate(rows, number, CONTRACT)).drop(columns=TARGET),
            path,
            CONTRACT,
        )
    return folder


@pytest.fixture
def score(trained: Path, run: Run) -> Score:
    return partial(run, trained, "score")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Return a folder of tables, with what engines leave beside them."""
    folder = make_parts(
        tmp_path / "in",
        ["a.parquet", "b.csv", "day=1/a.parquet", "_temporary/x.parquet"],
    )
    (folder / "_SUCCESS").touch()
    (folder / ".a.parquet.crc").touch()
    return folder


OUTPUTS = ["a.parquet", "b.csv.parquet", "day=1/a.parquet"]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.slow
def test_every_table_of_a_folder_is_scored_as_it_is_alone(
    score: Score, parts: Path, tmp_path: Path
):
    done = score(parts, tmp_path / "out", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == len(OUTPUTS) * ROWS
    assert sorted(contents(tmp_path / "out")) == OUTPUTS
    for name in OUTPUTS:
        score(
            parts / name.replace(".csv.parquet", ".csv"),
            tmp_path / "alone.parquet",
            "--overwrite",
        )
        alone, together = (
            pd.read_parquet(tmp_path / each)
            for each in ("alone.parquet", f"out/{name}")
        )
        pd.testing.assert_frame_equal(together, alone)


@pytest.mark.parametrize("pattern", ["in/*.parquet", "in/**/*.parquet", "in/[ab].*"])
@pytest.mark.slow
def test_a_pattern_names_the_files_that_it_matches(
    score: Score, parts: Path, tmp_path: Path, pattern: str
):
    expected = {
        "in/*.parquet": ["a.parquet"],
        "in/**/*.parquet": ["a.parquet", "day=1/a.parquet"],
        "in/[ab].*": ["a.parquet", "b.csv.parquet"],
    }

    assert score(parts.parent / pattern, tmp_path / "out").returncode == 0

    assert sorted(contents(tmp_path / "out")) == expected[pattern]


def test_to_go_on_is_to_repeat_and_what_is_done_is_not_done_again(
    score: Score, parts: Path, tmp_path: Path
):
    out = tmp_path / "out"
    score(parts, out)
    before = contents(out)
    (out / "b.csv.parquet").unlink()
    times = {path: path.stat().st_mtime_ns for path in out.rglob("a.parquet")}

    again = score(parts, out, "--json")

    assert json.loads(again.stdout)["files_done_before"] == 2
    assert json.loads(again.stdout)["rows"] == len(OUTPUTS) * ROWS
    assert contents(out) == before
    assert {path: path.stat().st_mtime_ns for path in out.rglob("a.parquet")} == times


@pytest.mark.fault
@pytest.mark.posix
@pytest.mark.slow
def test_a_killed_run_leaves_whole_files_and_is_gone_on_with(
    trained: Path, score: Score, tmp_path: Path
):
    source = make_parts(
        tmp_path / "in", [f"{number:02}.parquet" for number in range(40)], 4000
    )
    out = tmp_path / "out"
    words = [
        sys.executable,
        "-m",
        "churn_service",
        "score",
        source,
        out,
        "--threads",
        "2",
    ]
    with subprocess.Popen(words, cwd=trained) as process:
        while not list(out.glob("[0-9]*.parquet")):
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
    left = list(out.glob("[0-9]*.parquet"))

    resumed = score(source, out, "--json")
    score(source, tmp_path / "undisturbed")

    assert json.loads(resumed.stdout)["files_done_before"] == len(left) < 40
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_what_was_made_of_something_else_is_replaced_only_if_asked(
    score: Score, parts: Path, tmp_path: Path
):
    score(parts, tmp_path / "out")
    make_parts(parts, ["b.csv"], ROWS + 1)
    before = contents(tmp_path / "out")

    refused = score(parts, tmp_path / "out")
    assert refused.returncode == 2
    assert "b.csv.parquet" in refused.stderr
    assert contents(tmp_path / "out") == before

    asked = score(parts, tmp_path / "out", "--overwrite", "--json")
    assert json.loads(asked.stdout)["files_done_before"] == 2
    assert json.loads(asked.stdout)["rows"] == len(OUTPUTS) * ROWS + 1


def test_what_was_read_otherwise_is_not_taken_for_done(
    trained: Path, run: Run, parts: Path, tmp_path: Path
):
    project = Path(shutil.copytree(trained, tmp_path / "project"))
    run(project, "score", parts, tmp_path / "out")
    config = yaml.safe_load((project / "config.yaml").read_text())
    config["data"]["format"]["missing"].append("unknown")
    (project / "config.yaml").write_text(yaml.safe_dump(config))

    again = run(project, "score", parts, tmp_path / "out")

    assert (again.returncode, "not made of this source" in again.stderr) == (2, True)


@pytest.mark.posix
def test_links_to_files_are_followed_and_one_that_leads_nowhere_is_named(
    score: Score, parts: Path, tmp_path: Path
):
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "a.parquet").symlink_to(parts / "a.parquet")
    (linked / "b.parquet").symlink_to(tmp_path / "nowhere.parquet")

    done = score(linked, tmp_path / "out", "--json")

    assert done.returncode == 3
    assert json.loads(done.stdout)["rows"] == ROWS
    assert [
        each["source"].endswith("b.parquet")
        for each in json.loads(done.stdout)["failed"]
    ] == [True]
    os.utime(parts / "a.parquet", (0, 0))  # as if it was written again
    assert "a.parquet" in score(linked, tmp_path / "out").stderr


@pytest.mark.posix
def test_no_link_leads_to_sources_being_written_over(
    score: Score, parts: Path, tmp_path: Path
):
    (tmp_path / "out").symlink_to(parts)
    before = contents(parts)

    refused = score(parts, tmp_path / "out", "--overwrite")

    assert (refused.returncode, "next time" in refused.stderr) == (2, True)
    assert contents(parts) == before


@pytest.mark.usefixtures("parts")
def test_a_worker_elsewhere_is_told_the_whole_path_of_an_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    plan = plan_parts(
        Url("in"), find_sources(Url("in")).sources, Url("out"), key="1", overwrite=False
    )

    assert [Path(part.output.get_secret_value()) for part in plan.todo] == [
        tmp_path / "out" / name for name in OUTPUTS
    ]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Return a folder with the same rows in every format that is read."""
    folder = make_parts(tmp_path / "mixed", ["a.parquet", "b.csv"])
    shutil.move(folder / "a.parquet", folder / "a.PQ")
    write_table(read_table(folder / "b.csv", CONTRACT), folder / "c.parquet", CONTRACT)
    text = (folder / "b.csv").read_text()
    for name in ("d.CSV", "e.txt"):
        (folder / name).write_text(text)
    with (folder / "f.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(csv.reader(io.StringIO(text)))
    for name in ("b.csv", "e.txt", "f.tsv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    return folder


def test_every_format_is_read_whatever_the_case_of_its_name(
    score: Score, mixed: Path, tmp_path: Path
):
    done = score(mixed, tmp_path / "out", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 9 * ROWS
    expected = pd.read_parquet(tmp_path / "out/b.csv.parquet")
    for name in (
        "c.parquet",
        "d.CSV.parquet",
        "e.txt.parquet",
        "f.tsv.parquet",
        "f.tsv.gz.parquet",
    ):
        pd.testing.assert_frame_equal(
            pd.read_parquet(tmp_path / "out" / name), expected
        )


@pytest.mark.parametrize(
    "name", ["notes.md", "x.csv.bak", "old.CSV.zip", "parts.orc", "day=1/README", "x"]
)
@pytest.mark.slow
def test_what_cannot_be_read_ends_the_command_before_it_begins(
    score: Score, parts: Path, tmp_path: Path, name: str
):
    (parts / name).write_text("not a table")

    refused = score(parts, tmp_path / "out")

    assert refused.returncode == 3
    assert f"{name} cannot be read as a table, so nothing was scored" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_many_files_that_cannot_be_read_are_told_in_one_line(
    score: Score, parts: Path, tmp_path: Path
):
    for number in range(50):
        (parts / f"{number:02}.\x1b[31m").touch()

    refused = score(parts, tmp_path / "out")

    assert r"09.\x1b[31m and 40 more cannot be read" in refused.stderr
    assert "\x1b" not in refused.stderr


def test_only_what_a_person_chooses_is_scored(
    score: Score, parts: Path, tmp_path: Path
):
    (parts / "notes.md").write_text("not a table")

    done = score(parts, tmp_path / "out", "--only", "*.csv", "--only", "day=1/*")

    assert done.returncode == 0, done.stderr
    assert sorted(contents(tmp_path / "out")) == ["b.csv.parquet", "day=1/a.parquet"]


@pytest.mark.parametrize(
    ("source", "only", "code", "said"),
    [
        ("in", "*.orc", 3, "no file there that fits *.orc"),
        ("in", "*", 3, "notes.md cannot be read"),
        ("in/b.csv", "*.csv", 2, "--only chooses among the files of a folder"),
    ],
)
def test_a_choice_of_nothing_or_of_what_cannot_be_read_is_refused(
    score: Score,
    parts: Path,
    tmp_path: Path,
    source: str,
    only: str,
    code: int,
    said: str,
):
    (parts / "notes.md").write_text("not a table")

    refused = score(tmp_path / source, tmp_path / "out", "--only", only)

    assert (refused.returncode, said in refused.stderr) == (code, True)
    assert not (tmp_path / "out").exists()


def test_what_engines_leave_beside_data_is_left_out_and_that_is_said(
    score: Score, parts: Path, tmp_path: Path
):
    told = score(parts, tmp_path / "out")
    as_json = score(parts, tmp_path / "out", "--json")

    names = [".a.parquet.crc", "_SUCCESS", "_temporary/x.parquet"]
    assert (
        f"left out, as what begins with _ or . is not data: {', '.join(names)}"
        in told.stdout
    )
    assert json.loads(as_json.stdout)["left_out"] == names


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["link to a folder", "pipe"])
def test_a_linked_folder_and_a_pipe_are_named_and_nobody_waits_for_them(
    score: Score, parts: Path, tmp_path: Path, kind: str
):
    if kind == "pipe":
        os.mkfifo(parts / "z.csv")
    else:
        make_parts(tmp_path / "elsewhere", ["a.parquet"])
        (parts / "z.csv").symlink_to(tmp_path / "elsewhere")

    refused = score(parts, tmp_path / "out")

    assert (
        refused.returncode,
        "z.csv cannot be read as a table" in refused.stderr,
    ) == (3, True)


@pytest.mark.parametrize("name", ["b.csv", "a.parquet"])
@pytest.mark.slow
def test_a_file_with_only_a_header_is_treated_alike_alone_and_in_a_folder(
    score: Score, parts: Path, tmp_path: Path, name: str
):
    write_table(read_table(parts / name, CONTRACT)[:0], parts / name, CONTRACT)

    together = score(parts, tmp_path / "out", "--json")
    alone = score(parts / name, tmp_path / "alone.parquet", "--json")

    assert (together.returncode, alone.returncode) == (0, 0)
    assert (json.loads(together.stdout)["rows"], json.loads(alone.stdout)["rows"]) == (
        2 * ROWS,
        0,
    )
    output = tmp_path / "out" / f"{name.removesuffix('.parquet')}.parquet"
    pd.testing.assert_frame_equal(
        pd.read_parquet(output), pd.read_parquet(tmp_path / "alone.parquet")
    )


def test_a_file_of_somebody_else_is_not_taken_for_an_output(
    score: Score, parts: Path, tmp_path: Path
):
    (tmp_path / "out").mkdir()
    shutil.copy(parts / "a.parquet", tmp_path / "out/a.parquet")
    (tmp_path / "out/b.csv.parquet").write_text("torn")

    refused = score(parts, tmp_path / "out")

    assert refused.returncode == 2
    assert "a.parquet" in refused.stderr
    assert (tmp_path / "out/b.csv.parquet").read_text() == "torn"


def test_a_broken_file_holds_up_no_other_and_is_named(
    score: Score, parts: Path, tmp_path: Path
):
    whole = (parts / "a.parquet").read_bytes()
    (parts / "a.parquet").write_bytes(whole[: len(whole) // 2])

    failed = score(parts, tmp_path / "out", "--json")
    result = json.loads(failed.stdout)

    assert failed.returncode == 3
    assert [each["source"].endswith("in/a.parquet") for each in result["failed"]] == [
        True
    ]
    assert sorted(contents(tmp_path / "out")) == OUTPUTS[1:]
    (parts / "a.parquet").write_bytes(whole)
    assert score(parts, tmp_path / "out").returncode == 0


def test_a_folder_of_answers_is_read_as_one_table_though_rows_were_refused(
    score: Score, parts: Path, tmp_path: Path
):
    table = read_table(parts / "b.csv", CONTRACT).astype(
        {CONTRACT.columns[0].name: object}
    )
    table.loc[table.index[:3], CONTRACT.columns[0].name] = wrong(CONTRACT.columns[0])
    write_table(table, parts / "b.csv", CONTRACT)

    score(parts, tmp_path / "out")

    assert (tmp_path / "out/_b.csv.rejects.csv").exists()
    assert (
        len(pd.read_parquet(tmp_path / "out", partitioning=None))
        == len(OUTPUTS) * ROWS - 3
    )


@pytest.mark.fault
def test_a_full_disk_ends_the_work_at_once(
    score: Score, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(batch, "score_file", fill)

    ended = score(parts, tmp_path / "out", "--threads", "1")

    # once, and not for each file
    assert (ended.returncode, ended.stderr.count("No space left")) == (1, 1)


def test_a_table_without_rows_among_others_comes_out_without_answers(
    score: Score, parts: Path, tmp_path: Path
):
    write_table(
        read_table(parts / "a.parquet", CONTRACT)[:0], parts / "a.parquet", CONTRACT
    )

    assert score(parts, tmp_path / "out").returncode == 0

    schemas = {
        tuple(pd.read_parquet(tmp_path / "out" / name).columns) for name in OUTPUTS
    }
    assert len(schemas) == 1
    assert len(pd.read_parquet(tmp_path / "out/a.parquet")) == 0


@pytest.mark.parametrize(
    ("source", "out", "said"),
    [
        ("in", "in", "next time"),
        ("in", "in/scored", "next time"),
        ("in/*.parquet", "in", "next time"),
        ("in/**/*.parquet", "in/scored", "next time"),
        ("in/day=2", "out", "no such file"),
        ("in/*.orc", "out", "no file there"),
        ("in/a.parquet", "out", "allowed are"),
        ("nowhere://x/*.csv", "out", "cannot be used"),
    ],
)
@pytest.mark.usefixtures("parts")
@pytest.mark.slow
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(
    score: Score, tmp_path: Path, source: str, out: str, said: str
):
    before = contents(tmp_path)

    refused = score(source if "://" in source else tmp_path / source, tmp_path / out)

    assert refused.returncode in {2, 3}
    assert said in refused.stderr
    assert contents(tmp_path) == before


def test_two_tables_never_share_an_output(score: Score, parts: Path, tmp_path: Path):
    shutil.copy(parts / "a.parquet", parts / "b.csv.parquet")

    refused = score(parts, tmp_path / "out")

    assert (refused.returncode, "same output" in refused.stderr) == (2, True)


def test_a_cluster_has_no_use_for_a_single_file(
    score: Score, parts: Path, tmp_path: Path
):
    refused = score(parts / "a.parquet", tmp_path / "out.csv", "--dask", "local")

    assert (refused.returncode, "one" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_named(
    trained: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    words = [
        sys.executable,
        "-m",
        "churn_service",
        "score",
        parts,
        tmp_path / "out",
        "--dask",
        "tcp://127.0.0.1:9",
    ]

    refused = subprocess.run(
        words, cwd=trained, capture_output=True, text=True, check=False
    )

    assert (refused.returncode, "no scheduler answers" in refused.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.fault
def test_a_cluster_answers_bit_for_bit_the_same_though_a_worker_is_killed(
    score: Score, tmp_path: Path
):
    from distributed import Client, LocalCluster

    source = make_parts(
        tmp_path / "in", [f"{number:02}.parquet" for number in range(40)], 20_000
    )
    score(source, tmp_path / "threads")
    out, killed = tmp_path / "cluster", []

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        (victim, *_) = client.run(os.getpid).values()

        def kill_in_the_middle() -> None:
            while not list(out.glob("[0-9]*.parquet")):
                time.sleep(0.002)
            os.kill(victim, signal.SIGKILL)
            killed.append(len(list(out.glob("[0-9]*.parquet"))))

        killer = threading.Thread(target=kill_in_the_middle)
        killer.start()
        done = score(source, out, "--dask", cluster.scheduler_address, "--json")
        killer.join()

    assert done.returncode == 0, done.stderr
    assert killed[0] < 40
    assert contents(out) == contents(tmp_path / "threads")


@pytest.mark.slow
def test_the_cluster_of_this_machine_is_started_and_ended(
    score: Score, parts: Path, tmp_path: Path
):
    score(parts, tmp_path / "threads")

    done = score(parts, tmp_path / "cluster", "--dask", "local", "--threads", "2")

    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "cluster") == contents(tmp_path / "threads")


def test_an_output_tells_what_it_was_made_of(score: Score, parts: Path, tmp_path: Path):
    done = json.loads(score(parts, tmp_path / "out", "--json").stdout)

    key, scored = scored_before(tmp_path / "out/a.parquet")

    source, state, version = json.loads(key)
    assert (version, scored) == (done["model_version"], (ROWS, 0))
    assert source.endswith("/in/a.parquet")
    assert state.startswith(f"{(parts / 'a.parquet').stat().st_size} bytes")
