"""What metadata.json holds: a version's origin, what it needs, what it is worth."""

import hashlib
import json
import re
from typing import Any, Final, Literal

from pydantic import BaseModel

from skewless.core.checkout import Checkout
from skewless.core.contract import Column
from skewless.core.sections import VERSION_NUMBER, DecisionConfig, Split
from skewless.models.quality import Estimate, Scores, Segment
from skewless.models.reference import Reference

VERSION: Final = re.compile(VERSION_NUMBER.strip("^$") + "-[0-9a-f]{8}")
"""The whole name of a version: its number, a hyphen and 8 hex digits.

The digits are the first of its identity's SHA-256.
"""


class Identity(BaseModel, frozen=True, extra="ignore"):
    """Everything that decides an answer; its digest is the version's second half."""

    onnx_sha256: str | None
    """None for a model that ONNX cannot express; then joblib's stands for it."""
    joblib_sha256: str | None = None
    """Of a model that scikit-learn serves, else None."""
    columns: tuple[Column, ...]
    feature_names: tuple[str, ...]
    features: dict[str, Any]
    decision: DecisionConfig
    data_sha256: str
    lock_sha256: str
    engine_sha256: str
    """Of the engine's source, wherever it is installed from."""

    def version(self, number: str) -> str:
        """Name the version: its number, a hyphen and 8 hex digits.

        The digits are the first of the identity's SHA-256.
        """
        facts = self.model_dump(mode="json")
        if self.joblib_sha256 is None:  # earlier versions had no such fact
            del facts["joblib_sha256"]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return f"{number}-{digest[:8]}"


class Golden(BaseModel, frozen=True, extra="ignore"):
    """Made-up records and the probabilities that this version must give them.

    They must be the same wherever it runs.
    """

    records: dict[str, list[Any]]
    probabilities: list[float]


class Proof(BaseModel, frozen=True, extra="ignore"):
    """What was proven before the version was made."""

    rows: int
    """Of the table, whose features came out alike in another order and alone."""
    edges: Golden
    """Records at the edges of the contract, answered by the model that was trained.

    The version gives the same within `difference`.
    """
    compared: int
    """Rows of features on which the version and the trained model were compared."""
    difference: float
    """Their largest difference of a probability there."""
    splits: int
    """Splits of the model's trees."""
    splits_checked: int
    """Those with rows that lie on them and beside them, among the rows compared."""


class Holdout(Split):
    """Which records a version never saw; see `skewless.tables.split.held_out`."""

    rows: int
    ids_sha256: str | None = None
    """Of the ids held out, in their order; an earlier version has none."""
    repeated: int = 0
    """Of them, those that equal a record to train on, but for the id."""


class Step(BaseModel, frozen=True, extra="ignore"):
    """One object that a fitted model consists of."""

    name: str
    """Its class."""
    depth: int
    """Of how many other steps it is a part."""
    knobs: dict[str, Any] = {}
    """Its parameters that differ from its own defaults, as it was fitted with them."""


class Imputation(BaseModel, frozen=True, extra="ignore"):
    """What stands in for a missing value."""

    name: str
    """Class of the step that puts it there."""
    strategy: str
    """How the value is chosen, in words such as `median`."""
    is_told: bool
    """Whether the model is told, by a column of its own, that the value was missing."""


Treatment = Literal["read", "imputed", "partly_imputed", "refused", "unknown"]
"""Who deals with a missing value: the estimator, a step before it, or nobody."""


class Fitted(BaseModel, frozen=True, extra="ignore"):
    """What was fitted, read off the object itself and not off config.yaml."""

    steps: tuple[Step, ...]
    """In the order in which a record passes them; what holds others stands first."""
    missing: Treatment
    imputations: tuple[Imputation, ...] = ()


class Metadata(BaseModel, frozen=True, extra="ignore"):
    """What metadata.json holds; fields that only later code knows are ignored."""

    version: str
    trained_at: str
    identity: Identity
    training: dict[str, dict[str, Any]] = {}
    """The sections of config.yaml that training read and no other field holds.

    These are model and baseline. They are not in the identity: knobs that give the same
    bytes give the same answers. A version from before they were recorded has none.
    """
    golden: Golden
    holdout: Holdout
    metrics: dict[str, dict[str, Any]]
    intervals: dict[str, Estimate] = {}
    """The model's `SCORES` on the holdout, each with its 95 % interval.

    A version from before they were measured has none, and nothing of the next four.
    """
    behind_baseline: Estimate | None = None
    """Nats of log loss more than the baseline, record by record; below 0 is better."""
    scores: Scores | None = None
    """How the probabilities of the records held out lie, by outcome."""
    segments: tuple[Segment, ...] = ()
    """How good it is for the records held out that share a value."""
    fitted: Fitted | None = None
    checkout: Checkout
    """Of the code that trained it."""
    provenance: dict[str, Any]
    proof: Proof | None = None
    """None for a version from before there were proofs."""
    reference: Reference | None = None
    """What live rows are compared with; no answer depends on it.

    Earlier versions of this code kept none.
    """

    @property
    def commit(self) -> str:
        """Say which commit it was trained by, and if that is not all or not known."""
        return str(self.checkout)
