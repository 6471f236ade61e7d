"""Holdout + probabilities → metrics, beside the baseline's and the best possible."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churn_service.baseline import baseline_probability
from churn_service.errors import ConfigError
from churn_service.faults import check_table
from churn_service.metrics import Metrics
from churn_service.predict import load_predictor
from churn_service.registry import NEWEST, Registry
from churn_service.seam import Project
from churn_service.simulate import is_simulated, true_probability
from churn_service.split import is_holdout
from churn_service.table import read_table
from churn_service.workspace import Workspace


def beside_references(holdout: pd.DataFrame, model: np.ndarray, work: Workspace) -> dict[str, np.ndarray]:
    """Put the model's probabilities beside the baseline's and, on the simulator's table, the true ones.

    Raises
    ------
    ConfigError
        `baseline.column` is not a feature.
    """
    config = work.config
    try:
        found = {"model": model, "baseline": baseline_probability(work.project, holdout, config)}
    except KeyError as error:
        known = ", ".join(work.project.features(holdout, config.features))
        msg = f"config.yaml: baseline.column: found {config.baseline.column!r}; allowed are {known}"
        raise ConfigError(msg) from error
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
    return {name: evaluate(values, outcomes, threshold=threshold) for name, values in probabilities.items()}


def evaluate_version(
    work: Workspace, registry: Registry, *, version: str | None, table: Path | None
) -> tuple[str, dict[str, Any]]:
    """Measure a version on the part of a table that its own split held out, beside the present baseline.

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
        The version, and the metrics by name: model, baseline and, on the simulator's table, best possible.

    Raises
    ------
    ArtifactError
        The version is refused.
    TableError
        The table breaks the contract.
    """
    folder = registry.find(version or NEWEST)
    predictor = load_predictor(folder, work.project, public_key=registry.public_key)
    split = registry.metadata(folder.name).holdout
    data, contract = work.config.data, work.contract
    checked = check_table(read_table(table or work.root / data.path, contract, data.format), contract)
    holdout = checked[is_holdout(checked[contract.id], fraction=split.fraction, salt=split.salt)]
    probabilities = beside_references(holdout, predictor.probabilities(holdout), work)
    metrics = measure(holdout, probabilities, work.project, threshold=predictor.threshold)
    return predictor.version, {name: each.model_dump(mode="json") for name, each in metrics.items()}
