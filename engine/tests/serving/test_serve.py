"""A real server starts fast, imports little, refuses a bad model, stops cleanly."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from own import CONTRACT
from running import COMMAND, ask, free_port, serving, workers
from skewless.models.artifact import FILES, MANIFEST
from skewless.serving.access import new_key
from steady import configure, until

LISTS_MODULES = """
import json, sys
from churn_service import api
async def modules() -> list[str]:
    return sorted({name.partition(".")[0] for name in sys.modules})
api.app.get("/modules")(modules)
from churn_service.__main__ import main
main()
"""


@pytest.mark.posix
@pytest.mark.slow
def test_it_answers_over_http_and_stops_cleanly_on_sigterm(
    trained: Path, version: Path
):
    with serving(trained) as (url, server):
        prediction = ask(f"{url}/predict", CONTRACT.example())

    assert prediction["model_version"] == version.name
    assert server.returncode == 0


@pytest.mark.posix
@pytest.mark.slow
def test_ctrl_c_stops_it_cleanly_and_it_said_where_it_was(trained: Path):
    with serving(trained) as (url, server):
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=30)

    (example_of_use,) = [
        line.removeprefix("try:")
        for line in said.splitlines()
        if line.startswith("try:")
    ]
    assert server.returncode == 0
    assert f"{url}/docs" in said
    assert shlex.split(example_of_use)[:2] == ["curl", f"{url}/predict"]
    assert json.loads(shlex.split(example_of_use)[-1]) == CONTRACT.example()
    assert "X-API-Key" not in said


@pytest.mark.posix
@pytest.mark.slow
def test_with_keys_it_says_where_one_goes(
    trained: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURN_API_KEYS", new_key("crm", "predict")[1])
    with serving(trained) as (_, server):
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=30)

    assert "-H 'X-API-Key: …'" in said


@pytest.mark.posix
@pytest.mark.parametrize("words", [(), ("--workers", "2")])
@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_it_as_cleanly(
    trained: Path, words: tuple[str, ...]
):
    with serving(trained, *words) as (_, server):
        server.send_signal(signal.SIGHUP)
        server.wait(30)

    assert server.returncode == 0


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("words", [(), ("--workers", "2")])
def test_under_nohup_a_closed_terminal_ends_nothing(
    trained: Path, words: tuple[str, ...]
):
    with serving(trained, *words, command=["nohup", *COMMAND]) as (url, server):
        for process in (server.pid, *workers(server.pid)):
            os.kill(process, signal.SIGHUP)
        time.sleep(1)  # uvicorn's supervisor looks twice a second
        version = ask(f"{url}/predict", CONTRACT.example())["model_version"]

    assert version
    assert server.returncode == 0


@pytest.mark.posix
@pytest.mark.slow
def test_workers_leave_when_the_process_that_started_them_was_killed(trained: Path):
    with serving(trained, "--workers", "2") as (_, server):
        there = workers(server.pid)
        server.kill()
        server.wait(20)
        until(
            lambda: not any(Path(f"/proc/{worker}").exists() for worker in there),
            "they leave",
        )

    assert len(there) == 2


@pytest.mark.posix
@pytest.mark.slow
def test_several_workers_answer_alike(trained: Path, version: Path):
    with serving(trained, "--workers", "2") as (url, _):
        answers = [ask(f"{url}/predict", CONTRACT.example()) for _ in range(20)]

    assert {answer["model_version"] for answer in answers} == {version.name}
    assert len({answer["churn_probability"] for answer in answers}) == 1


@pytest.mark.posix
@pytest.mark.slow
def test_a_started_server_has_imported_no_pandas_scikit_learn_scipy_or_matplotlib(
    trained: Path,
):
    command = [sys.executable, "-c", LISTS_MODULES, "serve"]

    with serving(trained, command=command) as (url, _):
        ask(f"{url}/predict", CONTRACT.example())
        modules = set(ask(f"{url}/modules"))

    assert {"fastapi", "onnxruntime", "numpy"} <= modules
    assert not modules & {
        "pandas",
        "sklearn",
        "scipy",
        "matplotlib",
        "pandera",
        "pyarrow",
        "duckdb",
        "onnx",
        "joblib",
    }
    assert "cryptography" not in modules  # no key is configured


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
@pytest.mark.slow
def test_workers_on_a_taken_port_end_with_one_and_announce_nothing(trained: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = [*COMMAND, "--workers", "2", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(
            words, cwd=trained, capture_output=True, text=True, check=False, timeout=60
        )

    assert (done.returncode, done.stdout) == (1, "")
    assert "is taken (choose another with --port)" in done.stderr


@pytest.mark.posix
@pytest.mark.slow
def test_a_worker_that_is_replaced_serves_the_version_of_the_others(
    trained: Path, tmp_path: Path, run
):
    own = Path(shutil.copytree(trained, tmp_path / "own"))
    config = (own / "config.yaml").read_text()
    with serving(own, "--workers", "2") as (url, server):
        before = ask(f"{url}/predict", CONTRACT.example())["model_version"]
        (own / "config.yaml").write_text(config.replace("max_iter: 40", "max_iter: 41"))
        assert run(own, "train").returncode == 0
        there = workers(server.pid)
        os.kill(min(there), signal.SIGKILL)
        # there is no event to wait for: uvicorn replaces the worker at its next look
        time.sleep(3)
        after = {
            ask(f"{url}/predict", CONTRACT.example())["model_version"]
            for _ in range(30)
        }

    assert len(there) == 2
    assert after == {before}


@pytest.mark.parametrize("port", ["0", "70000", "-1", "http"])
def test_a_wrong_port_is_a_usage_error(trained: Path, port: str, run):
    assert run(trained, "serve", "--port", port).returncode == 2


def test_without_a_model_serve_says_how_to_make_one(project: Path, run):
    done = run(project, "serve")

    assert (done.returncode, "`train`" in done.stderr) == (3, True)


@pytest.mark.slow
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


@pytest.mark.parametrize("misspelt", ["API_KEY", "ALLOW_ANON", "LOGLEVEL"])
def test_a_variable_that_is_nearly_a_setting_is_pointed_out(
    project: Path, misspelt: str, run, monkeypatch
):
    name = f"CHURN_{misspelt}"
    monkeypatch.setenv(name, "x")

    done = run(project, "serve")

    assert f"{name} is no setting" in done.stderr
    assert "did you mean CHURN_" in done.stderr


def test_a_wrong_environment_ends_with_two_and_names_the_variable(
    project: Path, run, monkeypatch
):
    monkeypatch.setenv("CHURN_PORT", "http")

    done = run(project, "serve")

    assert (done.returncode, "CHURN_PORT: found 'http'" in done.stderr) == (2, True)


@pytest.fixture
def with_scikit_learn(trained: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(trained, tmp_path / "scikit-learn"))
    configure(folder, "serving", runtime="scikit-learn")
    return folder


def test_the_scikit_learn_runtime_opens_no_pickle_without_leave(
    with_scikit_learn: Path, run
):
    done = run(with_scikit_learn, "serve", "--port", free_port())

    assert (done.returncode, "pickle" in done.stderr) == (3, True)


@pytest.mark.slow
@pytest.mark.posix
def test_the_scikit_learn_runtime_answers_like_onnx(
    trained: Path, with_scikit_learn: Path
):
    configure(with_scikit_learn, "serving", allow_pickle=True)

    with serving(with_scikit_learn) as (one, _), serving(trained) as (other, _):
        first, second = (
            ask(f"{url}/predict", CONTRACT.example())["churn_probability"]
            for url in (one, other)
        )

    assert first == pytest.approx(second, abs=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "REDIS_URL",
        "API_KEYS",
        "HASH_KEY",
    ],
)
def test_wrong_settings_end_the_command_and_not_each_worker_for_ever(
    trained: Path, monkeypatch: pytest.MonkeyPatch, name: str, run
):
    monkeypatch.setenv(f"CHURN_{name}", "nonsense")

    done = run(trained, "serve", "--workers", "2", "--port", free_port())

    assert (done.returncode, "nonsense" in done.stderr) == (2, False)
    assert f"CHURN_{name}" in done.stderr
