"""A real MLflow server on loopback gets what was trained, and no record of the table.

No test needs another host.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import onnxruntime
import pytest

from conftest import ROOT
from own import CONTRACT, PROJECT
from running import free_port
from skewless.core.errors import NotInstalledError, TrackingError
from skewless.models.artifact import (
    CARD,
    CARD_PAGE,
    METADATA,
    ONNX,
    PICTURES,
    read_artifact,
)
from skewless.models.export import INPUT, OUTPUT
from skewless.tables.table import read_table
from skewless.testing import Done, make_project, open_workspace, run_command
from skewless.training import tracking

URI = "MLFLOW_TRACKING_URI"
NAME = PROJECT.name
COMPARED = ("logistic_regression", "hist_gradient_boosting")
needs_mlflow = pytest.mark.needs("mlflow", "alembic")
SERVER = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Seven more processes, for work that nothing here asks for.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the server keeps its database and all artefacts."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def server(stored: Path) -> Iterator[str]:
    """Start `mlflow server`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = [
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{stored / 'mlflow.db'}"),
        *("--artifacts-destination", str(stored / "artifacts"), "--serve-artifacts"),
    ]
    said = stored / "log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words],
            cwd=stored,
            env=os.environ | SERVER,  # noqa: TID251 - the child inherits ours
            stdout=log,
            stderr=log,
            start_new_session=True,  # it starts others, which end with it
        )
        try:
            wait_for(f"{url}/health", process, said)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        with suppress(URLError, ConnectionError):
            urlopen(url, timeout=10).close()  # noqa: S310 - loopback
            return
        time.sleep(0.1)


@contextmanager
def logging_to(url: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(URI, url)
        for name in tracking.VARIABLES:  # what a command sets does not stay
            environment.setenv(name, tracking.VARIABLES[name])
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(
        ROOT, tmp_path_factory.mktemp("tracked"), model={"max_iter": 20}
    )
    run_command(PROJECT, folder, "sample")
    return folder


@pytest.fixture(scope="module")
def trained(server: str, folder: Path) -> Done:
    with logging_to(server):
        done = run_command(PROJECT, folder, "train")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def version(folder: Path, trained: Done) -> Path:
    return folder / "models" / trained.stdout.splitlines()[-2].split()[0]


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[Any]:
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URI, server)  # as MLflow sets it, so that it is taken back
        mlflow.set_tracking_uri(server)
        yield mlflow.MlflowClient(server)


def runs_of(client: Any, tag: str = "version") -> list[Any]:
    experiment = client.get_experiment_by_name(NAME)
    found = client.search_runs([experiment.experiment_id])
    return [run for run in found if tag in run.data.tags]


@needs_mlflow
@pytest.mark.slow
def test_a_version_is_a_run_of_its_name_with_its_knobs_metrics_and_origin(
    client: Any, version: Path, trained: Done
):
    metadata = read_artifact(version).metadata

    (run,) = runs_of(client)

    assert (run.info.run_name, run.info.status) == (version.name, "FINISHED")
    assert run.data.params["model.estimator"] == metadata.training["model"]["estimator"]
    assert run.data.params["model.max_iter"] == "20"
    threshold = metadata.identity.decision.threshold
    assert run.data.params["decision.threshold"] == str(threshold)
    for key in metadata.identity.features:
        assert f"features.{key}" in run.data.params
    for name, scores in metadata.metrics.items():
        logged = run.data.metrics[f"{name.replace(' ', '_')}/log_loss"]
        assert logged == pytest.approx(scores["log_loss"])
    interval = metadata.intervals["log_loss"]
    assert run.data.metrics["model/log_loss_low"] == pytest.approx(interval.low)
    assert run.data.metrics["model/log_loss_high"] == pytest.approx(interval.high)
    assert run.data.tags["version"] == version.name
    assert run.data.tags["commit"] == metadata.commit
    assert run.data.tags["lock_sha256"] == metadata.identity.lock_sha256
    assert f"logged run {version.name} in experiment {NAME}" in trained.stderr


