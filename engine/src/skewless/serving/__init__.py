"""The service: routes, limits, keys, logs and metrics around one loaded version.

What a project's api.py uses is here; `skewless.serving.service` puts the parts
together.
"""

from skewless.core.answer import Answer, RiskTier
from skewless.serving.application import create_app
from skewless.serving.columns import (
    FROM_COLUMNS,
    FROM_RECORDS,
    TO_COLUMNS,
    OneField,
)
from skewless.serving.follow import load_model
from skewless.serving.model import Model, ServedModel

__all__ = [
    "FROM_COLUMNS",
    "FROM_RECORDS",
    "TO_COLUMNS",
    "Answer",
    "Model",
    "OneField",
    "RiskTier",
    "ServedModel",
    "create_app",
    "load_model",
]
