"""What a project hands over to the engine: its code as two frozen objects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

import numpy as np
from pydantic import BaseModel

from skewless.core.code_faults import fault_in_file
from skewless.core.contract import Columns, Contract, TableFormat
from skewless.core.errors import ConfigError
from skewless.core.sections import BaseConfig, ModelSection, Section

FeaturesT = TypeVar("FeaturesT", bound=Section)
ModelT = TypeVar("ModelT", bound=ModelSection)


@dataclass(frozen=True, eq=False)
class Project(Generic[FeaturesT, ModelT]):
    """A project's code, without what only training needs.

    Attributes
    ----------
    name
        Of the project and its command, such as ``my-service``.
    prefix
        What the names of its environment variables begin with, such as ``MY_``.
    record, table
        What a raw record is, and how the training table spells it.
    features
        Record columns → model columns, in the order to train on.
    config
        The class of config.yaml.
    intended_use
        What the model is for, and what it is not for: Markdown, which the model card
        begins with.
    place
        Where this object is: ``package.module:name``; other processes import it from
        there.
    training
        Where its `Training` is. It is imported by training commands only, so that a
        process that serves never loads scikit-learn.
    app
        Where its FastAPI application is, as `create_app` made it; imported by the
        service only. None if the project has no service.
    """

    name: str
    prefix: str
    record: type[BaseModel]
    table: TableFormat
    features: Callable[[Columns, FeaturesT], Mapping[str, Any]]
    config: type[BaseConfig[FeaturesT, ModelT]]
    intended_use: str
    place: str
    training: str
    app: str | None = None

    @cached_property
    def contract(self) -> Contract:
        """The record class and its table, and what follows from them."""
        return Contract(self.record, self.table)

    @property
    def features_config(self) -> type[FeaturesT]:
        """The class of the `features` section of config.yaml."""
        section: Any = self.config.model_fields["features"]
        found: type[FeaturesT] = section.annotation
        return found

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        """Pickle by reference, so that each process has one object for a project."""
        return resolve_name, (self.place,)

    def load_training(self) -> "Training[ModelT]":
        """Import what trains.

        Raises
        ------
        ConfigError
            Its module cannot be imported; the message names the line.
        """
        try:
            found: Training[ModelT] = resolve_name(self.training)
        except Exception as error:  # a module raises whatever it runs into
            module = find_spec(self.training.partition(":")[0])
            if module is None or module.origin is None:
                msg = f"project.py: there is no {self.training}, which training names"
                raise ConfigError(msg) from error
            raise fault_in_file(error, Path(module.origin)) from error
        return found

    def load_app(self) -> Any:
        """Import the application.

        Raises
        ------
        ConfigError
            The project has none, or is of a level without a service.
        """
        if self.app is None:
            msg = f"{self.name} has no service: project.py names no application"
            raise ConfigError(msg)
        module = self.app.partition(":")[0]
        if find_spec(module) is None:
            msg = (
                f"{self.name} has no service: there is no {module}. "
                "Add the level `service` with copier"
            )
            raise ConfigError(msg)
        return resolve_name(self.app)


@dataclass(frozen=True)
class Training(Generic[ModelT]):
    """What trains and evaluates a project's model.

    Attributes
    ----------
    train
        Features, float32 (n, k), and outcomes, 0 or 1 (n,) → the fitted classifier.
    evaluate
        Probabilities (n,) and outcomes (n,), at a threshold → what they are worth.
    """

    train: Callable[[np.ndarray, np.ndarray, ModelT], Any]
    evaluate: Callable[..., Any]
