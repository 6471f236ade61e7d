"""File → file: score a table in bounded memory; bad rows go to their own file with the reasons."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from churn_service.atomic import atomic_path
from churn_service.decision import Decision
from churn_service.errors import TableError
from churn_service.faults import find_faults
from churn_service.predict import Predictor
from churn_service.schema import ID
from churn_service.sections import FormatConfig
from churn_service.table import read_parts, typed

PART_ROWS = 100_000
REJECTS: Final = ".rejects.csv"
TYPES: Final = {"churn_probability": "float64", "churn_prediction": "bool", "risk_tier": "str"}


@dataclass(frozen=True)
class Scored:
    """What a run came to; `rejects` is None when every row was good."""

    rows: int
    rejected: int
    output: Path
    rejects: Path | None


def score_file(
    source: Path, output: Path, predictor: Predictor, *, form: FormatConfig, progress: Callable[[int], None]
) -> Scored:
    """Score every good row of a CSV or Parquet file, in order.

    Parameters
    ----------
    source
        Rows with the contract's columns; the id and columns that may be missing can be left out.
    output
        CSV or Parquet: row (counted from 1), id, probability, decision, tier, version. If a cell is broken,
        there is a file beside it whose name ends in `REJECTS`: row, column, rule, found; a line per cell.
    predictor
        The version that answers.
    form
        How the source is written.
    progress
        Called with the number of rows after each part.

    Raises
    ------
    TableError
        The file cannot be read, or lacks a column. Neither output is left behind.
    """
    rejects = output.with_suffix(REJECTS)
    rows = rejected = 0
    with atomic_path(output) as new_output, atomic_path(rejects) as new_rejects:
        writer = None
        for part in read_parts(source, PART_ROWS, form):
            faults = find_faults(part)
            whole = faults[faults["row"].isna()]
            if len(whole):
                reasons = "; ".join(whole["column"] + " must be " + whole["rule"])
                msg = f"{source}: {reasons}. Nothing was scored"
                raise TableError(msg)
            bad = part.index.isin(faults["row"])
            answers = pa.Table.from_pandas(_answers(part[~bad], predictor), preserve_index=False)
            writer = writer or _writer(new_output, output.suffix, answers.schema)
            writer.write_table(answers)
            faults.to_csv(new_rejects, mode="a", header=rejected == 0, index=False, lineterminator="\n")
            rows, rejected = rows + len(part), rejected + int(np.sum(bad))
            progress(len(part))
        if writer is None or not rows:
            msg = f"{source}: has no rows; nothing was scored"
            raise TableError(msg)
        writer.close()
        if not rejected:
            new_rejects.unlink()
    return Scored(rows, rejected, output, rejects if rejected else None)


def _answers(part: pd.DataFrame, predictor: Predictor) -> pd.DataFrame:
    customers = typed(part)
    decided = predictor.decide(predictor.probabilities(customers).tolist())
    decisions = pd.DataFrame(decided, columns=list(Decision._fields), index=part.index).astype(TYPES)
    return pd.DataFrame(
        {
            "row": part.index.to_numpy(),
            ID: customers[ID].astype("str"),
            **decisions,
            "model_version": predictor.version,
        }
    )


def _writer(path: Path, suffix: str, schema: pa.Schema) -> Any:
    if suffix == ".csv":
        return pyarrow.csv.CSVWriter(path, schema)
    return pyarrow.parquet.ParquetWriter(path, schema)
