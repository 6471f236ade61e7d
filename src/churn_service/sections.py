"""What config.yaml may hold: one model per section, with each key's type, range and meaning."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

# floor: monitored
from churn_service.contract import columns

# end floor
from churn_service.features import FeaturesConfig

# floor: monitored
from churn_service.schema import ID

# end floor

VERSION_NUMBER = r"^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}$"
Probability = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel, frozen=True, strict=True, extra="forbid", allow_inf_nan=False):
    """A part of config.yaml: no unknown key, no silent conversion."""


class SampleConfig(Section):
    """The simulated table that `churn-service sample` writes."""

    rows: Annotated[int, Field(ge=1, le=100_000_000, description="Customers to simulate; rows")]
    random_state: Annotated[int, Field(ge=0, le=2**32 - 1, description="Seed of the simulator")]


class DataConfig(Section):
    """Where the training table is and how it is split."""

    path: Annotated[str, Field(min_length=1, description="Training table, .csv or .parquet")]
    holdout_fraction: Annotated[float, Field(gt=0, lt=1, description="Share of customers held out")]
    holdout_salt: Annotated[
        str,
        Field(min_length=1, max_length=64, pattern="^[ -~]+$", description="Key of the split, ASCII"),
    ]
    sample: SampleConfig


class ModelConfig(Section):
    """The estimator and its version."""

    version: Annotated[
        str, Field(pattern=VERSION_NUMBER, description="MAJOR.MINOR.PATCH; raise it when the model changes")
    ]
    random_state: Annotated[int, Field(ge=0, le=2**32 - 1, description="Seed of training")]
    learning_rate: Annotated[float, Field(gt=0, le=1, description="Shrinkage of each tree")]
    max_iter: Annotated[int, Field(ge=1, le=10_000, description="Trees")]
    max_leaf_nodes: Annotated[int, Field(ge=2, le=1_024, description="Leaves of a tree")]
    min_samples_leaf: Annotated[int, Field(ge=1, le=1_000_000, description="Customers in a leaf, at least")]
    l2_regularization: Annotated[float, Field(ge=0, description="Penalty on leaf values")]
    calibration: Annotated[
        Literal["none", "sigmoid", "isotonic"],
        Field(description="Map scores to probabilities by 5-fold cross-validation"),
    ]


class DecisionConfig(Section):
    """From a probability to a decision."""

    threshold: Annotated[Probability, Field(description="Predict churn from this probability on")]
    medium_risk: Annotated[Probability, Field(description="risk_tier MEDIUM from this probability on")]
    high_risk: Annotated[Probability, Field(description="risk_tier HIGH from this probability on")]

    @model_validator(mode="after")
    def _tiers_rise(self) -> Self:
        if self.medium_risk > self.high_risk:
            msg = f"medium_risk {self.medium_risk} must be at most high_risk {self.high_risk}"
            raise ValueError(msg)
        return self


class BaselineConfig(Section):
    """A scorecard on one model column: what a model must beat."""

    column: Annotated[str, Field(description="A key of add_features")]
    cuts: Annotated[tuple[float, ...], Field(min_length=1, description="Increasing; in the column's unit")]
    probabilities: Annotated[
        tuple[Probability, ...],
        Field(description="One per interval (one more than cuts), then one for missing"),
    ]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if any(low >= high for low, high in zip(self.cuts, self.cuts[1:], strict=False)):
            msg = f"cuts must increase; found {list(self.cuts)}"
            raise ValueError(msg)
        if len(self.probabilities) != len(self.cuts) + 2:
            msg = (
                f"{len(self.cuts)} cuts need {len(self.cuts) + 2} probabilities "
                f"(one per interval, then one for missing); found {len(self.probabilities)}"
            )
            raise ValueError(msg)
        return self


class RegistryConfig(Section):
    """Where model versions are kept."""

    path: Annotated[str, Field(min_length=1, description="Folder of versions")]


# floor: service
class ServingConfig(Section):
    """The HTTP service; nothing here changes an answer."""

    runtime: Annotated[Literal["onnx", "scikit-learn"], Field(description="What runs the model")]
    allow_pickle: Annotated[
        bool, Field(description="Accept model.joblib, which can run any code; scikit-learn only")
    ]
    fallback: Annotated[
        Literal["refuse", "baseline"], Field(description="What `serve` does while no model can be loaded")
    ]
    max_body_bytes: Annotated[int, Field(ge=1_024, le=2**30, description="Largest request body; bytes")]
    max_batch_rows: Annotated[int, Field(ge=1, le=50_000, description="Customers in one batch request; rows")]
    max_connections: Annotated[int, Field(ge=1, le=100_000, description="Open at once, per process")]
    max_in_flight: Annotated[
        int, Field(ge=1, le=100_000, description="Requests that may wait, per process; more are 503")
    ]
    slow_client_seconds: Annotated[
        float,
        Field(gt=0, le=3_600, description="For a caller to send a request, or read an answer; seconds"),
    ]
    pool_threads: Annotated[int, Field(ge=1, le=64, description="Large batches at once, per process")]
    deadline_seconds: Annotated[
        float, Field(gt=0, le=3_600, description="A large batch that takes longer is 503; seconds")
    ]
    drain_seconds: Annotated[
        float, Field(ge=0, le=3_600, description="Answering goes on so long after SIGTERM; seconds")
    ]
    rate_limit_per_minute: Annotated[int, Field(ge=1, le=10**9, description="Of a caller with a key")]
    rate_limit_anonymous: Annotated[
        int | None,
        Field(ge=1, le=10**9, description="Of all callers without one; null: no limit"),
    ]
    rate_limit_by: Annotated[Literal["request", "row"], Field(description="What a batch counts as")]
    cors_origins: Annotated[
        tuple[str, ...], Field(description="Web origins whose pages may call, such as https://crm.example")
    ]
    expected_per_second: Annotated[
        int, Field(ge=1, le=100_000, description="Expected peak that `make load` tries; requests per second")
    ]


class GateConfig(Section):
    """What a version has to show before it is promoted to production."""

    margin: Annotated[
        float, Field(ge=0, le=10, description="Log loss that it may be worse than production; nats")
    ]
    # floor: monitored
    replay_requests: Annotated[
        int, Field(ge=1, le=1_000_000, description="Logged requests of production to repeat")
    ]
    max_flip_share: Annotated[Probability, Field(description="Share of their decisions that may change")]
    max_psi: Annotated[float, Field(ge=0, le=10, description="Shift of their scores, as PSI")]
    max_latency_ratio: Annotated[
        float, Field(gt=0, le=1_000, description="Its time for one of them over production's")
    ]
    # end floor


# end floor
# floor: monitored
Privacy = Literal["keep", "drop", "hash", "bucket"]


class MonitoringConfig(Section):
    """What is remembered of the answers."""

    prediction_log: Annotated[
        str | None, Field(min_length=1, description="Folder of the prediction log; null: no log")
    ]
    flush_seconds: Annotated[
        float, Field(gt=0, le=60, description="What a killed process may lose of the log; seconds")
    ]
    privacy: Annotated[
        dict[str, Privacy],
        Field(description="Column → how the log holds it; hash needs CHURN_HASH_KEY, bucket keeps one digit"),
    ]

    @model_validator(mode="after")
    def _fits_the_record(self) -> Self:
        kinds = {ID: "id", **{column.name: column.kind for column in columns()}}
        for name, privacy in self.privacy.items():
            if name not in kinds:
                msg = f"privacy names {name}, which is no column; there are {', '.join(kinds)}"
                raise ValueError(msg)
            if privacy == "bucket" and kinds[name] not in {"integer", "number"}:
                msg = f"privacy: {name} is no number, so it cannot be bucketed; hash or drop it"
                raise ValueError(msg)
        return self


# end floor
class Config(Section):
    """The whole of config.yaml."""

    data: DataConfig
    features: FeaturesConfig
    model: ModelConfig
    decision: DecisionConfig
    baseline: BaselineConfig
    registry: RegistryConfig
    # floor: service
    gate: GateConfig
    serving: ServingConfig
    # end floor
    # floor: monitored
    monitoring: MonitoringConfig
    # end floor
