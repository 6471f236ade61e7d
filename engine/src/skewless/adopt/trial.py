"""Read the table as training does, and print the schema of config.yaml.

Usage: python -m skewless.adopt.trial PLACE TABLE

PLACE is where the project is, ``package.module:name``. Runs in a staged copy. Ends with
3 and the reason if the table is unfit for training.
"""

import sys
import warnings
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from skewless.core.config_reference import config_schema
from skewless.core.errors import TableError
from skewless.core.feature_matrix import feature_matrix
from skewless.core.project import Project
from skewless.core.workspace import open_workspace
from skewless.models.baseline import baseline_probability
from skewless.models.exportable import check_training
from skewless.tables.split import read_split


def try_training(project: Project[Any, Any], path: Path) -> None:
    """Try the road of training up to the fit."""
    config = open_workspace(project, Path("config.yaml")).config
    contract = project.contract
    project.record(**contract.example())  # its own example must be a record
    data = config.data
    table, held_out = read_split(path, contract, data.format, split=data.split)
    matrix = feature_matrix(project, table, config.features)
    target = table[contract.target].to_numpy()
    if not np.isfinite(matrix[~np.isnan(matrix)]).all():
        msg = "a number is too large for the model's float32"
        raise TableError(msg)
    check_training(
        matrix[~held_out],
        target[~held_out],
        list(project.features(table, config.features)),
    )
    if len(np.unique(target[held_out])) < 2:  # noqa: PLR2004 - both outcomes
        msg = (
            f"{np.sum(held_out):,} of {len(table):,} rows are held out; "
            "both outcomes must be among them: "
            "give a larger table, or raise data.holdout_fraction in config.yaml"
        )
        raise TableError(msg)
    baseline_probability(project, table, config)  # its column must be a feature
    sys.stdout.write(config_schema(project))


if __name__ == "__main__":
    place, table = sys.argv[1:]
    project = resolve_name(place)
    # Pydantic warns of names that it uses itself.
    warnings.simplefilter("error", UserWarning)
    try:
        try_training(project, Path(table))
    except TableError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(TableError.exit_code)
