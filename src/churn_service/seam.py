"""What a project hands over to the engine: its code as two frozen objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

import numpy as np
from pydantic import BaseModel

from churn_service.contract import Columns, Contract, TableFormat
from churn_service.section import Section
from churn_service.sections import BaseConfig, ModelSection

FeaturesT = TypeVar("FeaturesT", bound=Section)
ModelT = TypeVar("ModelT", bound=ModelSection)


@dataclass(frozen=True, eq=False)
class Project(Generic[FeaturesT, ModelT]):
    """A project's code, without what only training needs.

    Attributes
    ----------
    name
        Of the project and its command, such as ``churn-service``.
    prefix
        What the names of its environment variables begin with, such as ``CHURN_``.
    record, table
        What a raw record is, and how the training table spells it.
    features
        Record columns → model columns, in the order to train on.
    config
        The class of config.yaml.
    place
        Where this object is: ``package.module:name``; other processes import it from there.
    training
        Where its `Training` is. It is imported by training commands only, so that a process that serves never
        loads scikit-learn.
    routes
        Where its own HTTP routes are, each as the arguments of `FastAPI.add_api_route`; imported by the
        service only. None if the project has no service.
    """

    name: str
    prefix: str
    record: type[BaseModel]
    table: TableFormat
    features: Callable[[Columns, FeaturesT], Mapping[str, Any]]
    config: type[BaseConfig[FeaturesT, ModelT]]
    place: str
    training: str
    routes: str | None = None

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
        """Import what trains."""
        found: Training[ModelT] = resolve_name(self.training)
        return found

    def load_routes(self) -> Sequence[Mapping[str, Any]]:
        """Import what is served beside the engine's own routes."""
        found: Sequence[Mapping[str, Any]] = resolve_name(self.routes) if self.routes else ()
        return found


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
