"""No model → the baseline answers, and says so, until there is one."""

from functools import partial
from typing import Final

from skewless.core.answer import Source
from skewless.core.workspace import Workspace
from skewless.models.baseline import baseline_probability
from skewless.models.predict import Predictor

VERSION: Final = "fallback:baseline"


def baseline_predictor(work: Workspace) -> Predictor:
    """Answer by the scorecard of config.yaml, with its threshold and tiers."""
    source = Source(
        version=VERSION,
        trained_at=None,
        columns=work.contract.columns,
        decision=work.config.decision,
    )
    probabilities = partial(baseline_probability, work.project, config=work.config)
    return Predictor(source, work.contract, probabilities)
