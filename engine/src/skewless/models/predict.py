"""Raw records → probabilities: the one scoring path that every road uses.

A `Predictor` answers from its artefact alone, so an edit of config.yaml changes no
answer.
"""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from pydantic import BaseModel, ValidationError

from skewless.core.answer import Decision, RiskTier, Source, decide
from skewless.core.arrays import as_columns, as_scalars, to_arrays
from skewless.core.contract import Columns, Contract
from skewless.core.errors import (
    ConfigError,
    IncompatibleArtifactError,
    UnsafeModelError,
)
from skewless.core.feature_matrix import feature_matrix
from skewless.core.project import Project
from skewless.core.sections import ServingConfig
from skewless.models.artifact import JOBLIB, ONNX, Artifact, read_artifact
from skewless.models.metadata import Golden, Metadata
from skewless.models.onnx_guard import check_onnx
from skewless.models.signing import PublicKey

INPUT: Final = "features"
OUTPUT: Final = "probability"
GOLDEN_TOLERANCE = 1e-5  # of a probability, between processors and runtimes

SKLEARN: Final = ("joblib", "sklearn")
ONNX_ALONE: Final = ServingConfig()
"""What is loaded unless config.yaml says otherwise."""
Scorer = Callable[[np.ndarray], np.ndarray]
"""Matrix, float32 (n, k) → probabilities of the event, float64 (n,)."""


class Predictor:
    """A versioned way from records to probabilities; safe to share between threads.

    Attributes
    ----------
    source
        Who answers.
    version, threshold
        Of the source, too.
    contract
        What a record is.
    probabilities
        Scores a DataFrame or mapping of arrays that keeps the contract, n records;
        float64 (n,) in [0, 1].
    model_bytes
        Size of the model file it was loaded with; 0 if there is none.
    """

    def __init__(
        self,
        source: Source,
        contract: Contract,
        probabilities: Callable[[Columns], np.ndarray],
    ) -> None:
        self.source = source
        self.contract = contract
        self.version = source.version
        self.threshold = source.decision.threshold
        self.model_bytes = 0
        self.probabilities = probabilities

    def predict(self, records: Sequence[BaseModel]) -> list[Decision]:
        """Score validated records.

        The answers are bit for bit the same one by one or together, in any order.

        Raises
        ------
        PredictionError
            An answer is no probability; nothing is known about the records then.
        """
        if not records:
            return []
        return list(map(Decision, *self.predict_columns(records)))

    def predict_columns(
        self, records: Sequence[BaseModel]
    ) -> tuple[list[float], list[bool], list[RiskTier]]:
        """Score at least one record; answer with a list of each part of a `Decision`.

        It raises what `predict` does.
        """
        if len(records) == 1:
            columns: Columns = as_scalars(records[0], self.contract)
        else:
            columns = as_columns(records, self.contract)
        probabilities = self.probabilities(columns)
        decisions, tiers = decide(probabilities, self.source)
        return probabilities.tolist(), decisions.tolist(), tiers.tolist()


def predictor_of(
    metadata: Metadata, project: Project[Any, Any], scorer: Scorer
) -> Predictor:
    """Put features and a loaded model together, and try them out on the golden rows.

    Raises
    ------
    IncompatibleArtifactError
        This code cannot make the features, or the golden rows come out otherwise.
    """
    identity = metadata.identity
    try:
        # As JSON: there a list may stand for a tuple, and text for a date.
        features = project.features_config.model_validate_json(
            json.dumps(identity.features)
        )
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        reason = f"features.py does not take its features section ({wrong})"
        raise _incompatible(metadata, reason) from error

    def probabilities(records: Columns) -> np.ndarray:
        return scorer(
            feature_matrix(project, records, features, names=identity.feature_names)
        )

    fault = _golden_fault(metadata.golden, project.contract, probabilities)
    if fault is not None:
        raise _incompatible(metadata, fault)
    source = Source(
        metadata.version, metadata.trained_at, identity.columns, identity.decision
    )
    return Predictor(source, project.contract, probabilities)


