"""A real server process: it starts fast, imports little, refuses a bad model, stops cleanly."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from churn_service.artifact import FILES, MANIFEST
from churn_service.contract import example
from running import COMMAND, ask, free_port, serving

LISTS_MODULES = """
import json, sys
from churn_service import api
async def modules() -> list[str]:
    return sorted({name.partition(".")[0] for name in sys.modules})
from churn_service.serving import app
app.ROUTES += ({"path": "/modules", "endpoint": modules},)
from churn_service.cli import main
main()
"""


@pytest.mark.posix
def test_it_answers_over_http_and_stops_cleanly_on_sigterm(trained: Path, version: Path):
    with serving(trained) as (url, server):
        prediction = ask(f"{url}/predict", example())

    assert prediction["model_version"] == version.name
    assert server.returncode == 0


@pytest.mark.posix
def test_ctrl_c_stops_it_cleanly_and_it_said_where_it_was(trained: Path):
    with serving(trained) as (url, server):
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=30)

    assert server.returncode == 0
    assert f"{url}/docs" in said
    assert f"curl {url}/predict" in said


@pytest.mark.posix
def test_several_workers_answer_alike(trained: Path, version: Path):
    with serving(trained, "--workers", "2") as (url, _):
        answers = [ask(f"{url}/predict", example()) for _ in range(20)]

    assert {answer["model_version"] for answer in answers} == {version.name}
    assert len({answer["churn_probability"] for answer in answers}) == 1


@pytest.mark.posix
def test_a_started_server_has_imported_no_pandas_scikit_learn_scipy_or_matplotlib(trained: Path):
    command = [sys.executable, "-c", LISTS_MODULES, "serve"]

    with serving(trained, command=command) as (url, _):
        ask(f"{url}/predict", example())
        modules = set(ask(f"{url}/modules"))

    assert {"fastapi", "onnxruntime", "numpy"} <= modules
    assert not modules & {"pandas", "sklearn", "scipy", "matplotlib", "pandera", "pyarrow", "onnx", "joblib"}


@pytest.mark.parametrize("name", sorted(FILES | {MANIFEST}))
def test_one_flipped_byte_makes_serve_refuse_with_three_and_name_the_file(
    trained: Path, tmp_path: Path, name: str, run
):
    damaged = Path(shutil.copytree(trained, tmp_path / "damaged"))
    (path,) = (damaged / "models").glob(f"*/{name}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)

    done = run(damaged, "serve", "--port", free_port())

    assert (done.returncode, name in done.stderr) == (3, True)


@pytest.mark.posix
def test_workers_on_a_taken_port_end_with_one_and_announce_nothing(trained: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = [*COMMAND, "--workers", "2", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(words, cwd=trained, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.posix
def test_a_worker_that_is_replaced_serves_the_version_of_the_others(trained: Path, tmp_path: Path, run):
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    config = (own / "config.yaml").read_text()
    with serving(own, "--workers", "2") as (url, server):
        before = ask(f"{url}/predict", example())["model_version"]
        (own / "config.yaml").write_text(config.replace("max_iter: 40", "max_iter: 41"))
        assert run(own, "train").returncode == 0
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(workers[0]), signal.SIGKILL)
        time.sleep(3)  # there is no event to wait for: uvicorn replaces the worker at its next look
        after = {ask(f"{url}/predict", example())["model_version"] for _ in range(30)}

    assert len(workers) == 2
    assert after == {before}


@pytest.mark.parametrize("port", ["0", "70000", "-1", "http"])
def test_a_wrong_port_is_a_usage_error(trained: Path, port: str, run):
    assert run(trained, "serve", "--port", port).returncode == 2


def test_without_a_model_serve_says_how_to_make_one(project: Path, run):
    done = run(project, "serve")

    assert (done.returncode, "churn-service train" in done.stderr) == (3, True)


def test_a_port_that_is_taken_ends_with_one(trained: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [*COMMAND, "--port", str(taken.getsockname()[1])],
            cwd=trained,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode == 1
    assert "address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_environment_ends_with_two_and_names_the_variable(project: Path, run, monkeypatch):
    monkeypatch.setenv("CHURN_PORT", "http")

    done = run(project, "serve")

    assert (done.returncode, "CHURN_PORT: found 'http'" in done.stderr) == (2, True)


@pytest.fixture
def with_scikit_learn(trained: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(trained, tmp_path / "scikit-learn"))
    config = (folder / "config.yaml").read_text()
    assert "runtime: onnx" in config
    (folder / "config.yaml").write_text(config.replace("runtime: onnx", "runtime: scikit-learn"))
    return folder


def test_the_scikit_learn_runtime_opens_no_pickle_without_leave(with_scikit_learn: Path, run):
    done = run(with_scikit_learn, "serve", "--port", free_port())

    assert (done.returncode, "pickle" in done.stderr) == (3, True)


@pytest.mark.posix
def test_the_scikit_learn_runtime_answers_like_onnx(trained: Path, with_scikit_learn: Path):
    config = with_scikit_learn / "config.yaml"
    config.write_text(config.read_text().replace("allow_pickle: false", "allow_pickle: true"))

    with serving(with_scikit_learn) as (one, _), serving(trained) as (other, _):
        first, second = (ask(f"{url}/predict", example())["churn_probability"] for url in (one, other))

    assert first == pytest.approx(second, abs=1e-5)


@pytest.mark.parametrize("setting", [("CHURN_REDIS_URL", "nonsense"), ("CHURN_API_KEYS", "nonsense")])
def test_wrong_settings_end_the_command_and_not_each_worker_for_ever(
    trained: Path, monkeypatch: pytest.MonkeyPatch, setting: tuple[str, str], run
):
    monkeypatch.setenv(*setting)

    done = run(trained, "serve", "--workers", "2", "--port", free_port())

    assert (done.returncode, setting[0] in done.stderr, setting[1] in done.stderr) == (2, True, False)
