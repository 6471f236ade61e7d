"""Run in a staged copy: read the table as training does, and print the schema of config.yaml.

Ends with 3 and the reason if the table is unfit for training.
"""

import sys
import warnings
from pathlib import Path

import numpy as np

from churn_service.baseline import baseline_probability
from churn_service.config import config_schema, load_config
from churn_service.contract import columns, example
from churn_service.errors import TableError
from churn_service.faults import check_table
from churn_service.features import add_features, feature_matrix
from churn_service.schema import ID, TARGET, Customer
from churn_service.split import is_holdout
from churn_service.table import read_table
from churn_service.train import check_training


def main(path: Path) -> None:
    """Try the road of training up to the fit."""
    config = load_config(Path("config.yaml"))
    Customer(**example())
    columns()
    table = check_table(read_table(path, config.data.format))
    matrix, target = feature_matrix(table, config.features), table[TARGET].to_numpy()
    if not np.isfinite(matrix[~np.isnan(matrix)]).all():
        msg = "a number is too large for the model's float32"
        raise TableError(msg)
    held_out = is_holdout(table[ID], fraction=config.data.holdout_fraction, salt=config.data.holdout_salt)
    check_training(matrix[~held_out], target[~held_out], list(add_features(table, config.features)))
    if len(np.unique(target[held_out])) < 2:  # noqa: PLR2004 - both outcomes
        msg = (
            f"{np.sum(held_out):,} of {len(table):,} rows are held out; both outcomes must be among them: "
            "give a larger table, or raise data.holdout_fraction in config.yaml"
        )
        raise TableError(msg)
    baseline_probability(table, config.features, config.baseline)
    print(config_schema(), end="")


if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)  # pydantic warns of names that it uses itself
    try:
        main(Path(sys.argv[1]))
    except TableError as error:
        print(error, file=sys.stderr)
        sys.exit(TableError.exit_code)
