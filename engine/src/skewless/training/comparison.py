"""Estimators side by side: by cross-validation on the training side, and the holdout.

Whoever chooses by these figures chooses by the cross-validation: the holdout is shown,
and decides nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import ValidationError
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from skewless.core.bootstrap import Interval, paired_bootstrap
from skewless.core.errors import (
    ConfigError,
    NotInstalledError,
    ParityError,
    TableError,
)
from skewless.core.metrics import log_losses
from skewless.core.sections import choices
from skewless.core.workspace import Workspace
from skewless.models.baseline import baseline_probability
from skewless.models.export import export_model, probabilities_of
from skewless.models.exportable import check_training
from skewless.models.predict import onnx_scorer
from skewless.tables.simulate import is_simulated, true_probability
from skewless.tables.table import data_hash
from skewless.training.data import (
    TrainingData,
    fit,
    fit_rows,
    read_training_data,
)
from skewless.training.intervals import measured
from skewless.training.proof import prove_features

FOLDS: Final = 5
REPEATS: Final = 2
ASKED: Final = 200  # single rows whose time is taken


class Costs(NamedTuple):
    """What an estimator takes."""

    train_seconds: float
    """To fit on the training side, once."""
    microseconds: float | None
    """Median of a single row by ONNX; None if it has no ONNX form."""
    bytes: int | None
    """Of its model.onnx."""


@dataclass(frozen=True)
class Row:
    """One estimator, or what estimators are compared with."""

    name: str
    cross_validated: Mapping[str, Interval]
    """By metric: the scores of the rows when they were not trained on."""
    holdout: Mapping[str, Interval]
    behind: Interval
    """How much more log loss per row than the best estimator, row by row; 0 for it."""
    costs: Costs | None = None
    """None for what is no estimator."""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    """The `model` section that it was trained by; empty for what is no estimator."""


@dataclass(frozen=True)
class Comparison:
    """Estimators, the best first, and what they are compared with."""

    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    """Estimator that could not be trained → why."""
    chosen: str | None
    """Which of them config.yaml chooses."""
    data_sha256: str
    """Of the table; see `skewless.tables.table.data_hash`."""


class _Answers(NamedTuple):
    """Probabilities of the event: of the rows to train on, and of those held out."""

    cross_validated: np.ndarray
    holdout: np.ndarray


def compare(
    work: Workspace, names: Sequence[str], *, advance: Callable[[int], None]
) -> Comparison:
    """Train estimators on the same folds, and measure them on the same rows.

    Parameters
    ----------
    work
        The project. The estimator that config.yaml chooses has its knobs; every other
        one has those that it has by default.
    names
        Of estimators; all if empty, and then those that are not installed are left out.
    advance
        Called after each fit.

    Raises
    ------
    ConfigError
        There is no such estimator, one fails, or one that was asked for is not
        installed.
    TableError
        The table breaks the contract, or holds too little to train on.
    """
    sections = dict(_sections(work, names))
    data = read_training_data(work)
    side = ~data.is_held_out
    check_training(data.matrix[side], data.target[side], data.names)
    prove_features(data.features, data.table, data.matrix)
    training = work.project.load_training()
    answers = dict[str, _Answers]()
    costs = dict[str, Costs]()
    left_out = dict[str, str]()
    for name, section in sections.items():
        try:
            answers[name], costs[name] = _tried(
                data, training, section, advance=advance
            )
        except NotInstalledError as error:
            if names:
                raise
            left_out[name] = str(error)
    rows = tuple(
        replace(row, knobs=sections[row.name].model_dump(mode="json"))
        if row.name in sections
        else row
        for row in _rows(answers | _references(data, work), costs, data)
    )
    chosen = getattr(work.config.model, "estimator", None)
    return Comparison(
        rows,
        left_out,
        chosen if chosen in answers else None,
        data_hash(data.table),
    )


def _sections(work: Workspace, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Make the `model` section of each estimator."""
    model = work.config.model
    known = choices(type(work.config), "model")
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        msg = (
            f"{', '.join(unknown) or 'estimators'}: config.py has no such choice; "
            f"allowed are {', '.join(known) or 'none'}"
        )
        raise ConfigError(msg)
    shared = set.intersection(*(set(each.model_fields) for each in known.values()))
    for name in names or known:
        kind = known[name]
        said = model.model_dump()
        if model.estimator != name:
            said = {key: said[key] for key in shared}
        try:
            yield name, kind.model_validate(said | {"estimator": name})
        except ValidationError as error:
            wrong = ", ".join(str(fault["loc"][-1]) for fault in error.errors())
            msg = f"{name} has no default for {wrong}: choose it in config.yaml"
            raise ConfigError(msg) from error


