"""Holdout + probabilities → metrics, beside the baseline's and the best possible."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churn_service.baseline import baseline_probability
from churn_service.errors import ConfigError
from churn_service.evaluate import Metrics, evaluate
from churn_service.faults import check_table
from churn_service.features import add_features
from churn_service.predict import load_predictor
from churn_service.registry import NEWEST, Registry
from churn_service.schema import ID, TARGET
from churn_service.sections import Config
from churn_service.simulate import is_simulated, true_probability
from churn_service.split import is_holdout
from churn_service.table import read_table


def beside_references(holdout: pd.DataFrame, model: np.ndarray, config: Config) -> dict[str, np.ndarray]:
    """Put the model's probabilities beside the baseline's and, on the simulator's table, the true ones.

    Raises
    ------
    ConfigError
        `baseline.column` is not a feature.
    """
    try:
        found = {"model": model, "baseline": baseline_probability(holdout, config.features, config.baseline)}
    except KeyError as error:
        known = ", ".join(add_features(holdout, config.features))
        msg = f"config.yaml: baseline.column: found {config.baseline.column!r}; allowed are {known}"
        raise ConfigError(msg) from error
    if is_simulated(holdout[ID]):
        found["best possible"] = true_probability(holdout)
    return found


def measure(
    holdout: pd.DataFrame, probabilities: dict[str, np.ndarray], threshold: float
) -> dict[str, Metrics]:
    """Evaluate each named set of probabilities on the holdout.

    Raises
    ------
    TableError
        The holdout lacks one of the outcomes.
    """
    outcomes = holdout[TARGET].to_numpy()
    return {name: evaluate(values, outcomes, threshold=threshold) for name, values in probabilities.items()}


def evaluate_version(
    config: Config, root: Path, registry: Registry, *, version: str | None, table: Path | None
) -> tuple[str, dict[str, Any]]:
    """Measure a version on the part of a table that its own split held out, beside the present baseline.

    Parameters
    ----------
    config
        For the baseline and the path of the table.
    root
        The folder that its relative paths start from.
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
    predictor = load_predictor(folder, public_key=registry.public_key)
    split = registry.metadata(folder.name).holdout
    checked = check_table(read_table(table or root / config.data.path, config.data.format))
    holdout = checked[is_holdout(checked[ID], fraction=split.fraction, salt=split.salt)]
    probabilities = beside_references(holdout, predictor.probabilities(holdout), config)
    metrics = measure(holdout, probabilities, predictor.threshold)
    return predictor.version, {name: each.model_dump(mode="json") for name, each in metrics.items()}
