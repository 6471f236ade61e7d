"""Estimators side by side: by cross-validation on the training side, and the holdout.

Whoever chooses by these figures chooses by the cross-validation: the holdout is shown,
and decides nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import ValidationError
from sklearn.metrics import roc_curve

from skewless.core.bootstrap import Interval, paired_bootstrap
from skewless.core.errors import (
    ArtifactError,
    ConfigError,
    NotInstalledError,
    ParityError,
    TableError,
)
from skewless.core.metrics import CalibrationBin, calibration, log_losses
from skewless.core.search import searched_knobs
from skewless.core.sections import ServingConfig, choices
from skewless.core.workspace import Workspace
from skewless.models.artifact import JOBLIB, ONNX
from skewless.models.baseline import baseline_probability
from skewless.models.export import probabilities_of
from skewless.models.exportable import check_training
from skewless.models.plots import ROC_POINTS
from skewless.tables.simulate import is_simulated, true_probability
from skewless.tables.table import data_hash
from skewless.training.cross_validation import cross_validated
from skewless.training.data import TrainingData, fit, read_training_data
from skewless.training.intervals import measured
from skewless.training.pipeline import (
    load_scorer,
    refuse_unasked_pickle,
    write_models,
)
from skewless.training.proof import Proven, prove_features, prove_model
from skewless.training.tuning import Tuned, counted_trials, load_optuna, tune

ASKED: Final = 200  # single rows whose time is taken
TUNED: Final = "{}, tuned"  # the name of an estimator's row with searched knobs
BASELINE: Final = "baseline"
RUNTIMES: Final = {"onnx": "ONNX", "scikit-learn": "scikit-learn"}
"""`serving.runtime` → its name for people."""


class Costs(NamedTuple):
    """What an estimator takes."""

    train_seconds: float
    """To fit on the training side, once."""
    microseconds: float
    """Median of a single row, asked of what would be served."""
    bytes: int
    """Of the file that would be served."""


class Candidate(NamedTuple):
    """An estimator that was trained."""

    estimator: str
    """As config.yaml calls it."""
    knobs: Mapping[str, Any]
    """The `model` section that it was trained by."""
    tuned: Mapping[str, Any]
    """Knobs whose values were searched; empty if none were."""
    costs: Costs


class Curves(NamedTuple):
    """How answers to rows that were not trained on rank, and what they mean."""

    false_positives: tuple[float, ...]
    """Share of rows without the event; `ROC_POINTS`."""
    true_positives: tuple[float, ...]
    """Share of rows with it that are found then."""
    calibration: tuple[CalibrationBin, ...]


@dataclass(frozen=True)
class Row:
    """One estimator, or what estimators are compared with."""

    name: str
    cross_validated: Mapping[str, Interval]
    """By metric: the scores of the rows when they were not trained on."""
    holdout: Mapping[str, Interval]
    behind: Interval
    """How much more log loss per row than the best estimator, row by row; 0 for it."""
    curves: Curves
    """Cross-validated."""
    trained: Candidate | None
    """None for what is no estimator."""


@dataclass(frozen=True)
class Comparison:
    """Estimators, the best first, and what they are compared with."""

    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    """Estimator that is not installed or that `train` would refuse → why."""
    untuned: Mapping[str, str]
    """Estimator whose knobs were to be searched, without success → why."""
    chosen: str | None
    """Which of them config.yaml chooses."""
    data_sha256: str
    """Of the table; see `skewless.tables.table.data_hash`."""
    runtime: str
    """What answers, as people call it; see `RUNTIMES`."""

    @property
    def named(self) -> Mapping[str, Row]:
        """The rows by name."""
        return {row.name: row for row in self.rows}


class _Answers(NamedTuple):
    """Probabilities of the event: of the rows to train on, and of those held out."""

    cross_validated: np.ndarray
    holdout: np.ndarray


def compare(
    work: Workspace,
    names: Sequence[str],
    *,
    data: TrainingData | None = None,
    trials: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Train estimators on the same folds, and measure them on the same rows.

    Each is first trained on all of the training side, and proven as `train` proves it:
    what no version could be made of takes no part.

    Parameters
    ----------
    work
        The project. The estimator that config.yaml chooses has its knobs; every other
        one has those that it has by default.
    names
        Of estimators; all if empty, and then those are left out that are not installed
        or that `train` would refuse.
    data
        Default: the table of `data.path`.
    trials
        How many sets of knobs to try of each estimator, in the ranges that it declares;
        the best of them is another row. 0: knobs stay as they are.
    advance
        Called after each fit.

    Raises
    ------
    ConfigError
        There is no such estimator, one fails, one that was asked for is not installed,
        or knobs are to be searched and no estimator declares a range.
    NotInstalledError
        Knobs are to be searched, and Optuna is not installed.
    ParityError
        `train` would refuse an estimator that was asked for, or all of them.
    TableError
        The table breaks the contract, holds too little to train on, or all rows that
        are held out have the same outcome.
    """
    refuse_unasked_pickle(work.config.serving)
    sections = dict(_sections(work, names))
    if trials:
        load_optuna()
        _check_ranges(sections)
    data = read_training_data(work) if data is None else data
    proven = _check(data)
    training = work.project.load_training()
    bench = _Bench(data, training, work.config.serving, proven, trials, advance)
    found = _Tried({}, {}, {}, {})
    for name, section in sections.items():
        try:
            bench.try_out(section, found)
        except (NotInstalledError, ArtifactError) as error:
            if names:
                raise
            found.left_out[name] = _why(error)
    _refuse_nothing_left(found)
    rows = _rows(found.answers | _references(data, work), found.trained, data)
    chosen = getattr(work.config.model, "estimator", None)
    if chosen not in found.trained:
        chosen = None
    return Comparison(
        rows,
        found.left_out,
        found.untuned,
        chosen,
        data_hash(data.table),
        RUNTIMES[work.config.serving.runtime],
    )