@needs_mlflow
@pytest.mark.slow
def test_the_table_is_logged_by_its_hash_and_none_of_its_rows_is_anywhere(
    client: Any, version: Path, folder: Path, stored: Path
):
    metadata = read_artifact(version).metadata

    (run,) = runs_of(client)

    (data_set,) = [each.dataset for each in run.inputs.dataset_inputs]
    assert metadata.identity.data_sha256.startswith(data_set.digest)
    assert len(data_set.digest) == tracking.LONGEST_DIGEST
    assert run.data.tags["data_sha256"] == metadata.identity.data_sha256
    assert {each.path for each in client.list_artifacts(run.info.run_id)} == {
        CARD,
        CARD_PAGE,
        METADATA,
        *PICTURES,
    }
    work = open_workspace(PROJECT, folder / "config.yaml")
    table = read_table(
        folder / work.config.data.path, CONTRACT, work.config.data.format
    )
    ids = [each.encode() for each in table[CONTRACT.id]]
    kept = [path.read_bytes() for path in stored.rglob("*") if path.is_file()]
    assert len(ids) > 1000
    assert any(version.name.encode() in each for each in kept)
    assert not [key for key in ids if any(key in each for each in kept)]


@needs_mlflow
@pytest.mark.slow
def test_the_registered_model_is_the_versions_and_answers_like_it(
    client: Any, version: Path
):
    import mlflow

    artifact = read_artifact(version)
    names = artifact.metadata.identity.feature_names
    matrix = np.random.default_rng(1).normal(size=(50, len(names))).astype(np.float32)
    session = onnxruntime.InferenceSession(artifact.files[ONNX])
    (expected,) = session.run([OUTPUT], {INPUT: matrix})

    uri = f"models:/{NAME}@{version.name.replace('.', '-')}"
    registered = mlflow.pyfunc.load_model(uri)
    model = mlflow.onnx.load_model(uri)

    answered = registered.predict(matrix)[OUTPUT]
    assert np.array_equal(answered, expected)
    assert model.SerializeToString() == artifact.files[ONNX]
    (tensor,) = registered.metadata.signature.inputs.inputs
    assert (tensor.shape, tensor.type) == ((-1, len(names)), np.dtype("float32"))
    assert OUTPUT in registered.metadata.signature.outputs.input_names()
    assert registered.metadata.metadata["feature_names"] == list(names)
    (number,) = client.search_model_versions(f"name='{NAME}'")
    assert number.tags["version"] == version.name
    assert not registered.metadata.saved_input_example_info
    with pytest.raises(mlflow.MlflowException, match="Shape of input"):
        registered.predict(matrix[:, :2])


@needs_mlflow
@pytest.mark.slow
def test_the_same_training_again_keeps_the_run_that_is_there(
    client: Any, folder: Path, server: str, version: Path
):
    before = runs_of(client)

    with logging_to(server):
        again = run_command(PROJECT, folder, "train")

    assert f"already has run {version.name} in experiment {NAME}" in again.stderr
    assert [run.info for run in runs_of(client)] == [run.info for run in before]
    assert len(client.search_model_versions(f"name='{NAME}'")) == 1


