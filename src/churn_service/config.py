"""config.yaml as frozen, typed objects.

This project's own two sections are here, beside those of every project.
"""

from typing import Annotated, Literal

from pydantic import Field
from skewless import BaseConfig, ModelSection, Section


class FeaturesConfig(Section):
    """The `features` section of config.yaml; serving reads it from the artefact."""

    recent_login_days: Annotated[
        int,
        Field(
            ge=0,
            le=3_650,
            description="A login at most this many days ago is recent; days, 0 to 3650",
        ),
    ]


class ModelConfig(ModelSection):
    """The estimator and its version."""

    random_state: Annotated[
        int, Field(ge=0, le=2**32 - 1, description="Seed of training")
    ]
    learning_rate: Annotated[
        float, Field(gt=0, le=1, description="Shrinkage of each tree")
    ]
    max_iter: Annotated[int, Field(ge=1, le=10_000, description="Trees")]
    max_leaf_nodes: Annotated[
        int, Field(ge=2, le=1_024, description="Leaves of a tree")
    ]
    min_samples_leaf: Annotated[
        int, Field(ge=1, le=1_000_000, description="Customers in a leaf, at least")
    ]
    l2_regularization: Annotated[
        float, Field(ge=0, description="Penalty on leaf values")
    ]
    calibration: Annotated[
        Literal["none", "sigmoid", "isotonic"],
        Field(description="Map scores to probabilities by 5-fold cross-validation"),
    ]


class Config(BaseConfig[FeaturesConfig, ModelConfig]):
    """The whole of config.yaml."""
