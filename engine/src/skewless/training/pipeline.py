"""config.yaml + table → a registered version: the road of training, end to end."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from skewless.core.arrays import to_arrays, to_json
from skewless.core.checkout import read_checkout
from skewless.core.feature_matrix import feature_matrix, features_of
from skewless.core.metrics import Metrics
from skewless.core.provenance import engine_sha256, provenance, who
from skewless.core.workspace import Workspace
from skewless.models.artifact import CARD, JOBLIB, METADATA, ONNX, PICTURES, sha256
from skewless.models.baseline import check_baseline
from skewless.models.card import render_card
from skewless.models.export import check_parity, export_model
from skewless.models.exportable import check_training, made_exportable
from skewless.models.metadata import Golden, Holdout, Identity, Metadata
from skewless.models.plots import as_svg, draw_calibration, draw_roc
from skewless.models.predict import Scorer, onnx_scorer
from skewless.models.reference import Reference, freeze, importances
from skewless.models.signing import SigningKey
from skewless.registry.registry import Registry
from skewless.registry.remote import open_registry
from skewless.tables.faults import check_table
from skewless.tables.simulate import simulate
from skewless.tables.split import is_holdout
from skewless.tables.table import data_hash, read_table
from skewless.training.compare import beside_references, measure

LOCK: Final = "requirements-dev.lock"
NO_LOCK: Final = "no lock"  # in place of its hash
GOLDEN_ROWS = 16
GOLDEN_SEED = 1
PARITY_ROWS = 10_000
IMPORTANCE_ROWS = 10_000


@dataclass(frozen=True)
class Trained:
    """What training came to: the version, and whether it was there before."""

    folder: Path
    metadata: Metadata
    already_there: bool


def train_version(
    work: Workspace, *, say: Callable[[str], None], key: SigningKey | None = None
) -> Trained:
    """Make a version, and write it under `registry.path`, signed if there is a key.

    See `make_version` for the other parameters.

    Raises
    ------
    SkewlessError
        The version cannot be made; see `make_version`.
    TamperedArtifactError
        The version exists already and is damaged.
    SignatureError
        The version exists already, signed by another key.
    """
    metadata, files = make_version(work, say=say)
    say("writing the version" if key is None else "writing and signing the version")
    registry = open_registry(work.config.registry, work.root)
    return _register(registry, work, metadata, files=files, key=key)


def make_version(
    work: Workspace, *, say: Callable[[str], None]
) -> tuple[Metadata, dict[str, bytes]]:
    """Read, check, split, fit, export and evaluate, in memory.

    Parameters
    ----------
    work
        The project, its configuration and where both are.
    say
        Called with a line before each step that takes time.

    Returns
    -------
    tuple of Metadata and dict of str to bytes
        What metadata.json will hold, and the files that are not rendered from it.

    Raises
    ------
    ConfigError
        `baseline.column` is not a feature.
    TableError
        The table breaks the contract.
    ParityError
        The model cannot be exported faithfully.
    """
    project, contract, config = work.project, work.contract, work.config
    checkout = read_checkout(work.root)  # before the work, as the code is loaded by now
    training = project.load_training()
    say(f"reading and checking {config.data.path}")
    table, held_out = _split_table(work)
    names = tuple(features_of(project, table[:1], config.features))
    check_baseline(config, names)
    matrix = feature_matrix(project, table, config.features)
    target = table[contract.target].to_numpy()

    check_training(matrix[~held_out], target[~held_out], names)
    say(f"training on {np.sum(~held_out):,} records, {np.sum(held_out):,} held out")
    fitted = made_exportable(
        training.train(matrix[~held_out], target[~held_out], config.model)
    )

    say("exporting to ONNX and comparing with scikit-learn")
    exported = export_model(fitted, matrix.shape[1])
    difference = check_parity(fitted, exported, matrix[:PARITY_ROWS])
    score = onnx_scorer(exported)

    say("evaluating on the holdout")
    holdout = table[held_out]
    probabilities = beside_references(holdout, score(matrix[held_out]), work)
    metrics = measure(
        holdout, probabilities, project, threshold=config.decision.threshold
    )
    reference = _reference(
        table, held_out, scores=probabilities["model"], work=work, score=score
    )
    identity = _identity(work, names=names, exported=exported, table=table)
    metadata = Metadata(
        version=identity.version(config.model.version),
        trained_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        identity=identity,
        training=config.model_dump(mode="json", include={"model", "baseline"}),
        golden=_golden(work, score),
        holdout=Holdout(
            rows=len(holdout),
            fraction=config.data.holdout_fraction,
            salt=config.data.holdout_salt,
        ),
        metrics={name: each.model_dump(mode="json") for name, each in metrics.items()},
        checkout=checkout,
        provenance=provenance()
        | {"training_rows": int(np.sum(~held_out)), "onnx_difference": difference},
        reference=reference,
    )
    pictures = _pictures(holdout[contract.target].to_numpy(), probabilities, metrics)
    return metadata, {ONNX: exported, JOBLIB: _dump(fitted), **pictures}


def _split_table(work: Workspace) -> tuple[pd.DataFrame, np.ndarray]:
    """Read and check the training table, and tell which of its rows are held out."""
    data = work.config.data
    contract = work.contract
    read = read_table(work.root / data.path, contract, data.format)
    table = check_table(read, contract)
    held_out = is_holdout(
        table[contract.id], fraction=data.holdout_fraction, salt=data.holdout_salt
    )
    return table, held_out


def _pictures(
    outcomes: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    metrics: Mapping[str, Metrics],
) -> dict[str, bytes]:
    curves = {name: each.calibration for name, each in metrics.items()}
    return {
        PICTURES[0]: as_svg(lambda axes: draw_roc(axes, outcomes, probabilities)),
        PICTURES[1]: as_svg(lambda axes: draw_calibration(axes, curves)),
    }


def _reference(
    table: pd.DataFrame,
    held_out: np.ndarray,
    *,
    scores: np.ndarray,
    work: Workspace,
    score: Scorer,
) -> Reference:
    known = {
        column.name: table[column.name].to_numpy() for column in work.contract.columns
    }
    some = np.flatnonzero(held_out)[:IMPORTANCE_ROWS]
    outcomes = table[work.contract.target].to_numpy()[some]
    features = work.config.features

    def loss(records: Mapping[str, np.ndarray], outcomes: np.ndarray) -> float:
        probabilities = score(feature_matrix(work.project, records, features))
        return float(log_loss(outcomes, probabilities, labels=[0, 1]))

    sample = {name: values[some] for name, values in known.items()}
    worth = importances(sample, outcomes, loss)
    frozen = {name: freeze(values, worth[name]) for name, values in known.items()}
    return Reference(columns=frozen, score=freeze(scores))


def _identity(
    work: Workspace, *, names: tuple[str, ...], exported: bytes, table: pd.DataFrame
) -> Identity:
    config = work.config
    lock = work.root / LOCK
    lock_sha256 = NO_LOCK
    if lock.exists():
        lock_sha256 = sha256(lock.read_bytes().replace(b"\r\n", b"\n"))
    return Identity(
        onnx_sha256=sha256(exported),
        columns=work.contract.columns,
        feature_names=names,
        features=config.features.model_dump(mode="json"),
        decision=config.decision,
        data_sha256=data_hash(table),
        lock_sha256=lock_sha256,
        engine_sha256=engine_sha256(),
    )


def _golden(work: Workspace, score: Scorer) -> Golden:
    contract = work.contract
    made_up = simulate(GOLDEN_ROWS, GOLDEN_SEED, contract)
    records = {
        column.name: to_json(made_up[column.name], column)
        for column in contract.columns
    }
    matrix = feature_matrix(
        work.project, to_arrays(records, contract), work.config.features
    )
    return Golden(records=records, probabilities=score(matrix).tolist())


def _register(
    registry: Registry,
    work: Workspace,
    metadata: Metadata,
    *,
    files: dict[str, bytes],
    key: SigningKey | None,
) -> Trained:
    """Write the version; if it exists, verify it and keep it.

    Either way it is the newest now.
    """
    text = {
        CARD: render_card(metadata, work.project),
        METADATA: metadata.model_dump_json(indent=2) + "\n",
    }
    contents = files | {name: value.encode() for name, value in text.items()}
    already_there = registry.write(
        metadata.version, contents, who=who(), checkout=metadata.checkout, key=key
    )
    kept = registry.load(metadata.version).metadata if already_there else metadata
    return Trained(registry.folder / metadata.version, kept, already_there)


def _dump(fitted: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(fitted, buffer)
    return buffer.getvalue()
