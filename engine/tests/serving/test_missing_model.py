"""Without a model, or with a damaged one, what can be answered is answered.

The same holds without a place for the prediction log.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from churn_service.schema import Customer
from own import CONTRACT, PROJECT
from remembered import in_rows
from running import COMMAND, ask, free_port, serving
from skewless.core.arrays import as_columns
from skewless.core.config_file import load_config
from skewless.models.artifact import ONNX
from skewless.models.baseline import baseline_probability
from skewless.serving.fallback import VERSION
from steady import configure, counted, until

pytestmark = [pytest.mark.fault, pytest.mark.posix]

LOGGING = """
import os, resource, sys
os.dup2(os.open("log.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes}))
from churn_service.__main__ import main
main()
"""
UNLIMITED = -1
LOST = 'log_lines_lost_total{log="prediction"}'


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(
            trained, tmp_path / "own", ignore=shutil.ignore_patterns("predictions")
        )
    )


def logging(largest_file: int = UNLIMITED) -> list[str]:
    """Return how to start a server whose files can grow only so large.

    It logs to log.jsonl.
    """
    return [sys.executable, "-c", LOGGING.format(bytes=largest_file), "serve"]


def logged(folder: Path, event: str) -> list[dict]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [each for each in events if each["event"] == event]


def metrics(url: str) -> str:
    with urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
        return answer.read().decode()


@pytest.mark.slow
def test_without_a_model_the_baseline_answers_and_says_so_until_there_is_one(
    own: Path, run
):
    shutil.rmtree(own / "models")
    config = load_config(
        configure(own, "serving", fallback="baseline", poll_seconds=0.5)
        / "config.yaml",
        PROJECT,
    )
    customers = as_columns([Customer(**CONTRACT.example())], CONTRACT)
    probability = baseline_probability(PROJECT, customers, config)

    with serving(own, command=logging()) as (url, _):
        ready, answer = ask(f"{url}/ready"), ask(f"{url}/predict", CONTRACT.example())
        fallbacks = counted(metrics(url), "model_fallback_predictions_total")
        warned = until(lambda: logged(own, "request"), "the answer is in the log")
        assert run(own, "train").returncode == 0
        until(
            lambda: ask(f"{url}/ready")["status"] == "ready",
            "the model is found",
            seconds=30,
        )
        after = ask(f"{url}/predict", CONTRACT.example())

    assert ready.items() >= {"status": "degraded", "model_version": VERSION}.items()
    assert (answer["model_version"], answer["trained_at"]) == (VERSION, None)
    assert answer["churn_probability"] == probability[0]
    assert fallbacks == 1
    (line,) = (line for line in warned if line["route"] == "/predict")
    assert (line["level"], line["model_version"]) == ("warning", VERSION)
    assert (own / "models" / after["model_version"]).is_dir()
    assert after["trained_at"] is not None


@pytest.mark.slow
def test_a_damaged_model_opens_no_port_and_ends_with_three(own: Path):
    (path,) = (own / "models").glob(f"*/{ONNX}")
    path.write_bytes(path.read_bytes()[:1000])
    words = [*COMMAND, "--port", str(free_port())]

    done = subprocess.run(
        words, cwd=own, capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.returncode, ONNX in done.stderr, done.stdout) == (3, True, "")


def written(folder: Path) -> int:
    """Count the answers in the lines of the prediction log that can be read."""
    lines = (
        line
        for path in folder.glob("predictions/*.jsonl")
        for line in path.read_bytes().splitlines(keepends=True)
    )
    return len(in_rows(json.loads(line) for line in lines if line.endswith(b"\n")))


def occupied(folder: Path) -> None:
    (folder / "predictions").write_text("no folder")


@pytest.mark.parametrize(
    ("spoil", "largest_file"),
    [(occupied, UNLIMITED), (lambda _: None, 20_000)],
    ids=["no folder", "full"],
)
@pytest.mark.slow
def test_a_log_that_cannot_be_written_stops_no_answer_and_lost_lines_are_counted(
    own: Path, spoil: Callable[[Path], None], largest_file: int
):
    # /metrics is asked again and again
    spoil(configure(own, "serving", rate_limit_per_minute=10**6))
    with serving(own, command=logging(largest_file)) as (url, _):
        batches = [
            ask(f"{url}/predict/batch", {"customers": [CONTRACT.example()] * 100})
            for _ in range(3)
        ]
        until(lambda: counted(metrics(url), LOST) >= 200, "lines are lost")
        alone = ask(f"{url}/predict", CONTRACT.example())
        warned = until(
            lambda: logged(own, "the prediction log loses lines"), "a warning"
        )
        until(
            lambda: counted(metrics(url), LOST) + written(own) >= 301,
            "all lines are accounted for",
        )
        lost = counted(metrics(url), LOST)

    assert [batch["batch_size"] for batch in batches] == [100] * 3
    assert alone["model_version"]
    assert lost + written(own) == 301
    assert warned[0]["level"] == "warning"
    assert warned[0]["reason"]