@needs_mlflow
@pytest.mark.slow
def test_a_comparison_is_a_run_with_one_below_it_for_each_row(
    client: Any, folder: Path, server: str
):
    with logging_to(server):
        done = run_command(PROJECT, folder, "compare", *COMPARED, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    (parent,) = [
        run for run in runs_of(client, "chosen") if run.info.status == "FINISHED"
    ]
    below = {
        run.info.run_name: run.data
        for run in runs_of(client, "mlflow.parentRunId")
        if run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    }

    assert below.keys() == told["rows"].keys()
    for name, row in told["rows"].items():
        interval = row["cross_validated"]["log_loss"]
        metrics = below[name].metrics
        assert metrics["cross_validated/log_loss"] == pytest.approx(interval["mean"])
        assert metrics["cross_validated/log_loss_low"] == pytest.approx(interval["low"])
        assert metrics["holdout/brier_high"] == pytest.approx(
            row["holdout"]["brier"]["high"]
        )
    assert below["logistic_regression"].params["model.estimator"] == COMPARED[0]
    assert below["logistic_regression"].metrics["costs/bytes"] > 0
    assert below["baseline"].params == {}
    files = {each.path for each in client.list_artifacts(parent.info.run_id)}
    assert files == {"comparison.json", "comparison.txt"}


@needs_mlflow
@pytest.mark.slow
def test_a_version_that_no_server_took_is_there_and_is_logged_the_next_time(
    server: str, tmp_path: Path
):
    folder = make_project(ROOT, tmp_path, model={"max_iter": 5})
    run_command(PROJECT, folder, "sample")

    with logging_to(f"http://me:SECRET@127.0.0.1:{free_port()}"):
        failed = run_command(PROJECT, folder, "train")
    with logging_to(server):
        done = run_command(PROJECT, folder, "train")

    (version,) = (folder / "models").glob("*-*")
    assert failed.returncode == TrackingError.exit_code
    assert f"{version.name} registered" in failed.stdout
    assert "error: MLflow at http://***@127.0.0.1" in failed.stderr
    assert "Mend that and run `train` again" in failed.stderr
    assert "SECRET" not in failed.stdout + failed.stderr
    assert f"logged run {version.name} in experiment {NAME}" in done.stderr


@needs_mlflow
@pytest.mark.slow
def test_a_version_that_scikit_learn_serves_is_logged_without_its_pickle(
    client: Any, server: str, tmp_path: Path
):
    folder = make_project(
        ROOT,
        tmp_path,
        model={"max_iter": 5},
        serving={"runtime": "scikit-learn", "allow_pickle": True},
    )
    run_command(PROJECT, folder, "sample")

    with logging_to(server):
        done = run_command(PROJECT, folder, "train")

    assert done.returncode == 0, done.stderr
    (version,) = (folder / "models").glob("*-*")
    (run,) = [each for each in runs_of(client) if each.info.run_name == version.name]
    assert "no model is logged" in done.stderr
    assert CARD in {each.path for each in client.list_artifacts(run.info.run_id)}
    assert not run.outputs.model_outputs
    found = client.search_model_versions(f"name='{NAME}'")
    assert version.name not in {each.tags["version"] for each in found}


@needs_mlflow
@pytest.mark.slow
def test_what_answers_and_is_not_mlflow_loses_no_version_either(folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        answer = subprocess.Popen(
            [sys.executable, "-c", NO_MLFLOW], stdin=listening, stdout=listening
        )
        try:
            with logging_to(f"http://127.0.0.1:{port}"):
                done = run_command(PROJECT, folder, "train")
        finally:
            answer.kill()
            answer.wait()

    assert done.returncode == TrackingError.exit_code
    assert "logged nothing more: " in done.stderr
    assert "The version is registered here" in done.stderr


NO_MLFLOW = """
import socket, sys
server = socket.socket(fileno=0)
while True:
    caller, _ = server.accept()
    caller.recv(65536)
    body = b"<html>It works!</html>"
    head = b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n"
    caller.sendall(head % len(body) + body)
    caller.close()
"""


@pytest.mark.slow
def test_without_the_variable_nothing_of_mlflow_is_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(URI, raising=False)
    code = (
        "import sys\n"
        "from own import PROJECT\n"
        "from skewless.testing import run_command\n"
        "from pathlib import Path\n"
        "for words in (['train'], ['compare', 'logistic_regression']):\n"
        "    done = run_command(PROJECT, Path(sys.argv[1]), *words)\n"
        "    assert done.returncode == 0, done.stderr\n"
        "print('mlflow' in sys.modules)\n"
    )

    said = subprocess.check_output(
        [sys.executable, "-c", code, str(folder)],
        env=os.environ  # noqa: TID251 - the child inherits ours
        | {"PYTHONPATH": str(ROOT / "engine/tests")},
        text=True,
    )

    assert said.strip() == "False"


@pytest.mark.parametrize("command", ["train", "compare"])
def test_mlflow_that_is_not_installed_is_told_with_the_command_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    folder = make_project(ROOT, tmp_path)
    monkeypatch.setenv(URI, "http://127.0.0.1:5000")
    monkeypatch.setattr(
        tracking,
        "find_spec",
        lambda name: None if name == "mlflow" else find_spec(name),
    )

    done = run_command(PROJECT, folder, command)

    assert done.returncode == NotInstalledError.exit_code
    assert done.stderr == (
        f"error: {URI} is set, and mlflow is not installed. `make install "
        "EXTRAS=mlflow` installs it; or unset the variable\n"
    )


def test_an_empty_variable_asks_for_no_tracking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = make_project(ROOT, tmp_path)
    monkeypatch.setenv(URI, " ")

    settings = open_workspace(PROJECT, folder / "config.yaml").settings

    assert not tracking.refuse_without_mlflow(settings)


def test_a_malformed_address_is_a_fault_that_names_the_variable_and_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = make_project(ROOT, tmp_path)
    monkeypatch.setenv(URI, "http://me:SE@CRET@127.0.0.1:5000")

    done = run_command(PROJECT, folder, "train")

    assert done.returncode == NotInstalledError.exit_code
    assert done.stderr.startswith(f"error: {URI}: found ")
    assert "CRET" not in done.stderr
