"""No model → the baseline answers, and says so, until there is one."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from structlog.typing import FilteringBoundLogger

from churn_service.baseline import baseline_probability
from churn_service.contract import columns
from churn_service.decision import Source
from churn_service.errors import ArtifactError
from churn_service.predict import Predictor
from churn_service.sections import Config

VERSION: Final = "fallback:baseline"
RETRY_SECONDS = 5.0


def baseline_predictor(config: Config) -> Predictor:
    """Answer by the scorecard of config.yaml, with its threshold and tiers."""
    source = Source(version=VERSION, trained_at=None, columns=columns(), decision=config.decision)
    return Predictor(
        source, partial(baseline_probability, features=config.features, baseline=config.baseline)
    )


async def wait_for_model(
    load: Callable[[], Predictor], log: FilteringBoundLogger, seconds: float = RETRY_SECONDS
) -> Predictor:
    """Try again until a model loads; each time that it does not, the log says why."""
    while True:
        await asyncio.sleep(seconds)
        try:
            return await asyncio.to_thread(load)
        except ArtifactError as error:
            log.warning("no model", reason=str(error))
