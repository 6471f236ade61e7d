"""What a challenger answered beside production, in the lines that `Shadow` wrote."""

import tempfile
from pathlib import Path
from typing import Final

import pandas as pd

from skewless.monitoring.line_log import SHADOW
from skewless.monitoring.place import Log, day_files
from skewless.monitoring.views import connected, literal, read_json, readable

COLUMNS: Final = {
    "prediction_id": "VARCHAR",
    "model_version": "VARCHAR",
    "probability": "DOUBLE",
    "decision": "BOOLEAN",
    "challenger": "STRUCT(model_version VARCHAR, probability DOUBLE, decision BOOLEAN)",
}


def read_challenges(log: Log, version: str) -> pd.DataFrame:
    """Read what a version answered in production's shadow.

    Parameters
    ----------
    log
        Where it is kept.
    version
        The challenger.

    Returns
    -------
    DataFrame
        A row per request: prediction_id, model_version, probability and decision of
        production, challenger_probability and challenger_decision. Lines that were cut
        short are left out.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        connected(log, Path(name)) as connection,
    ):
        files = (path for _, path in day_files(log.folder / SHADOW))
        paths = [str(readable(path, Path(name))) for path in files]
        return connection.execute(
            "SELECT prediction_id, model_version, probability, decision, "
            "challenger.probability AS challenger_probability, "
            "challenger.decision AS challenger_decision "
            f"FROM {read_json(paths, COLUMNS)} "
            f"WHERE challenger.model_version = {literal(version)} "
            "AND probability IS NOT NULL AND challenger.probability IS NOT NULL"
        ).df()
