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

from skewless.core.arrays import to_arrays, to_json
from skewless.core.checkout import read_checkout
from skewless.core.errors import ConfigError, ParityError
from skewless.core.feature_matrix import feature_matrix
from skewless.core.metrics import Metrics
from skewless.core.provenance import engine_sha256, provenance, who
from skewless.core.sections import ServingConfig
from skewless.core.workspace import Workspace
from skewless.models.artifact import (
    CARD,
    CARD_PAGE,
    JOBLIB,
    METADATA,
    ONNX,
    PICTURES,
    Artifact,
    sha256,
)
from skewless.models.card import render_card
from skewless.models.card_page import render_card_page
from skewless.models.export import export_model
from skewless.models.fitted import describe
from skewless.models.metadata import Golden, Holdout, Identity, Metadata
from skewless.models.plots import as_svg, draw_calibration, draw_roc
from skewless.models.predict import (
    Scorer,
    joblib_scorer,
    onnx_scorer,
    open_predictor,
)
from skewless.models.reference import Reference, count_segments, freeze
from skewless.models.signing import SigningKey
from skewless.registry.registry import Registry
from skewless.registry.remote import open_registry
from skewless.tables.simulate import simulate
from skewless.tables.split import ids_hash, repeated
from skewless.tables.table import data_hash
from skewless.training.data import TrainingData, fit, read_training_data
from skewless.training.evaluation import beside_references, measure
from skewless.training.holdout import column_importances, measure_holdout
from skewless.training.proof import prove_features, prove_model

LOCK: Final = "requirements-dev.lock"
NO_LOCK: Final = "no lock"  # in place of its hash
GOLDEN_ROWS = 16
GOLDEN_SEED = 1


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
        `baseline.column` is not a feature; a feature is not that of the record alone,
        or not finite; the estimator fails.
    TableError
        The table breaks the contract.
    ParityError
        The model cannot be exported faithfully.
    """
    config = work.config
    refuse_unasked_pickle(config.serving)
    checkout = read_checkout(work.root)  # before the work, as the code is loaded by now
    training = work.project.load_training()
    say(f"reading and checking {config.data.path}")
    data = read_training_data(work)
    say("proving that a record's features depend on nothing but the record")
    proven = prove_features(data.features, data.table, data.matrix)

    rows = len(data.table) - len(data.holdout)
    say(f"training on {rows:,} records, {len(data.holdout):,} held out")
    fitted = fit(training, data, config.model)
    say("comparing what will be served with what was trained")
    models = write_models(fitted, config.serving, len(data.names))
    score = load_scorer(models)
    proof = prove_model(fitted, score, data.matrix, proven=proven, names=data.names)

    say("evaluating on the holdout")
    answers = score(data.matrix[data.is_held_out])
    probabilities = beside_references(data.holdout, answers, work)
    metrics = measure(
        data.holdout,
        probabilities,
        work.project,
        threshold=config.decision.threshold,
    )
    identity = _identity(work, models, names=data.names, table=data.table)
    metadata = Metadata(
        version=identity.version(config.model.version),
        trained_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        identity=identity,
        training=config.model_dump(mode="json", include={"model", "baseline"}),
        golden=_golden(work, score),
        holdout=Holdout(
            rows=len(data.holdout),
            ids_sha256=ids_hash(data.holdout, work.contract),
            repeated=repeated(data.table, data.is_held_out, work.contract),
            **config.data.split.model_dump(),
        ),
        metrics={name: each.model_dump(mode="json") for name, each in metrics.items()},
        **measure_holdout(data, probabilities, work.contract),
        fitted=describe(fitted),
        checkout=checkout,
        provenance=provenance() | {"training_rows": rows},
        proof=proof,
        reference=_reference(data, answers, work=work, score=score),
    )
    outcomes = data.target[data.is_held_out]
    pictures = _pictures(outcomes, probabilities, metrics)
    return metadata, models | pictures


def refuse_unasked_pickle(serving: ServingConfig) -> None:
    """Refuse to train what scikit-learn would serve, unless config.yaml allows it.

    Raises
    ------
    ConfigError
        `serving.allow_pickle` is not set.
    """
    if serving.runtime != "onnx" and not serving.allow_pickle:
        msg = (
            "serving.runtime: scikit-learn serves a pickle, which can run any code; "
            "serving.allow_pickle: true allows it"
        )
        raise ConfigError(msg)


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
    data: TrainingData, scores: np.ndarray, *, work: Workspace, score: Scorer
) -> Reference:
    """Freeze the table's columns and the holdout's scores; live rows are compared."""
    worth = column_importances(data, work.contract, score)
    records = {name: data.table[name].to_numpy() for name in worth}
    columns = {name: freeze(values, worth[name]) for name, values in records.items()}
    choices = [column.name for column in work.contract.columns if column.choices]
    return count_segments(
        Reference(columns=columns, score=freeze(scores)),
        records,
        scores,
        is_held_out=data.is_held_out,
        by=sorted(choices, key=lambda name: -worth[name]),
    )


def write_models(
    fitted: Any, serving: ServingConfig, features: int
) -> dict[str, bytes]:
    """Write the model as a version's files: ONNX too, unless scikit-learn serves.

    Raises
    ------
    ParityError
        It cannot be pickled, or ONNX cannot express it.
    """
    buffer = io.BytesIO()
    try:
        joblib.dump(fitted, buffer)
    except Exception as error:  # pickling raises whatever it runs into
        msg = (
            f"train.py: {type(fitted).__name__} cannot be written ({error}). What it "
            "holds must be defined at the top of a file: no lambda, no inner function"
        )
        raise ParityError(msg) from error
    models = {JOBLIB: buffer.getvalue()}
    if serving.runtime == "onnx":
        models[ONNX] = export_model(fitted, features)
    return models


def load_scorer(models: Mapping[str, bytes]) -> Scorer:
    """Load what will be served of the files that `write_models` returned."""
    if ONNX in models:
        return onnx_scorer(models[ONNX])
    return joblib_scorer(models[JOBLIB])


def _identity(
    work: Workspace,
    models: Mapping[str, bytes],
    *,
    names: tuple[str, ...],
    table: pd.DataFrame,
) -> Identity:
    config = work.config
    lock = work.root / LOCK
    lock_sha256 = NO_LOCK
    if lock.exists():
        lock_sha256 = sha256(lock.read_bytes().replace(b"\r\n", b"\n"))
    onnx, by_joblib = None, None
    if ONNX in models:
        onnx = sha256(models[ONNX])
    else:
        by_joblib = sha256(models[JOBLIB])
    return Identity(
        onnx_sha256=onnx,
        joblib_sha256=by_joblib,
        columns=work.contract.columns,
        feature_names=names,
        features=config.features.model_dump(mode="json"),
        decision=config.decision.decided,
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
    """Try the version out and write it; if it exists, verify it and keep it.

    Either way it is the newest now.
    """
    text = {
        CARD: render_card(metadata, work.project),
        CARD_PAGE: render_card_page(metadata, work.project),
        METADATA: metadata.model_dump_json(indent=2) + "\n",
    }
    contents = files | {name: value.encode() for name, value in text.items()}
    # By the code that serves it, before it exists.
    artifact = Artifact(metadata=metadata, files=contents)
    open_predictor(artifact, work.project, work.config.serving)
    already_there = registry.write(
        metadata.version, contents, who=who(), checkout=metadata.checkout, key=key
    )
    kept = registry.load(metadata.version).metadata if already_there else metadata
    return Trained(registry.folder / metadata.version, kept, already_there)
