"""config.yaml as frozen, typed objects.

This project's own two sections are here, beside those of every project.
"""

from typing import Annotated, Literal

from pydantic import Field
from skewless import BaseConfig, ModelSection, Search, Section


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


# What `compare --tune` searches stands in Search, inside of what config.yaml may say.
LearningRate = Annotated[
    float,
    Field(gt=0, le=1, description="Shrinkage of each tree"),
    Search(0.01, 0.3, log=True),
]
Trees = Annotated[int, Field(ge=1, le=10_000, description="Trees")]
BoostedTrees = Annotated[Trees, Search(50, 400, log=True)]
Leaves = Annotated[
    int,
    Field(ge=2, le=1_024, description="Leaves of a tree"),
    Search(4, 64, log=True),
]
LeafSize = Annotated[
    int,
    Field(ge=1, le=1_000_000, description="Customers in a leaf, at least"),
    Search(5, 200, log=True),
]
LeafPenalty = Annotated[
    float,
    Field(ge=0, description="Penalty on leaf values"),
    Search(0.01, 100, log=True),
]


class Estimator(ModelSection):
    """What every estimator below has."""

    random_state: Annotated[
        int, Field(ge=0, le=2**32 - 1, description="Seed of training")
    ]
    calibration: Annotated[
        Literal["none", "sigmoid", "isotonic"],
        Field(description="Map scores to probabilities by 5-fold cross-validation"),
    ]


ClassWeight = Annotated[
    Literal["balanced"] | None,
    Field(
        description="balanced: the rarer outcome weighs as much as the other, which "
        "raises its probabilities; calibrate them. null: all rows weigh the same"
    ),
]


class HistGradientBoosting(Estimator):
    """Boosted trees of scikit-learn; they read missing values themselves."""

    estimator: Literal["hist_gradient_boosting"]
    learning_rate: LearningRate = 0.05
    max_iter: BoostedTrees = 150
    max_leaf_nodes: Leaves = 15
    min_samples_leaf: LeafSize = 40
    l2_regularization: LeafPenalty = 1.0
    class_weight: ClassWeight = None


class Logistic(Estimator):
    """Logistic regression on scaled columns, with a column for what is missing."""

    estimator: Literal["logistic_regression"]
    C: Annotated[
        float,
        Field(gt=0, description="Inverse of the penalty; smaller is simpler"),
        Search(0.001, 100, log=True),
    ] = 1.0
    max_iter: Annotated[int, Field(ge=1, le=10_000, description="Steps, at most")] = 500
    class_weight: ClassWeight = None


class Forest(Estimator):
    """Random forest, with a column for what is missing."""

    estimator: Literal["random_forest"]
    n_estimators: Trees = 200
    min_samples_leaf: LeafSize = 20
    max_features: Annotated[
        float,
        Field(gt=0, le=1, description="Share of the columns tried at a split"),
        Search(0.1, 1),
    ] = 0.5
    class_weight: ClassWeight = None


class XGBoost(Estimator):
    """Boosted trees of XGBoost; `make install EXTRAS=boosters` installs it."""

    estimator: Literal["xgboost"]
    learning_rate: LearningRate = 0.05
    n_estimators: BoostedTrees = 150
    max_depth: Annotated[
        int,
        Field(ge=1, le=20, description="Splits one after another, at most"),
        Search(2, 8),
    ] = 4
    min_child_weight: Annotated[
        float,
        Field(ge=0, description="Weight of the customers in a leaf, at least"),
        Search(1, 100, log=True),
    ] = 10.0
    reg_lambda: LeafPenalty = 1.0
    scale_pos_weight: Annotated[
        float, Field(gt=0, description="Weight of a customer with the outcome 1")
    ] = 1.0


class LightGBM(Estimator):
    """Boosted trees of LightGBM; `make install EXTRAS=boosters` installs it."""

    estimator: Literal["lightgbm"]
    learning_rate: LearningRate = 0.05
    n_estimators: BoostedTrees = 150
    num_leaves: Leaves = 15
    min_child_samples: LeafSize = 40
    reg_lambda: LeafPenalty = 1.0
    class_weight: ClassWeight = None


ModelConfig = Annotated[
    HistGradientBoosting | Logistic | Forest | XGBoost | LightGBM,
    Field(discriminator="estimator"),
]
"""The `model` section: `estimator` says which, and each has knobs of its own."""


class Config(BaseConfig[FeaturesConfig, ModelConfig]):
    """The whole of config.yaml."""
