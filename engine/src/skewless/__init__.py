"""From a scikit-learn model to a tested service: what a project builds on.

A project hands over its record, features, configuration and training code (`Project`,
`Training`); everything else is here. The packages, from what all stand on to what
stands on all::

    core · tables · models · registry · training · scoring · monitoring · serving ·
    lifecycle · adopt · cli
"""

import os

# ONNX Runtime and MLflow read these when they are imported; Privacy.md of the one and
# the page "Usage Tracking" of the other say that they report usage otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - before any import
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # noqa: TID251 - as above

from skewless.core.contract import Columns, TableFormat
from skewless.core.errors import TableError
from skewless.core.feature_matrix import feature_matrix, one_hot
from skewless.core.metrics import Metrics, calibration
from skewless.core.project import Project, Training
from skewless.core.record import DAY, NO_CONTROLS, WHOLE, Record
from skewless.core.search import Search
from skewless.core.sections import BaseConfig, ModelSection, Section

__all__ = [
    "DAY",
    "NO_CONTROLS",
    "WHOLE",
    "BaseConfig",
    "Columns",
    "Metrics",
    "ModelSection",
    "Project",
    "Record",
    "Search",
    "Section",
    "TableError",
    "TableFormat",
    "Training",
    "calibration",
    "feature_matrix",
    "one_hot",
]
