"""What a notebook uses to explore, train, compare and ask as the service would."""

from skewless.core.url import Url
from skewless.core.workspace import open_workspace
from skewless.models.export import probabilities_of
from skewless.models.plots import (
    draw_calibration,
    draw_campaign_value,
    draw_distribution,
    draw_roc,
    draw_target_by_column,
)
from skewless.models.predict import load_predictor, open_predictor
from skewless.monitoring.made_up import log_or_simulate
from skewless.registry.remote import open_registry
from skewless.tables.faults import check_table, find_faults
from skewless.tables.simulate import simulate
from skewless.tables.split import is_holdout, read_split
from skewless.tables.table import read_table, typed, write_table
from skewless.training.comparison import compare
from skewless.training.data import read_or_simulate
from skewless.training.evaluation import beside_references, measure
from skewless.training.holdout import column_importances
from skewless.training.pipeline import train_version

__all__ = [
    "Url",
    "beside_references",
    "check_table",
    "column_importances",
    "compare",
    "draw_calibration",
    "draw_campaign_value",
    "draw_distribution",
    "draw_roc",
    "draw_target_by_column",
    "find_faults",
    "is_holdout",
    "load_predictor",
    "log_or_simulate",
    "measure",
    "open_predictor",
    "open_registry",
    "open_workspace",
    "probabilities_of",
    "read_or_simulate",
    "read_split",
    "read_table",
    "simulate",
    "train_version",
    "typed",
    "write_table",
]
