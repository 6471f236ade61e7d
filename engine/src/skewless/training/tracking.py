"""A version, or a comparison of estimators → runs of an MLflow server.

Only where `MLFLOW_TRACKING_URI` is set; MLflow is an extra, and this module alone
imports it, when something is logged. What is logged is what a version records of
itself. No record of the table is.
"""

import io
import json
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version as library_version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx

from skewless.core.bootstrap import Interval
from skewless.core.errors import NotInstalledError, TrackingError
from skewless.core.escaping import masked
from skewless.core.settings import Settings, set_unset_variables
from skewless.core.url import Url
from skewless.core.workspace import Workspace
from skewless.models.artifact import (
    CARD,
    CARD_PAGE,
    METADATA,
    ONNX,
    PICTURES,
    Artifact,
)
from skewless.models.metadata import Metadata
from skewless.models.quality import Estimate
from skewless.training.comparison import Comparison, Row

VARIABLES: Final = {
    # By default MLflow tries for some four minutes, and waits two for each answer.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
    # It would print the address of each run, with the password.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
"""What is set before MLflow is imported, unless the environment sets it."""
LONGEST_DIGEST: Final = 36  # characters that a server keeps of a data set's digest
LONGEST_REASON: Final = 600  # characters
LOGGED_FILES: Final = (CARD, CARD_PAGE, METADATA, *PICTURES)
NOT_IN_A_NAME: Final = re.compile(r"[^\w. /-]")
VERSION_TAG: Final = "version"
VERSION_KEPT: Final = (
    "The version is registered here, whole. Mend that and run `train` again: it makes "
    "the same version and logs it. Or unset MLFLOW_TRACKING_URI"
)
COMPARISON_SHOWN: Final = (
    "The comparison is above. Mend that and run `compare` again, or unset "
    "MLFLOW_TRACKING_URI"
)
COMPARISON: Final = "comparison"


class Logged(NamedTuple):
    """What is on the server of a version now."""

    was_there: bool
    """Whether it had been logged before, and nothing was done."""
    model: str | None
    """What `mlflow.onnx.load_model` takes; None if no model was registered."""


def refuse_without_mlflow(settings: Settings) -> bool:
    """Tell whether to log, before any work that would be for nothing.

    Raises
    ------
    NotInstalledError
        A server is named, and MLflow is not installed.
    """
    if settings.mlflow_tracking_uri is None:
        return False
    if find_spec("mlflow") is None:
        msg = (
            f"{settings.variable('mlflow_tracking_uri')} is set, and mlflow is not "
            "installed. `make install EXTRAS=mlflow` installs it; or unset the variable"
        )
        raise NotInstalledError(msg)
    return True


def log_version(work: Workspace, artifact: Artifact) -> Logged:
    """Log a version as a run of its name, and register its ONNX model.

    A version that has a finished run is not logged again. One whose logging failed is.

    Raises
    ------
    TrackingError
        The server did not take it.
    """
    metadata = artifact.metadata
    name = work.project.name
    with _server(work.settings, VERSION_KEPT) as mlflow:
        mlflow.set_experiment(name)
        alias = None if ONNX not in artifact.files else _alias(metadata.version)
        uri = None if alias is None else f"models:/{name}@{alias}"
        if _has_finished_run(mlflow, metadata.version):
            return Logged(was_there=True, model=uri)
        with mlflow.start_run(run_name=metadata.version, tags=_tags(metadata)):
            mlflow.log_params(_version_params(metadata))
            mlflow.log_metrics(_version_metrics(metadata))
            _log_data_set(mlflow, work, metadata.identity.data_sha256)
            _log_files(mlflow, artifact)
            if alias is not None:
                _log_model(mlflow, artifact, name, alias=alias)
    return Logged(was_there=False, model=uri)


def log_comparison(
    work: Workspace, found: Comparison, *, told: Mapping[str, Any], table: str
) -> None:
    """Log a comparison as a run, and below it one run for each of its rows.

    Parameters
    ----------
    work
        The project.
    found
        What was compared.
    told, table
        The same for a program, and for people; logged as files.

    Raises
    ------
    TrackingError
        The server did not take it.
    """
    name = work.project.name
    with _server(work.settings, COMPARISON_SHOWN) as mlflow:
        mlflow.set_experiment(name)
        with mlflow.start_run(run_name=COMPARISON):
            if found.chosen is not None:
                mlflow.set_tag("chosen", found.chosen)
            _log_data_set(mlflow, work, found.data_sha256)
            mlflow.log_dict(dict(told), "comparison.json")
            mlflow.log_text(table, "comparison.txt")
            for row in found.rows:
                with mlflow.start_run(run_name=row.name, nested=True):
                    if row.trained is not None:
                        mlflow.log_params(_params("model", row.trained.knobs))
                    mlflow.log_metrics(_row_metrics(row))


@contextmanager
def _server(settings: Settings, advice: str) -> Iterator[Any]:
    """Import MLflow and let it speak to the server that the environment names.

    The advice is for whoever reads that the server did not take it.
    """
    uri = settings.mlflow_tracking_uri
    if uri is None:
        msg = f"{settings.variable('mlflow_tracking_uri')} is not set"
        raise TrackingError(msg)
    set_unset_variables(VARIABLES)
    with _quiet():
        import mlflow
        import mlflow.onnx

        try:
            mlflow.set_tracking_uri(uri.get_secret_value())
            yield mlflow
        except Exception as error:  # a store raises whatever its library does
            raise _failed(uri, error, advice) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Show nothing that MLflow says, and none of each attempt before the error."""
    logger = logging.getLogger("urllib3")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _failed(uri: Url, error: Exception, advice: str) -> TrackingError:
    reason = masked(" ".join(str(error).split()))
    if uri.shows_secret(reason) or not reason:
        reason = type(error).__name__
    if len(reason) > LONGEST_REASON:
        reason = f"{reason[:LONGEST_REASON]}…"
    return TrackingError(f"MLflow at {uri} logged nothing more: {reason}", advice)


def _has_finished_run(mlflow: Any, version: str) -> bool:
    is_same = f"tags.{VERSION_TAG} = '{version}' and attributes.status = 'FINISHED'"
    found = mlflow.search_runs(
        filter_string=is_same, max_results=1, output_format="list"
    )
    return bool(found)


def _tags(metadata: Metadata) -> dict[str, str]:
    identity = metadata.identity
    return {
        VERSION_TAG: metadata.version,
        "commit": metadata.commit,
        "data_sha256": identity.data_sha256,
        "lock_sha256": identity.lock_sha256,
        "engine_sha256": identity.engine_sha256,
        "trained_at": metadata.trained_at,
    }


def _version_params(metadata: Metadata) -> dict[str, str]:
    sections = metadata.training | {
        "features": metadata.identity.features,
        "decision": metadata.identity.decision.model_dump(mode="json"),
    }
    params = dict[str, str]()
    for name, section in sections.items():
        params |= _params(name, section)
    return params


def _params(name: str, section: Mapping[str, Any]) -> dict[str, str]:
    """Write a section of config.yaml as ``section.key``; a list or mapping as JSON.

    >>> _params("model", {"depth": 3, "name": "a", "cuts": [1, 2]})
    {'model.depth': '3', 'model.name': 'a', 'model.cuts': '[1, 2]'}
    """
    return {
        f"{name}.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in section.items()
    }


def _version_metrics(metadata: Metadata) -> dict[str, float]:
    """Name metrics as ``model/log_loss``, so that MLflow shows each group by itself."""
    found = dict[str, float]()
    for name, metrics in metadata.metrics.items():
        numbers = metrics | metrics.get("others", {})
        found |= {
            _metric(name, key): float(value)
            for key, value in numbers.items()
            if isinstance(value, int | float)
        }
    for name, each in metadata.intervals.items():
        found |= _interval(_metric("model", name), each)
    return found


def _row_metrics(row: Row) -> dict[str, float]:
    found = dict[str, float]()
    for side, scores in (
        ("cross_validated", row.cross_validated),
        ("holdout", row.holdout),
    ):
        for name, interval in scores.items():
            found |= _interval(_metric(side, name), interval)
    found |= _interval("behind/log_loss", row.behind)
    if row.trained is not None:
        found |= {
            _metric("costs", name): float(value)
            for name, value in row.trained.costs._asdict().items()
            if value is not None
        }
    return found


def _interval(name: str, interval: Interval | Estimate) -> dict[str, float]:
    """Log an interval as three metrics.

    >>> _interval("model/brier", Interval(0.2, 0.1, 0.3))
    {'model/brier': 0.2, 'model/brier_low': 0.1, 'model/brier_high': 0.3}
    """
    return {
        name: interval.mean,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }


def _metric(group: str, name: str) -> str:
    return f"{group.replace(' ', '_')}/{NOT_IN_A_NAME.sub('_', name)}"


def _log_data_set(mlflow: Any, work: Workspace, sha256: str) -> None:
    """Log where the table is and its hash, and no row."""
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.data.sources import LocalArtifactDatasetSource

    path = Path(work.config.data.path)
    source = LocalArtifactDatasetSource(path.as_posix())
    data_set = MetaDataset(source, name=path.name, digest=sha256[:LONGEST_DIGEST])
    mlflow.log_input(data_set, context="training")


def _log_files(mlflow: Any, artifact: Artifact) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in set(LOGGED_FILES) & set(artifact.files):
            (folder / file).write_bytes(artifact.files[file])
        mlflow.log_artifacts(str(folder))


def _log_model(mlflow: Any, artifact: Artifact, name: str, *, alias: str) -> None:
    """Log the ONNX model and register it; the version's name is an alias and a tag."""
    metadata = artifact.metadata
    model = onnx.load_model_from_string(artifact.files[ONNX])
    logged = mlflow.onnx.log_model(
        model,
        name="model",
        registered_model_name=name,
        signature=_signature(model),
        # Else MLflow starts a process to find out.
        pip_requirements=[
            f"{library}=={library_version(library)}"
            for library in ("numpy", "onnx", "onnxruntime")
        ],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
        metadata={
            VERSION_TAG: metadata.version,
            "feature_names": list(metadata.identity.feature_names),
            "threshold": metadata.identity.decision.threshold,
        },
    )
    client = mlflow.MlflowClient()
    number = str(logged.registered_model_version)
    client.set_model_version_tag(name, number, VERSION_TAG, metadata.version)
    client.set_registered_model_alias(name, alias, number)


def _signature(model: onnx.ModelProto) -> Any:
    """Describe a model's tensors; the one input is the matrix, with no name to give."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    (matrix,) = model.graph.input
    return ModelSignature(
        inputs=Schema([TensorSpec(*_tensor(matrix))]),
        outputs=Schema(
            [TensorSpec(*_tensor(each), name=each.name) for each in model.graph.output]
        ),
    )


def _tensor(value: onnx.ValueInfoProto) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return a tensor's type and shape; -1 stands for any number of rows."""
    tensor = value.type.tensor_type
    shape = tuple(each.dim_value or -1 for each in tensor.shape.dim)
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)), shape


def _alias(version: str) -> str:
    """Spell a version as MLflow allows an alias to be spelled.

    >>> _alias("0.1.0-1a2b3c4d")
    '0-1-0-1a2b3c4d'
    """
    return version.replace(".", "-")
