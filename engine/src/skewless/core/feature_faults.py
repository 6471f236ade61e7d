"""What goes wrong in features.py → an error that names its line or its features, and says what to do.

Nothing here runs while features.py is right.
"""

import inspect
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from skewless.core.errors import ConfigError, SkewlessError

FIELDS: Final = ". A column must be a field of the record in schema.py"
OPERATIONS: Final = ". Only arithmetic, comparisons and NumPy functions do on arrays and on single numbers"


def fault_in_code(error: Exception, features: Callable[..., Any]) -> ConfigError:
    """Name the lines of the file of `features` that raised an exception in a function of it."""
    file = inspect.getfile(inspect.unwrap(features))
    (_, *steps) = traceback.extract_tb(error.__traceback__)  # the first is in `feature_matrix`
    lines = dict.fromkeys(f"; line {step.lineno}: {step.line}" for step in steps if step.filename == file)
    said, advice = f"{type(error).__name__}: {error}", FIELDS if isinstance(error, KeyError) else OPERATIONS
    if isinstance(error, SkewlessError):
        said, advice = str(error), ""
    return ConfigError(f"features.py: {' '.join(said.split())}{''.join(lines)}{advice}")


def fault_in_values(made: Any, names: Sequence[str]) -> ConfigError:
    """Name the features that are no numbers; if all are, those that are not as long as the others."""
    if not isinstance(made, Mapping):
        return ConfigError(f"features.py: add_features returns {type(made).__name__}, not a dict of features")
    words = [name for name in names if not _is_numeric(made[name])]
    if words:
        return ConfigError(f"features.py: {', '.join(words)} must be numbers; a category needs one_hot")
    shapes = {name: np.shape(made[name]) for name in names}
    ((usual, _),) = Counter(shapes.values()).most_common(1)
    others = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items() if shape != usual)
    return ConfigError(f"features.py: {others}; every feature has one value per record, {usual}")


def _is_numeric(values: Any) -> bool:
    try:
        np.asarray(values, dtype=np.float32)
    except (ValueError, TypeError):
        return False
    return True
