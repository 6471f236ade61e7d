"""Raw records → probabilities: the one scoring path that every road uses.

A `Predictor` answers from its artefact alone: feature names and knobs, threshold and tiers come from there,
so an edit of config.yaml changes no answer.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import onnxruntime
from pydantic import BaseModel, ValidationError

from churn_service.artifact import JOBLIB, ONNX, Artifact, read_artifact
from churn_service.contract import Columns, as_columns, as_scalars, to_arrays
from churn_service.errors import IncompatibleArtifactError, UnsafeModelError
from churn_service.features import FeaturesConfig, feature_matrix
from churn_service.metadata import Metadata
from churn_service.onnx_guard import check_onnx
from churn_service.schema import Customer

INPUT: Final = "features"
OUTPUT: Final = "churn_probability"
GOLDEN_TOLERANCE = 1e-5  # of a probability, between processors and runtimes

RiskTier = Literal["LOW", "MEDIUM", "HIGH"]
TIERS: Final[tuple[RiskTier, ...]] = get_args(RiskTier)
Runtime = Literal["onnx", "scikit-learn"]
Scorer = Callable[[np.ndarray], np.ndarray]
"""Matrix, float32 (n, k) → churn probabilities, float64 (n,)."""


class Decision(BaseModel, frozen=True):
    """A probability and what follows from it."""

    churn_probability: float
    churn_prediction: bool
    risk_tier: RiskTier


class Predictor:
    """A verified model version, ready to answer; safe to share between threads."""

    def __init__(self, metadata: Metadata, scorer: Scorer) -> None:
        self.metadata = metadata
        self.version = metadata.version
        self.threshold = metadata.identity.decision.threshold
        self._scorer = scorer
        self._names = metadata.identity.feature_names
        self._decision = metadata.identity.decision
        try:
            self._features = FeaturesConfig.model_validate(metadata.identity.features)
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
            reason = f"features.py does not take its features section ({wrong})"
            raise self._incompatible(reason) from error
        self._reproduce_golden()

    def probabilities(self, customers: Columns) -> np.ndarray:
        """Score a DataFrame or a mapping of arrays with n customers; float64 (n,) in [0, 1].

        The columns must keep the contract: see `churn_service.table` and `Customer`.
        """
        matrix = feature_matrix(customers, self._features, self._names)
        return self._scorer(matrix)

    def predict(self, customers: Sequence[Customer]) -> list[Decision]:
        """Score validated records; bit for bit the same one by one or together, in any order."""
        if not customers:
            return []
        columns = as_scalars(customers[0]) if len(customers) == 1 else as_columns(customers)
        return [self.decide(probability) for probability in self.probabilities(columns).tolist()]

    def decide(self, probability: float) -> Decision:
        """Apply the artefact's threshold and tiers to one probability."""
        return Decision(
            churn_probability=probability,
            churn_prediction=probability >= self.threshold,
            risk_tier=TIERS[self.tier_positions(probability)],
        )

    def tier_positions(self, probabilities: Any) -> Any:
        """Return positions in `TIERS` of one probability or an array; a bound belongs to the tier above."""
        bounds = (self._decision.medium_risk, self._decision.high_risk)
        return sum(1 * (probabilities >= bound) for bound in bounds)

    def _reproduce_golden(self) -> None:
        """Answer the golden rows, which also warms the model up."""
        golden = self.metadata.golden
        try:
            answers = self.probabilities(to_arrays(golden.customers))
            difference = np.abs(answers - np.array(golden.probabilities)).max()
        except KeyError as error:
            reason = f"schema.py or features.py no longer has {error}"
            raise self._incompatible(reason) from error
        except Exception as error:  # whatever made-up rows can do to features or to the runtime
            reason = f"its golden rows cannot be scored ({error})"
            raise self._incompatible(reason) from error
        if not (answers.min() >= 0 and answers.max() <= 1):
            reason = "its answers are not probabilities"
            raise self._incompatible(reason)
        if not difference <= GOLDEN_TOLERANCE:
            reason = f"its golden rows come out {difference:.2g} away from what they were"
            raise self._incompatible(reason)

    def _incompatible(self, reason: str) -> IncompatibleArtifactError:
        commit = self.metadata.provenance.get("git_commit") or "unknown (trained outside git)"
        return IncompatibleArtifactError(
            f"{self.metadata.version} does not fit this code: {reason}. "
            f"The commit that can serve it: {commit}; or train again"
        )


def load_predictor(folder: Path, *, runtime: Runtime = "onnx", allow_pickle: bool = False) -> Predictor:
    """Read, verify, load and try out a version, all from the same bytes.

    Parameters
    ----------
    folder
        The version.
    runtime
        ``scikit-learn`` loads the joblib file, which is a pickle: it can run any code of whoever wrote it.
    allow_pickle
        Whether that is accepted.

    Raises
    ------
    ArtifactError
        One of its subclasses, for each reason to refuse.
    """
    artifact = read_artifact(folder)
    return Predictor(artifact.metadata, _scorer(artifact, runtime, allow_pickle=allow_pickle))


def onnx_scorer(model: bytes) -> Scorer:
    """Load an ONNX model on one thread; a service scales by processes.

    Raises
    ------
    UnsafeModelError
        The model asks for more than its own bytes and the standard operators, or cannot be loaded.
    """
    check_onnx(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else it burns CPU while idle
    options.add_session_config_entry("session.load_model_format", "ONNX")  # what was checked, no other format
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        msg = f"model.onnx cannot be loaded: {error}"
        raise UnsafeModelError(msg) from error
    return lambda matrix: session.run([OUTPUT], {INPUT: matrix})[0].astype(np.float64)


def _scorer(artifact: Artifact, runtime: Runtime, *, allow_pickle: bool) -> Scorer:
    if runtime == "onnx":
        return onnx_scorer(artifact.files[ONNX])
    if not allow_pickle:
        msg = f"{JOBLIB} is a pickle, which can run any code; allow it explicitly, or use the onnx runtime"
        raise UnsafeModelError(msg)
    import joblib  # noqa: PLC0415 - only this runtime may load it

    model: Any = joblib.load(io.BytesIO(artifact.files[JOBLIB]))
    return lambda matrix: model.predict_proba(matrix)[:, 1]
