"""Questions of one's own read the log, and nothing else."""

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Run
from own import ID, PROJECT
from recorded import outcome, write_outcomes
from remembered import NOON, line, log_file
from skewless.core.errors import ConfigError
from skewless.core.workspace import open_workspace
from skewless.monitoring import connect
from skewless.monitoring.query import ask, draw, open_questions
from skewless.monitoring.views import Views
from steady import configure

PAGE = ROOT / "docs/monitoring/asking.md"
QUESTIONS = re.findall(r"(?ms)^```sql\n(.*?)^```$", PAGE.read_text())


@pytest.fixture
def own(project: Path) -> Path:
    """Return a project with a log of 41 answers, two of them of one id."""
    folder = project / "predictions"
    again = line(40, record=json.loads(line(1))["record"])
    log_file(folder, *(line(number) for number in range(40)), again)
    write_outcomes(folder, [outcome(80, 1, record="c-1", observed=70)])
    return project


@pytest.fixture
def views(own: Path) -> Iterator[Views]:
    with open_questions(open_workspace(PROJECT, own / "config.yaml")) as opened:
        yield opened


def rows(views: Views, sql: str) -> list[list]:
    with ask(views, sql) as (_, found):
        return list(found)


def test_both_views_are_there_with_a_row_for_each_answer_and_outcome(views: Views):
    assert rows(views, "SELECT count(*), min(time) FROM predictions") == [
        [41, NOON.isoformat()]
    ]
    assert rows(
        views, f"SELECT record.{ID} FROM predictions ORDER BY time LIMIT 1"
    ) == [["c-0"]]
    assert rows(views, "SELECT record_id, outcome, repeats FROM outcomes") == [
        ["c-1", 1, False]
    ]


@pytest.mark.parametrize("question", QUESTIONS, ids=range(1, len(QUESTIONS) + 1))
def test_the_questions_of_the_page_are_answered(views: Views, question: str):
    assert rows(views, question)
    assert draw(views, question)


def test_there_are_ten_questions_on_the_page():
    assert len(QUESTIONS) == 10


HOSTILE = {
    "a file elsewhere": "SELECT * FROM read_text('{secret}')",
    "a file elsewhere, by dots": "SELECT * FROM read_text('{log}/../secret.txt')",
    "the configuration": "SELECT * FROM read_csv('{log}/../config.yaml')",
    "a file as a table": "SELECT * FROM '{secret}'",
    "the names of files": "SELECT * FROM glob('{root}/*')",
    "a link that leads out": "SELECT * FROM read_text('{log}/link.txt')",
    "copy to a file": "COPY predictions TO '{log}/x.csv'",
    "copy over the log": "COPY (SELECT 1) TO '{log}/2026-03-01.host-1-a.000.jsonl'",
    "copy while explained": "EXPLAIN ANALYZE COPY (SELECT 1) TO '{log}/x.csv'",
    "copy by a function": "SELECT * FROM query('COPY (SELECT 1) TO ''{log}/x.csv''')",
    "export": "EXPORT DATABASE '{log}/x'",
    "attach": "ATTACH '{log}/x.db'",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "network": "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "another object store": "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "memory": "SET memory_limit = '1TB'",
    "unlock": "SET lock_configuration = false",
    "access": "SET enable_external_access = true",
    "reset": "RESET allowed_directories",
    "pragma": "PRAGMA enable_profiling",
    "a table": "CREATE TABLE x AS SELECT 1",
    "drop": "DROP VIEW predictions",
    "several": "SELECT 1; SELECT 2",
    "hidden behind a comment": "SELECT 1 -- \n; COPY (SELECT 1) TO '{log}/x.csv'",
    "a secret": "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "a variable of Python": "SELECT * FROM secret",
    "nothing": "",
    "no SQL": "what is new",
}


@pytest.mark.fault
@pytest.mark.parametrize("sql", HOSTILE.values(), ids=HOSTILE)
def test_nothing_else_can_be_read_and_nothing_written(own: Path, sql: str):
    log = own / "predictions"
    secret = own / "secret.txt"
    secret.write_text("secret")
    (log / "link.txt").symlink_to(secret)
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    asked = sql.format(secret=secret, log=log, root=own)
    work = open_workspace(PROJECT, own / "config.yaml")

    with (
        open_questions(work) as views,
        pytest.raises(ConfigError),
        ask(views, asked) as (_, found),
    ):
        list(found)

    after = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    assert after == before


def test_a_person_reads_a_table_and_a_program_csv_or_json(own: Path, run: Run):
    sql = (
        f"SELECT record.{ID} AS who, probability FROM predictions ORDER BY time LIMIT 2"
    )

    shown = run(own, "log", "query", sql)
    as_json = run(own, "log", "query", sql, "--json")
    as_csv = run(own, "log", "query", sql, "--csv")

    assert "c-1" in shown.stdout
    assert "probability" in shown.stdout
    assert [json.loads(each) for each in as_json.stdout.splitlines()] == [
        {"who": "c-0", "probability": 0.0},
        {"who": "c-1", "probability": 0.001},
    ]
    assert list(csv.reader(io.StringIO(as_csv.stdout))) == [
        ["who", "probability"],
        ["c-0", "0.0"],
        ["c-1", "0.001"],
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["SELECT FROM FROM"], "syntax error"),
        (["SELECT '\udcff'"], "the question is not UTF-8"),
        (["SELECT nope FROM predictions"], "nope"),
        (["COPY predictions TO 'x.csv'"], "only one statement is taken, which reads"),
        (["SELECT error('x')"], "x"),
        (["SELECT 1", "--csv", "--json"], "choose one of --csv and --json"),
        ([], "name a question"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(
    own: Path, run: Run, words: list[str], said: str
):
    done = run(own, "log", "query", *words)

    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_in_the_log_runs_in_a_terminal_or_a_spreadsheet(own: Path, run: Run):
    hostile = line(99, record={ID: "=1+1"})
    log_file(own / "predictions", hostile, name="other.000")
    sql = (
        f"SELECT record.{ID} AS who, chr(27) AS sign FROM predictions "
        "WHERE prediction_id = 'p-99'"
    )

    for options in ([], ["--csv"], ["--json"]):
        assert "\x1b" not in run(own, "log", "query", sql, *options).stdout
    assert "'=1+1" in run(own, "log", "query", sql, "--csv").stdout


def test_a_notebook_has_the_same_connection(own: Path):
    log = connect(open_workspace(PROJECT, own / "config.yaml"))

    found = log.sql(
        "SELECT tier, count(*) AS answers FROM predictions GROUP BY ALL"
    ).df()

    assert found.to_dict("records") == [{"tier": "LOW", "answers": 41}]
    with pytest.raises(Exception, match="Permission Error"):
        log.sql("SELECT * FROM read_text('/etc/hostname')").fetchall()


def test_without_a_log_it_says_so(own: Path, run: Run):
    configure(own, "monitoring", prediction_log=None)

    done = run(own, "log", "query", "SELECT 1")

    assert (done.returncode, "found null" in done.stderr) == (2, True)


@pytest.mark.posix
def test_a_terminal_gets_a_prompt(own: Path):
    import pty

    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "churn_service", "log", "query"]
    with subprocess.Popen(
        command, cwd=own, stdin=follower, stdout=follower, stderr=follower
    ) as prompt:
        os.close(follower)
        os.write(leader, b"SELECT count(*) AS n\nFROM predictions;\nSELECT nope;\n\n")
        said = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(leader, 4096):
                said += data
    os.close(leader)

    assert prompt.returncode == 0
    assert b" 41 " in said
    assert b"nope" in said
