"""No model → the baseline answers, and says so, until there is one."""

from functools import partial
from typing import Final

from churn_service.baseline import baseline_probability
from churn_service.decision import Source
from churn_service.predict import Predictor
from churn_service.workspace import Workspace

VERSION: Final = "fallback:baseline"


def baseline_predictor(work: Workspace) -> Predictor:
    """Answer by the scorecard of config.yaml, with its threshold and tiers."""
    columns, decision = work.contract.columns, work.config.decision
    source = Source(version=VERSION, trained_at=None, columns=columns, decision=decision)
    probabilities = partial(baseline_probability, work.project, config=work.config)
    return Predictor(source, work.contract, probabilities)
