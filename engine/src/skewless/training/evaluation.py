"""Holdout + probabilities → metrics, beside the baseline's and the best possible."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skewless.core.feature_matrix import features_of
from skewless.core.metrics import Metrics
from skewless.core.project import Project
from skewless.core.workspace import Workspace
from skewless.models.baseline import baseline_probability, check_baseline
from skewless.models.predict import open_predictor
from skewless.registry.registry import NEWEST, Registry
from skewless.tables.simulate import is_simulated, true_probability
from skewless.tables.split import read_split


def beside_references(
    holdout: pd.DataFrame, model: np.ndarray, work: Workspace
) -> dict[str, np.ndarray]:
    """Put the model's probabilities beside the baseline's.

    On the simulator's table, the true ones are put beside them too.

    Raises
    ------
    ConfigError
        `baseline.column` is not a feature.
    """
    names = tuple(features_of(work.project, holdout[:1], work.config.features))
    check_baseline(work.config, names)
    found = {
        "model": model,
        "baseline": baseline_probability(work.project, holdout, work.config),
    }
    if is_simulated(holdout[work.contract.id]):
        found["best possible"] = true_probability(holdout, work.contract)
    return found


def measure(
    holdout: pd.DataFrame,
    probabilities: dict[str, np.ndarray],
    project: Project[Any, Any],
    *,
    threshold: float,
) -> dict[str, Metrics]:
    """Evaluate each named set of probabilities on the holdout.

    Raises
    ------
    TableError
        The holdout lacks one of the outcomes.
    """
    outcomes = holdout[project.contract.target].to_numpy()
    evaluate = project.load_training().evaluate
    return {
        name: evaluate(values, outcomes, threshold=threshold)
        for name, values in probabilities.items()
    }


def evaluate_version(
    work: Workspace, registry: Registry, *, version: str | None, table: Path | None
) -> tuple[str, dict[str, Any]]:
    """Measure a version on the part of a table that its own split held out.

    The present baseline is measured beside it.

    Parameters
    ----------
    work
        For the baseline and the path of the table.
    registry
        The versions.
    version
        Default: the newest.
    table
        Default: `data.path`.

    Returns
    -------
    tuple of str and dict
        The version, and the metrics by name: model, baseline and, on the simulator's
        table, best possible.

    Raises
    ------
    ArtifactError
        The version is refused.
    TableError
        The table breaks the contract.
    """
    artifact = registry.load(version or NEWEST)
    predictor = open_predictor(artifact, work.project, work.config.serving)
    data = work.config.data
    path = table or work.root / data.path
    checked, is_held_out = read_split(
        path, work.contract, data.format, split=artifact.metadata.holdout
    )
    holdout = checked[is_held_out]
    probabilities = beside_references(holdout, predictor.probabilities(holdout), work)
    metrics = measure(
        holdout,
        probabilities,
        work.project,
        threshold=predictor.threshold,
    )
    measured = {name: each.model_dump(mode="json") for name, each in metrics.items()}
    return predictor.version, measured
