"""Real servers follow what is in production, under load, and never grow.

They do so a thousand times.
"""

import contextlib
import json
import mmap
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from conftest import Run
from own import CONTRACT, PROJECT
from running import ask, serving, workers
from scraped import read
from skewless.core.config_file import load_config
from skewless.core.settings import Settings
from skewless.core.workspace import Workspace
from skewless.registry.registry import EVENTS
from skewless.serving.follow import find_models as models
from skewless.serving.model import INLINE_ROWS
from steady import Load, configure, until
from versions import put, train

TIMES = 300

pytestmark = pytest.mark.posix

MOST_GROWTH = 8_000_000  # bytes; that is 8 kB a model, of which each takes some 200 kB
FORCED = ("--force", "--reason", "a test")
# a batch that a thread answers
BATCH = {"customers": [CONTRACT.example()] * (INLINE_ROWS + 1)}


@pytest.fixture(scope="module")
def two(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """Return a project and its two versions; do not change it.

    It looks five times a second for what is in production.
    """
    folder = tmp_path_factory.mktemp("two") / "project"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("predictions"))
    configure(folder, "serving", poll_seconds=0.2)
    other = train(folder, model={"max_iter": 5})
    return folder, train(folder), other


@pytest.fixture
def own(two: tuple[Path, str, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(two[0], tmp_path / "own"))


@pytest.fixture
def newest(two: tuple[Path, str, str]) -> str:
    return two[1]


@pytest.fixture
def other(two: tuple[Path, str, str]) -> str:
    return two[2]


@pytest.mark.parametrize("alias", ["newest", "staging"])
@pytest.mark.slow
def test_an_alias_that_is_set_is_followed_by_the_version_it_stands_for(
    own: Path, newest: str, alias: str
):
    put(own, newest, "staging")
    config = load_config(own / "config.yaml", PROJECT)
    source = models(
        Workspace(PROJECT, config, own, Settings(_env_file=None, version=alias))
    )

    assert source.wanted() == source.load().version == newest


def look(url: str) -> str:
    """Let a server of one process look for another model; return what answers then."""
    headers = {"Content-Type": "application/json"}
    request = Request(f"{url}/admin/reload", b"", headers)  # noqa: S310 - loopback
    with urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        return json.load(answer)["model_version"]


def serve(url: str) -> set[str]:
    """Name the versions that the processes of a server answer with."""
    with urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
        found = read(answer.read().decode())["model_info"]
    return {version for (version,), serves in found.items() if serves}


@pytest.mark.parametrize("count", [1, 2], ids=["one process", "two workers"])
@pytest.mark.slow
def test_every_process_follows_a_promotion_and_a_rollback(
    own: Path, newest: str, other: str, count: int, run: Run
):
    with serving(own, "--workers", str(count)) as (url, server), Load(url) as load:
        until(lambda: count == 1 or len(workers(server.pid)) == count, "all are there")
        load.reach(50)
        seen = [serve(url)]
        for command in (
            ("promote", newest, "--to", "production", *FORCED),
            ("promote", other, "--to", "production", *FORCED),
            ("rollback",),
        ):
            done = run(own, "registry", *command)
            assert done.returncode == 0, done.stderr
            version = json.loads(
                run(own, "registry", "history", "--json").stdout.splitlines()[-1]
            )["version"]
            until(
                lambda version=version: serve(url) == {version},
                f"all answer with {version}",
            )
            load.reach(50)
            seen.append(
                {
                    ask(f"{url}/predict", CONTRACT.example())["model_version"]
                    for _ in range(20)
                }
            )

    assert seen == [{newest}, {newest}, {other}, {newest}]
    assert (load.reset, load.sent) == ([], len(load.answers))
    assert {answer.status for answer in load.answers} == {200}
    assert {answer.body["model_version"] for answer in load.answers} == {newest, other}


@pytest.mark.slow
def test_a_pinned_version_is_not_left(own: Path, newest: str, other: str, run: Run):
    with serving(own, "--version", newest) as (url, _):
        done = run(own, "registry", "promote", other, "--to", "production", *FORCED)
        after = look(url)

    assert (done.returncode, after) == (0, newest)


@pytest.mark.slow
def test_while_nothing_was_promoted_what_is_trained_meanwhile_waits_for_the_next_start(
    own: Path, newest: str
):
    with serving(own) as (url, _):
        trained = train(own, model={"max_iter": 6})
        meanwhile = look(url)
    with serving(own) as (url, _):
        after = ask(f"{url}/predict", CONTRACT.example())["model_version"]

    assert (meanwhile, after) == (newest, trained)
    assert newest != trained


def told(body: dict) -> frozenset[tuple[str, float]]:
    """Return the versions that answered, and what; all ask about the same customer."""
    answers = body.get("predictions", [body])
    return frozenset(
        (each["model_version"], each["churn_probability"]) for each in answers
    )


@contextlib.contextmanager
def loaded(url: str) -> Iterator[tuple[Load, Load]]:
    """Load a server with single customers and with batches."""
    with (
        Load(url, callers=3, keep=told) as single,
        Load(url, callers=1, path="/predict/batch", body=BATCH, keep=told) as batches,
    ):
        single.reach(50)
        batches.reach(1)
        yield single, batches


def held(url: str, pid: int) -> tuple[int, int]:
    """Count resident bytes and open files, once earlier requests are over."""
    ask(f"{url}/health")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * mmap.PAGESIZE, len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.fault
@pytest.mark.slow
def test_changing_over_under_load_fails_no_request_and_leaves_nothing_behind(
    own: Path, newest: str, other: str, monkeypatch: pytest.MonkeyPatch
):
    # else this test's own record grows by a line each
    monkeypatch.setenv("CHURN_LOG_LEVEL", "warning")
    # what coverage keeps is not the service's
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    configure(own, "serving", poll_seconds=3600)

    def change(url: str, count: int) -> list[str]:
        answered = []
        for turn in range(count):
            if turn % 20 == 0:
                # a long log takes memory of its own to read
                shutil.rmtree(own / "models" / EVENTS)
            put(own, (other, newest)[turn % 2])
            answered.append(look(url))
        return answered

    with serving(own) as (url, server):
        with loaded(url):
            change(url, max(20, TIMES // 5))
        memory, files = held(url, server.pid)
        with loaded(url) as (single, batches):
            answered = change(url, TIMES)
        memory_after, files_after = held(url, server.pid)

    assert answered == [other, newest] * (TIMES // 2)
    assert [load.reset for load in (single, batches)] == [[], []]
    assert (single.sent, batches.sent) == (len(single.answers), len(batches.answers))
    assert {answer.status for answer in (*single.answers, *batches.answers)} == {200}
    bodies = {answer.body for answer in (*single.answers, *batches.answers)}
    # no batch of two versions, no version that wavers
    assert [len(body) for body in bodies] == [1, 1]
    assert {version for ((version, _),) in bodies} == {newest, other}
    assert memory_after - memory < MOST_GROWTH
    assert files_after <= files + 1