def _golden_fault(
    golden: Golden, contract: Contract, probabilities: Callable[[Columns], np.ndarray]
) -> str | None:
    """Answer the golden rows, and say what is wrong, if anything.

    This also warms the model up.
    """
    try:
        answers = probabilities(to_arrays(golden.records, contract))
        difference = np.abs(answers - np.array(golden.probabilities)).max()
    except KeyError as error:
        return f"schema.py or features.py no longer has {error}"
    except Exception as error:  # noqa: BLE001 - features or runtime can raise anything
        return f"its golden rows cannot be scored ({error})"
    if not (answers.min() >= 0 and answers.max() <= 1):
        return "its answers are not probabilities"
    if not difference <= GOLDEN_TOLERANCE:
        return f"its golden rows come out {difference:.2g} away from what they were"
    return None


def _incompatible(metadata: Metadata, reason: str) -> IncompatibleArtifactError:
    msg = (
        f"{metadata.version} does not fit this code: {reason}. "
        f"The commit that can serve it: {metadata.commit}; or train again"
    )
    return IncompatibleArtifactError(msg, metadata.commit)


def load_predictor(
    folder: Path,
    project: Project[Any, Any],
    serving: ServingConfig = ONNX_ALONE,
    *,
    public_key: PublicKey | None = None,
) -> Predictor:
    """Read, verify, load and try out a version, all from the same bytes.

    Parameters
    ----------
    folder
        The version.
    project
        Whose it is: its features are computed by this code.
    serving
        See `open_predictor`.
    public_key
        Whose signature is asked for, if any.

    Raises
    ------
    ArtifactError
        One of its subclasses, for each reason to refuse.
    """
    return open_predictor(read_artifact(folder, public_key), project, serving)


def open_predictor(
    artifact: Artifact,
    project: Project[Any, Any],
    serving: ServingConfig = ONNX_ALONE,
) -> Predictor:
    """Load and try out a version that was verified, as `Registry.load` returns it.

    Parameters
    ----------
    artifact
        The version.
    project
        Whose it is: its features are computed by this code.
    serving
        The section of config.yaml. Its `runtime` ``scikit-learn`` loads the joblib
        file, which is a pickle: it can run any code of whoever wrote it. So
        `allow_pickle` must be true.

    Raises
    ------
    ArtifactError
        One of its subclasses, for each reason to refuse.
    """
    scorer = _scorer(artifact, serving)
    predictor = predictor_of(artifact.metadata, project, scorer)
    predictor.model_bytes = len(artifact.files.get(ONNX, artifact.files[JOBLIB]))
    return predictor


def onnx_scorer(model: bytes) -> Scorer:
    """Load an ONNX model on one thread; a service scales by processes.

    Raises
    ------
    UnsafeModelError
        The model asks for more than its own bytes and the standard operators, or cannot
        be loaded.
    """
    check_onnx(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Else it burns CPU while idle.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # What was checked, no other format.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        msg = f"model.onnx cannot be loaded: {error}"
        raise UnsafeModelError(msg) from error
    return lambda matrix: session.run([OUTPUT], {INPUT: matrix})[0].astype(np.float64)


def joblib_scorer(model: bytes) -> Scorer:
    """Load a model that scikit-learn serves; its bytes can run any code.

    Raises
    ------
    ConfigError
        scikit-learn is not installed here.
    """
    try:
        import joblib  # noqa: PLC0415 - only this runtime may load it

        fitted: Any = joblib.load(io.BytesIO(model))
    except ModuleNotFoundError as error:
        if error.name not in SKLEARN:
            raise
        msg = (
            f"serving.runtime: scikit-learn needs {error.name}, which is not installed "
            "here. Install what trains: the extra `train`"
        )
        raise ConfigError(msg) from error
    return lambda matrix: fitted.predict_proba(matrix)[:, 1].astype(np.float64)


def _scorer(artifact: Artifact, serving: ServingConfig) -> Scorer:
    metadata = artifact.metadata
    if serving.runtime == "onnx":
        if ONNX not in artifact.files:
            msg = (
                f"{metadata.version} has no {ONNX}: scikit-learn serves it, if "
                "serving.runtime is scikit-learn and serving.allow_pickle is true"
            )
            raise IncompatibleArtifactError(msg, metadata.commit)
        return onnx_scorer(artifact.files[ONNX])
    if not serving.allow_pickle:
        msg = (
            f"{JOBLIB} is a pickle, which can run any code; "
            "serving.allow_pickle: true allows it, or use the onnx runtime"
        )
        raise UnsafeModelError(msg)
    try:
        return joblib_scorer(artifact.files[JOBLIB])
    except ConfigError:
        raise
    except Exception as error:  # a pickle can ask for anything
        reason = f"{JOBLIB} cannot be loaded ({error})"
        raise _incompatible(metadata, reason) from error
