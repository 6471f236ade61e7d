"""No model → the baseline answers, and says so, until there is one."""

from functools import partial
from typing import Final

from churn_service.baseline import baseline_probability
from churn_service.contract import columns
from churn_service.decision import Source
from churn_service.predict import Predictor
from churn_service.sections import Config

VERSION: Final = "fallback:baseline"


def baseline_predictor(config: Config) -> Predictor:
    """Answer by the scorecard of config.yaml, with its threshold and tiers."""
    source = Source(version=VERSION, trained_at=None, columns=columns(), decision=config.decision)
    return Predictor(
        source, partial(baseline_probability, features=config.features, baseline=config.baseline)
    )