def _why(error: NotInstalledError | ArtifactError) -> str:
    """Say in one line why an estimator takes no part."""
    said = " ".join(str(error).split())
    if isinstance(error, NotInstalledError):
        return said
    return f"train would refuse it: {said}"


def _refuse_nothing_left(found: "_Tried") -> None:
    if not found.trained:
        reasons = [f"{name}: {why}" for name, why in found.left_out.items()]
        msg = "no estimator is left to compare"
        raise ParityError(msg, *reasons)


def _check(data: TrainingData) -> Proven:
    """See that one can train on a table, and that features are of each row alone."""
    side = ~data.is_held_out
    check_training(data.matrix[side], data.target[side], data.names)
    outcomes = data.target[data.is_held_out]
    if len(np.unique(outcomes)) < 2:  # noqa: PLR2004 - both outcomes
        msg = (
            f"all {len(outcomes)} records of the holdout have the same outcome; both "
            "are needed to compare. Give a larger table or raise data.holdout_fraction"
        )
        raise TableError(msg)
    return prove_features(data.features, data.table, data.matrix)


def shared_keys(config: type[Any]) -> set[str]:
    """Name the keys of `model` that every estimator has."""
    known = choices(config, "model").values()
    return set.intersection(*(set(each.model_fields) for each in known))


def _check_ranges(sections: Mapping[str, Any]) -> None:
    """Refuse to search where no knob declares a range."""
    declared = [searched_knobs(type(section)) for section in sections.values()]
    if not any(declared):
        msg = (
            f"no knob of {', '.join(sections)} declares a range to search; "
            "config.py declares one by Search(low, high) in the knob's annotation"
        )
        raise ConfigError(msg)


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
    shared = shared_keys(type(work.config))
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


class _Tried(NamedTuple):
    """What came of the estimators so far, each by name."""

    answers: dict[str, _Answers]
    trained: dict[str, Candidate]
    left_out: dict[str, str]
    untuned: dict[str, str]


