"""Two weeks of answers that are made up, while a project's log holds none.

The model answers in earnest, about records that are held out. Who was asked about when,
and what became of them, is drawn. All of it is written as the service writes it, to
another folder than the project's log.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import BaseModel

from skewless.core.answer import ID_DIGITS, Answer, Answered
from skewless.core.contract import Column, Contract
from skewless.core.errors import ArtifactNotFoundError, LogStoreError
from skewless.core.url import Url
from skewless.core.workspace import Workspace
from skewless.models.predict import open_predictor
from skewless.monitoring.outcomes import (
    OUTCOMES,
    OfPrediction,
    Outcome,
    OutcomeFiles,
    Outcomes,
    outcome_models,
)
from skewless.monitoring.place import Log, find_log, open_log
from skewless.monitoring.scored_log import Batch, records_of
from skewless.monitoring.sinks import open_predictions
from skewless.monitoring.views import open_views
from skewless.registry.remote import open_registry
from skewless.tables.simulate import simulate
from skewless.tables.table import write_table
from skewless.training.data import read_or_simulate
from skewless.training.pipeline import train_version

DAYS: Final = 14
MOST_ANSWERS: Final = DAYS * 100
KNOWN_SHARE: Final = 0.6
"""Of the answers whose outcome gets known, unless it lies after the two weeks."""
LAG_DAYS: Final = (1.0, 5.0)  # from an answer until its outcome
MOVED_DEVIATIONS: Final = 0.5  # of a number, in the second week
MOVED_SHARE: Final = 0.2  # of the records, where a value is no number


def log_or_simulate(
    work: Workspace, folder: Path, *, say: Callable[[str], None]
) -> Workspace:
    """Return a workspace whose log holds answers: the project's own, or made-up ones.

    If the project's log holds an answer, that is `work` itself, and nothing is written.
    Otherwise the version in use is asked about records that are held out, over the two
    weeks until now. In the second week numbers are half a standard deviation higher,
    and a fifth of the records has the last category. Of some answers an outcome is
    drawn with the answered probability. `data.sample.random_state` decides everything
    but the dates.

    Parameters
    ----------
    work
        The project and where it is.
    folder
        Takes what is made up: the log, and a table and a version where there is none.
        The project's own folders stay as they are.
    say
        Called with a line that says what is made up, and before each step of training.

    Returns
    -------
    Workspace
        For `connect` and `open_registry`. `monitoring.privacy` is empty in a made-up
        one.

    Raises
    ------
    ArtifactError
        The version in use is damaged or does not fit this code.
    ConfigError, TableError
        There is no version, and none can be trained; or the log's URL is malformed.
    LogStoreError
        The project's log cannot be read, so nobody knows whether it is empty.
    """
    log = find_log(work)
    if log is not None and _holds_answers(log, work.contract):
        return work
    made_up = _with_log(_with_version(work, folder, say), folder)
    count = _simulate(made_up, until=datetime.now(UTC))
    say(
        f"the log holds no answer yet; these are {count:,} made-up answers, "
        "and made-up outcomes, instead"
    )
    return made_up


def _holds_answers(log: Log, contract: Contract) -> bool:
    with open_views(log, contract) as views:
        return bool(views.ask("SELECT 1 FROM predictions LIMIT 1"))


def _with_log(work: Workspace, folder: Path) -> Workspace:
    """Keep a log of files in a folder, which hides nothing: nobody is behind it."""
    changes = {"prediction_log": str(folder.resolve() / "predictions"), "privacy": {}}
    monitoring = work.config.monitoring.model_copy(update=changes)
    return replace(
        work,
        config=work.config.model_copy(update={"monitoring": monitoring}),
        settings=work.settings.model_copy(update={"log_url": None}),
    )


def _with_version(
    work: Workspace, folder: Path, say: Callable[[str], None]
) -> Workspace:
    """Train a version in a folder, unless the registry has one."""
    config = work.config
    try:
        open_registry(config.registry, work.root).resolve()
    except ArtifactNotFoundError:
        say("there is no version yet; one is trained in a temporary folder")
    else:
        return work
    path = work.root / config.data.path
    if not path.exists():
        path = folder / "table.parquet"
        sample = config.data.sample
        table = simulate(sample.rows, sample.random_state, work.contract)
        write_table(pd.DataFrame(table), path, work.contract)
        say(
            f"{config.data.path} is not there; "
            f"these are {sample.rows:,} simulated records instead"
        )
    changes = {
        "data": config.data.model_copy(update={"path": str(path.resolve())}),
        "registry": config.registry.model_copy(
            update={"path": Url(str(folder.resolve() / "models"))}
        ),
    }
    trained = replace(work, config=config.model_copy(update=changes))
    train_version(trained, say=say)
    return trained


def _simulate(work: Workspace, *, until: datetime) -> int:
    """Write answers and outcomes of the days before a moment; count the answers."""
    random = np.random.default_rng(work.config.data.sample.random_state)
    answered = _answer(work, _draw_records(work, random), random)
    count = len(answered.answers)
    begin = until - timedelta(days=DAYS)
    days = np.sort(random.random(count)) * DAYS
    moments = [begin + timedelta(days=day) for day in days.tolist()]
    log = open_log(work)
    _write_answers(work, log, answered, moments=moments)
    told = [
        each
        for each in _draw_outcomes(work.contract, answered, moments, random=random)
        if each[0] < until
    ]
    _write_outcomes(work, log, sorted(told, key=itemgetter(0)))
    return count


def _draw_records(work: Workspace, random: np.random.Generator) -> list[BaseModel]:
    """Choose records that are held out, and move the second half of them."""
    holdout = read_or_simulate(work).holdout
    rows = random.permutation(len(holdout))[:MOST_ANSWERS]
    asked = holdout.iloc[rows].reset_index(drop=True)
    half = len(asked) // 2
    moved = asked[half:].copy()
    for column in work.contract.columns:
        moved[column.name] = _move(moved[column.name], column, random)
    parts = [part for part in (asked[:half], moved) if len(part)]
    return [each for part in parts for each in records_of(part, work.contract)]


def _move(values: pd.Series, column: Column, random: np.random.Generator) -> pd.Series:
    if column.kind in {"category", "boolean"}:
        last = column.categories[-1] if column.categories else column.dtype.type(1)
        return values.mask(random.random(len(values)) < MOVED_SHARE, last)
    # With ddof=0 a single value deviates by 0, not by NaN.
    moved = values + MOVED_DEVIATIONS * values.std(ddof=0)
    if column.kind != "number":
        moved = moved.round()
    return moved.clip(*column.bounds).astype(column.dtype)


def _answer(
    work: Workspace, records: Sequence[BaseModel], random: np.random.Generator
) -> Answered:
    artifact = open_registry(work.config.registry, work.root).load()
    predictor = open_predictor(artifact, work.project, work.config.serving)
    source = predictor.source
    answers = [
        Answer(
            *decision,
            model_version=source.version,
            trained_at=source.trained_at,
            prediction_id=random.bytes(ID_DIGITS // 2).hex(),
        )
        for decision in predictor.predict(records)
    ]
    return Answered(records, answers, source, latency_ms=None)


def _write_answers(
    work: Workspace, log: Log, answered: Answered, *, moments: Sequence[datetime]
) -> None:
    """Write the answers of each day: half of them as one batch, the others singly."""
    lost: list[int] = []
    report = (lost.append, _say_nothing)
    predictions = open_predictions(log, work, lost=report, aside=report)
    for day in np.array_split(np.arange(len(moments)), DAYS):
        middle = len(day) // 2
        for rows in (day[:middle], *day[middle:, None]):
            if len(rows):
                first, last = int(rows[0]), int(rows[-1]) + 1
                batch = Batch(
                    moments[first].timestamp(), f"made-up-{first}", route="made-up"
                )
                predictions.observe(batch, _part(answered, slice(first, last)))
    predictions.close()
    if lost:
        msg = f"{log.folder} cannot be written, so no answers were made up there"
        raise LogStoreError(msg)


def _part(answered: Answered, rows: slice) -> Answered:
    return answered._replace(
        records=answered.records[rows], answers=answered.answers[rows]
    )


def _say_nothing(*_: object, **__: object) -> None:
    """Ignore a warning: what was lost is counted, and raises."""


def _draw_outcomes(
    contract: Contract,
    answered: Answered,
    moments: Sequence[datetime],
    *,
    random: np.random.Generator,
) -> Iterator[tuple[datetime, Outcome]]:
    """Draw what became of some, by the answer's id or, of every other, the record's."""
    of_record = outcome_models(contract).of_record
    for row, (answer, moment) in enumerate(zip(answered.answers, moments, strict=True)):
        is_known = random.random() < KNOWN_SHARE
        happened = int(random.random() < answer.probability)
        seen = moment + timedelta(days=random.uniform(*LAG_DAYS))
        if not is_known:
            continue
        said: dict[str, Any] = {"outcome": happened, "observed_at": seen}
        if row % 2:
            said["prediction_id"] = answer.prediction_id
            yield seen, OfPrediction(**said)
        else:
            said[contract.id] = getattr(answered.records[row], contract.id)
            yield seen, of_record(**said)


def _write_outcomes(
    work: Workspace, log: Log, told: Sequence[tuple[datetime, Outcome]]
) -> None:
    """Record outcomes in a part for each day, when the last of the part is seen."""
    size = max(1, -(-len(told) // DAYS))
    parts = [told[start : start + size] for start in range(0, len(told), size)]
    files = OutcomeFiles(log.folder / OUTCOMES)
    outcomes = Outcomes(
        files.append,
        work.contract.id,
        work.config.monitoring.privacy,
        settings=work.settings,
        clock=iter([part[-1][0] for part in parts]).__next__,
    )
    for part in parts:
        outcomes.add([each for _, each in part])
