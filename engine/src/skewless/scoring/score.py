"""Score a table from file to file, in bounded memory.

Bad rows go to a file of their own, with the reasons.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from skewless.core.answer import decide
from skewless.core.atomic import atomic_path, naming
from skewless.core.contract import Contract
from skewless.core.errors import TableError
from skewless.core.escaping import shown_only
from skewless.core.sections import PLAIN, FormatConfig
from skewless.models.predict import Predictor
from skewless.tables.faults import find_faults
from skewless.tables.table import read_parts, typed

PART_ROWS = 100_000
REJECTS: Final = ".rejects.csv"
# Of Parquet's own metadata: the key, and how many rows were refused.
SCORED: Final = "scored"
ANSWER: Final = {
    "probability": pa.float64(),
    "decision": pa.bool_(),
    "tier": pa.string(),
    "model_version": pa.string(),
}

In = TypeVar("In")
Out = TypeVar("Out")
Answered = tuple[pd.DataFrame, pa.Table, pd.DataFrame]
"""The good rows of a part, their answers, and the faults of the others."""
Keep = Callable[..., None]
"""Takes the answers of a part.

It is given the key of what is scored, who answers, and by name the good `records` of
the part and `answers`.
"""


class Scored(NamedTuple):
    """What a run came to."""

    rows: int
    rejected: int


def _nowhere(*_: Any, **__: Any) -> None:
    """Keep no answer."""


def _unseen(_: int) -> None:
    """Tell nobody of progress."""


@dataclass(frozen=True)
class How:
    """How a file is scored; none of it changes an answer, but for `form`."""

    form: FormatConfig = PLAIN
    """How the source is written."""
    threads: int = 1
    """That work on it at once; each holds at most two parts of 100,000 rows."""
    keep: Keep = _nowhere
    """Takes answers before the output is there.

    After a crash it may be given the same ones again.
    """
    progress: Callable[[int], None] = _unseen
    """Called with the number of rows after each part."""
    spreadsheet: bool = False
    """Whether no spreadsheet may run text that is written to CSV; see `shown_only`."""
    aside: str = ""
    """What the name of the file of refused rows begins with."""


def score_file(
    source: Path, output: Path, predictor: Predictor, *, how: How = How(), key: str = ""
) -> Scored:
    """Score every good row of a file, in order; a header alone gives no answers.

    Parameters
    ----------
    source
        Rows with the contract's columns; the id and columns that may be missing can be
        left out.
    output
        CSV or Parquet: row (counted from 1), id, probability, decision, tier, version.
        If a cell is broken, there is a file beside it whose name ends in `REJECTS`:
        row, column, rule, found; a line per cell.
    predictor
        The version that answers.
    how
        How to read it, and what changes no answer.
    key
        Says what was scored by what; Parquet keeps it, see `scored_before`.

    Raises
    ------
    TableError
        The file cannot be read, or lacks a column. Neither output is left behind.
    """
    rows = rejected = 0
    score = partial(_score, predictor=predictor, source=source)
    rejects = output.with_name(rejects_of(output, how))
    with atomic_path(output) as new_output, atomic_path(rejects) as new_rejects:
        with naming(output), _writer(new_output, predictor.contract) as writer:
            parts = read_parts(source, PART_ROWS, predictor.contract, form=how.form)
            for records, answers, faults in _in_order(score, parts, how.threads):
                written = answers
                listed = faults
                if how.spreadsheet:
                    written = _with_shown_ids(answers, predictor.contract.id)
                    listed = faults.map(_shown_only)
                writer.write_table(written)
                how.keep(key, predictor.source, records=records, answers=answers)
                with naming(rejects, new_rejects):
                    listed.to_csv(
                        new_rejects,
                        mode="a",
                        header=rejected == 0,
                        index=False,
                        lineterminator="\n",
                    )
                bad = faults["row"].nunique()
                rows += len(records) + bad
                rejected += bad
                how.progress(len(records) + bad)
            if output.suffix == ".parquet":
                writer.add_key_value_metadata({SCORED: json.dumps([key, rejected])})
        if not rejected:
            new_rejects.unlink()
    return Scored(rows, rejected)


def rejects_of(output: PurePath, how: How) -> str:
    """Name the file of the rows that were refused, which is beside the output."""
    return f"{how.aside}{output.stem}{REJECTS}"


def scored_before(file: Any) -> tuple[str, Scored] | None:
    """Tell by which key an output was made and what came of it.

    The answer is None if the output is no Parquet of `score_file`.

    Parameters
    ----------
    file
        A path or an open file.
    """
    try:
        metadata = pyarrow.parquet.read_metadata(file)
        noted = metadata.metadata or {}
        key, rejected = json.loads(noted[SCORED.encode()])
    except (pa.ArrowInvalid, KeyError):
        return None
    return key, Scored(metadata.num_rows + rejected, rejected)


def _score(
    part: pd.DataFrame, predictor: Predictor, source: Path
) -> tuple[pd.DataFrame, pa.Table, pd.DataFrame]:
    """Return the good rows of a part, their answers, and the faults of the others."""
    faults = find_faults(part, predictor.contract)
    whole = faults[faults["row"].isna()]
    if len(whole):
        reasons = "; ".join(whole["column"] + " must be " + whole["rule"])
        msg = f"{source}: {reasons}. Nothing was scored"
        raise TableError(msg)
    good = part[~part.index.isin(faults["row"])] if len(faults) else part
    records = typed(good, predictor.contract)
    return records, _answers(records, predictor), faults


def _answers(records: pd.DataFrame, predictor: Predictor) -> pa.Table:
    probabilities = predictor.probabilities(records)
    name = predictor.contract.id
    decisions, tiers = decide(probabilities, predictor.source)
    values = {
        "row": records.index.to_numpy(),
        name: pa.array(records[name].astype("str"), from_pandas=True),
        "probability": probabilities,
        "decision": decisions,
        "tier": tiers,
        "model_version": np.full(len(records), predictor.version, dtype=object),
    }
    return pa.table(values, schema=_schema(name))


def _schema(name: str) -> pa.Schema:
    """Return the columns of an output; `name` is that of the id."""
    return pa.schema({"row": pa.int64(), name: pa.string(), **ANSWER})


def _with_shown_ids(answers: pa.Table, name: str) -> pa.Table:
    """Write ids, the one text from outside, so that no spreadsheet runs them."""
    ids = answers[name].to_pandas().map(shown_only, na_action="ignore")
    place = answers.schema.get_field_index(name)
    return answers.set_column(
        place, answers.schema.field(name), pa.array(ids, pa.string())
    )


def _shown_only(cell: Any) -> Any:
    return shown_only(cell) if isinstance(cell, str) else cell


def _in_order(
    function: Callable[[In], Out], items: Iterable[In], threads: int
) -> Iterator[Out]:
    """Apply a function by threads.

    At most one item more than there are threads is there at a time.
    """
    if threads == 1:
        yield from map(function, items)
        return
    waiting = deque[Future[Out]]()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _writer(path: Path, contract: Contract) -> Any:
    schema = _schema(contract.id)
    if path.suffix == ".csv":
        return pyarrow.csv.CSVWriter(path, schema)
    return pyarrow.parquet.ParquetWriter(path, schema)
