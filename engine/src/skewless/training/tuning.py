"""Ranges of knobs → the best values that Optuna finds, on the training side alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from skewless.core.errors import ConfigError, NotInstalledError
from skewless.core.metrics import log_losses
from skewless.core.search import Knob, searched_knobs
from skewless.models.export import probabilities_of
from skewless.training.cross_validation import REPEATS, folds, seed_of
from skewless.training.data import TrainingData, fit_rows

DIGITS: Final = 3  # of a value, as a person would write it
WARM_UP: Final = 5  # trials that run to their end, before others are cut short


@dataclass(frozen=True)
class Trial:
    """Knobs that were tried, and what came of them."""

    knobs: Mapping[str, Any]
    """By name; the values are rounded to `DIGITS`."""
    log_loss: float
    """Nats per row, cross-validated; infinite if it was cut short."""


@dataclass(frozen=True)
class Tuned:
    """An estimator whose knobs were searched."""

    section: Any
    """Of config.yaml, with the best knobs; as it was, if no trial was better."""
    knobs: Mapping[str, Any]
    """The best; empty if no trial was better than the section as it was."""
    trials: tuple[Trial, ...]


def load_optuna() -> Any:
    """Import Optuna, and keep it from writing about each trial.

    Raises
    ------
    NotInstalledError
        The extra is not installed.
    """
    try:
        import optuna  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = "optuna is not installed. `make install EXTRAS=tuning` installs it"
        raise NotInstalledError(msg) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def counted_trials(trials: int) -> str:
    """Write a number of trials.

    >>> counted_trials(1), counted_trials(30)
    ('1 trial', '30 trials')
    """
    return "1 trial" if trials == 1 else f"{trials:,} trials"


def tune(
    data: TrainingData,
    training: Any,
    section: Any,
    *,
    trials: int,
    advance: Callable[[int], None],
) -> Tuned:
    """Search the ranges that an estimator's knobs declare.

    What is lowered is the log loss, cross-validated on the training side: the holdout
    is not looked at, and the folds are others than those by which estimators are
    compared. The same section, rows and number of trials give the same trials.

    Parameters
    ----------
    data
        The training table.
    training
        The project's code that fits.
    section
        The estimator's section; its knobs without a range stay as they are.
    trials
        How many sets of knobs are tried; 1 or more.
    advance
        Called after each fit.

    Raises
    ------
    ConfigError
        The estimator fails, or its knobs do not go together.
    NotInstalledError
        Optuna is not installed.
    """
    knobs = searched_knobs(type(section))
    if not knobs:
        return Tuned(section, {}, ())
    optuna = load_optuna()
    ranges = {name: _distribution(optuna, knob) for name, knob in knobs.items()}
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed_of(section, 0)),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM_UP),
    )
    measured = _Measured(data, training, advance)
    best = Tuned(section, {}, ())
    lowest = measured.log_loss(section)
    done = []
    for _ in range(trials):
        asked = study.ask(ranges)
        tried = {
            name: rounded(asked.params[name], knob) for name, knob in knobs.items()
        }
        candidate = _with_knobs(section, tried)
        loss = measured.log_loss(candidate, _pruned(asked))
        if loss == inf:
            study.tell(asked, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(asked, loss)
        done.append(Trial(tried, loss))
        if loss < lowest:
            best = Tuned(candidate, tried, ())
            lowest = loss
    return replace(best, trials=tuple(done))


def _pruned(trial: Any) -> Callable[[float, int], bool]:
    """Ask Optuna after each fold whether a trial is worse than most were there."""

    def is_hopeless(so_far: float, fold: int) -> bool:
        trial.report(so_far, fold)
        return bool(trial.should_prune())

    return is_hopeless


def rounded(value: float, knob: Knob) -> float:
    """Round a value to `DIGITS`, inside its range.

    >>> from skewless.core.search import Search
    >>> rounded(0.0123456, Knob(Search(0.01, 1), is_whole=False))
    0.0123
    >>> rounded(1234, Knob(Search(1, 5_000), is_whole=True))
    1230
    """
    shown = float(f"{value:.{DIGITS}g}")
    inside = min(max(shown, knob.search.low), knob.search.high)
    return int(inside) if knob.is_whole else float(inside)


class _Measured:
    """Measures sections on the same folds."""

    def __init__(
        self, data: TrainingData, training: Any, advance: Callable[[int], None]
    ) -> None:
        self._matrix = data.matrix[~data.is_held_out]
        self._target = data.target[~data.is_held_out]
        self._keys = data.keys[~data.is_held_out]
        self._names = data.names
        self._training = training
        self._advance = advance

    def log_loss(
        self, section: Any, is_hopeless: Callable[[float, int], bool] = lambda *_: False
    ) -> float:
        """Return the cross-validated log loss, nats per row.

        Infinite if the loss so far was called hopeless after a fold.
        """
        losses = np.zeros(0)
        # The first that comparing does not split by.
        seed = seed_of(section, REPEATS)
        for fold, (seen, asked) in enumerate(
            folds(self._target, self._keys, seed=seed)
        ):
            target = self._target[seen]
            fitted = fit_rows(
                self._training, self._matrix[seen], target, config=section
            )
            found = probabilities_of(fitted, self._matrix[asked], self._names)
            self._advance(1)
            losses = np.append(losses, log_losses(found, self._target[asked]))
            if is_hopeless(float(losses.mean()), fold):
                return inf
        return float(losses.mean())


def _distribution(optuna: Any, knob: Knob) -> Any:
    kind = optuna.distributions.FloatDistribution
    if knob.is_whole:
        kind = optuna.distributions.IntDistribution
    search = knob.search
    return kind(search.low, search.high, log=search.log)


def _with_knobs(section: Any, knobs: Mapping[str, Any]) -> Any:
    try:
        return type(section).model_validate(section.model_dump() | knobs)
    except ValidationError as error:
        said = ", ".join(f"{name}: {value}" for name, value in knobs.items())
        fault = error.errors()[0]["msg"]
        msg = f"config.py: the ranges of {section.estimator} hold {said}, and {fault}"
        raise ConfigError(msg) from error
