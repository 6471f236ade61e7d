"""Where `compare --tune` looks for a better value of a knob."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from skewless.core.errors import ConfigError


@dataclass(frozen=True)
class Search:
    """The range of a knob that `compare --tune` searches.

    It stands in the knob's annotation, behind what config.yaml may say:
    ``Annotated[float, Field(gt=0, le=1), Search(0.01, 0.3, log=True)]``.

    Parameters
    ----------
    low, high
        Bounds, both included, in the knob's unit; whole numbers if the knob is one.
    log
        Whether a factor matters, and not a difference: as many values are tried between
        0.01 and 0.1 as between 0.1 and 1.
    """

    low: float
    high: float
    log: bool = False


class Knob(NamedTuple):
    """A knob whose values are searched."""

    search: Search
    is_whole: bool
    """Whether its values are whole numbers."""


def searched_knobs(section: type[BaseModel]) -> Mapping[str, Knob]:
    """List the knobs of an estimator's section that declare a range.

    Raises
    ------
    ConfigError
        A range is empty, or holds what config.yaml may not say; all are named.
    """
    found = {}
    faults = []
    for name, field in section.model_fields.items():
        declared = [each for each in field.metadata if isinstance(each, Search)]
        if not declared:
            continue
        # The last one says it, as pydantic reads bounds.
        search = declared[-1]
        said = f"config.py: {section.__name__}.{name} declares {search}, and "
        faults += [said + fault for fault in _faults(section, field, search)]
        kinds = get_args(field.annotation) or (field.annotation,)
        found[name] = Knob(search, is_whole=float not in kinds)
    if faults:
        raise ConfigError(*faults)
    return found


def _faults(section: type[BaseModel], field: FieldInfo, search: Search) -> list[str]:
    """Say what is wrong with a range, also that config.yaml may not say a bound."""
    if not search.low < search.high:
        return ["low must be below high"]
    if search.log and search.low <= 0:
        return ["low must be above 0 where log is set"]
    annotated: Any = Annotated[field.annotation, *field.metadata]
    allowed = TypeAdapter[Any](annotated, config=section.model_config)
    faults = []
    for bound in (search.low, search.high):
        try:
            allowed.validate_python(bound)
        except ValidationError as error:
            faults.append(f"{bound} is not allowed: {error.errors()[0]['msg']}")
    return faults