@dataclass(frozen=True)
class _Bench:
    """Where estimators are tried on the same rows."""

    data: TrainingData
    training: Any
    serving: ServingConfig
    proven: Proven
    trials: int
    advance: Callable[[int], None]

    def try_out(self, section: Any, into: _Tried) -> None:
        """Try an estimator as it is, and with the best knobs if any are to be tried."""
        name = section.estimator
        into.answers[name], into.trained[name] = self._try(section, {})
        if not self.trials:
            return
        found = tune(
            self.data, self.training, section, trials=self.trials, advance=self.advance
        )
        if not found.trials:
            into.untuned[name] = "config.py declares no range for its knobs"
        elif not found.knobs:
            into.untuned[name] = f"no better knobs in {counted_trials(self.trials)}"
        else:
            self._try_tuned(found, name, into)

    def _try_tuned(self, found: Tuned, name: str, into: _Tried) -> None:
        """Try an estimator with the best knobs, unless `train` would refuse those."""
        try:
            answers, candidate = self._try(found.section, found.knobs)
        except ArtifactError as error:
            into.untuned[name] = f"with the best knobs, {_why(error)}"
            return
        into.answers[TUNED.format(name)] = answers
        into.trained[TUNED.format(name)] = candidate

    def _try(
        self, section: Any, tuned: Mapping[str, Any]
    ) -> tuple[_Answers, Candidate]:
        """Train an estimator on all rows and on each fold, and let it answer.

        What `train` would refuse is refused before the folds.
        """
        data = self.data
        started = time.perf_counter()
        fitted = fit(self.training, data, section)
        seconds = time.perf_counter() - started
        self.advance(1)
        costs = self._proven_costs(fitted, seconds)
        on_folds = cross_validated(data, self.training, section, advance=self.advance)
        held_out = data.matrix[data.is_held_out]
        on_holdout = probabilities_of(fitted, held_out, data.names)
        knobs = section.model_dump(mode="json")
        candidate = Candidate(section.estimator, knobs, tuned, costs)
        return _Answers(on_folds, on_holdout), candidate

    def _proven_costs(self, fitted: Any, seconds: float) -> Costs:
        """Prove what would be served as `train` does, and measure what it takes."""
        data = self.data
        models = write_models(fitted, self.serving, len(data.names))
        score = load_scorer(models)
        prove_model(fitted, score, data.matrix, names=data.names, proven=self.proven)
        times = []
        for row in data.matrix[:ASKED, np.newaxis]:
            started = time.perf_counter()
            score(row)
            times.append(time.perf_counter() - started)
        served = models.get(ONNX, models[JOBLIB])
        return Costs(seconds, 1e6 * float(np.median(times)), len(served))


def _references(data: TrainingData, work: Workspace) -> dict[str, _Answers]:
    """Answer by the baseline and, on the simulator's table, by the true probability."""
    trained_on = data.table[~data.is_held_out]
    found = {
        BASELINE: _Answers(
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
    answers: Mapping[str, _Answers],
    trained: Mapping[str, Candidate],
    data: TrainingData,
) -> tuple[Row, ...]:
    """Measure all, the estimators by their cross-validated log loss first."""
    target = data.target[~data.is_held_out]
    outcomes = data.target[data.is_held_out]
    losses = {
        name: log_losses(each.cross_validated, target) for name, each in answers.items()
    }
    ordered = sorted(trained, key=lambda name: float(losses[name].mean()))
    references = [name for name in answers if name not in trained]
    best = ordered[0]
    return tuple(
        Row(
            name,
            cross_validated=measured(answers[name].cross_validated, target),
            holdout=measured(answers[name].holdout, outcomes),
            behind=paired_bootstrap(losses[name] - losses[best]),
            curves=_curves(answers[name].cross_validated, target),
            trained=trained.get(name),
        )
        for name in [*ordered, *references]
    )


def _curves(probabilities: np.ndarray, outcomes: np.ndarray) -> Curves:
    false_positives, true_positives, _ = roc_curve(outcomes, probabilities)
    found = np.interp(ROC_POINTS, false_positives, true_positives)
    return Curves(
        tuple(ROC_POINTS.tolist()),
        tuple(found.tolist()),
        calibration(probabilities, outcomes),
    )