def _tried(
    data: TrainingData, training: Any, section: Any, *, advance: Callable[[int], None]
) -> tuple[_Answers, Costs]:
    """Train one estimator on each fold and on all, and let it answer."""
    cross_validated = _cross_validated(data, training, section, advance=advance)
    started = time.perf_counter()
    fitted = fit(training, data, section)
    seconds = time.perf_counter() - started
    advance(1)
    held_out = data.matrix[data.is_held_out]
    on_holdout = probabilities_of(fitted, held_out, data.names)
    return _Answers(cross_validated, on_holdout), _costs(fitted, data, seconds)


def _cross_validated(
    data: TrainingData, training: Any, section: Any, *, advance: Callable[[int], None]
) -> np.ndarray:
    """Answer each training row by models that never saw it, on average."""
    matrix = data.matrix[~data.is_held_out]
    target = data.target[~data.is_held_out]
    keys = data.keys[~data.is_held_out]
    answers = np.zeros(len(target))
    for seen, asked in folds(target, keys, seed=section.random_state):
        fitted = fit_rows(training, matrix[seen], target[seen], config=section)
        answers[asked] += probabilities_of(fitted, matrix[asked], data.names) / REPEATS
        advance(1)
    return answers


def folds(
    target: np.ndarray, keys: np.ndarray, *, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split n rows `REPEATS` times into `FOLDS`; rows of one key are in one fold.

    Which rows are seen and which are asked is yielded for each fold, as positions.

    Raises
    ------
    TableError
        There are fewer keys than folds.
    """
    different = len(np.unique(keys))
    if different < FOLDS:
        msg = (
            f"{different} groups are left to train on; {FOLDS} are needed to compare. "
            "Give a larger table, or another data.group"
        )
        raise TableError(msg)
    for repeat in range(REPEATS):
        settings = {"n_splits": FOLDS, "shuffle": True, "random_state": seed + repeat}
        if different < len(keys):
            yield from StratifiedGroupKFold(**settings).split(target, target, keys)
        else:
            yield from StratifiedKFold(**settings).split(target, target)


def _costs(fitted: Any, data: TrainingData, seconds: float) -> Costs:
    try:
        exported = export_model(fitted, len(data.names))
    except ParityError:
        return Costs(seconds, None, None)
    score = onnx_scorer(exported)
    times = []
    for row in data.matrix[:ASKED, np.newaxis]:
        started = time.perf_counter()
        score(row)
        times.append(time.perf_counter() - started)
    return Costs(seconds, 1e6 * float(np.median(times)), len(exported))


def _references(data: TrainingData, work: Workspace) -> dict[str, _Answers]:
    """Answer by the baseline and, on the simulator's table, by the true probability."""
    trained_on = data.table[~data.is_held_out]
    found = {
        "baseline": _Answers(
            *(
                baseline_probability(work.project, rows, work.config)
                for rows in (trained_on, data.holdout)
            )
        )
    }
    if is_simulated(data.table[work.contract.id]):
        found["best possible"] = _Answers(
            *(
                true_probability(rows, work.contract)
                for rows in (trained_on, data.holdout)
            )
        )
    return found


def _rows(
    answers: Mapping[str, _Answers], costs: Mapping[str, Costs], data: TrainingData
) -> tuple[Row, ...]:
    """Measure all, the estimators by their cross-validated log loss first."""
    target = data.target[~data.is_held_out]
    outcomes = data.target[data.is_held_out]
    losses = {
        name: log_losses(each.cross_validated, target) for name, each in answers.items()
    }
    ordered = sorted(costs, key=lambda name: float(losses[name].mean()))
    references = [name for name in answers if name not in costs]
    best = ordered[0]
    return tuple(
        Row(
            name,
            cross_validated=measured(answers[name].cross_validated, target),
            holdout=measured(answers[name].holdout, outcomes),
            behind=paired_bootstrap(losses[name] - losses[best]),
            costs=costs.get(name),
        )
        for name in [*ordered, *references]
    )
