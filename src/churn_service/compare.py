"""Holdout + probabilities → metrics, beside the baseline's and the best possible."""

import numpy as np
import pandas as pd

from churn_service.baseline import baseline_probability
from churn_service.errors import ConfigError
from churn_service.evaluate import Metrics, evaluate
from churn_service.features import add_features
from churn_service.schema import ID, TARGET
from churn_service.sections import Config
from churn_service.simulate import is_simulated, true_probability


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
